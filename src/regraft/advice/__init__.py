"""Measurements before any training, and what they suggest about the strategy."""
