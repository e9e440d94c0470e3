"""Evaluation: scores of predictions, and comparisons of two sets of predictions."""
