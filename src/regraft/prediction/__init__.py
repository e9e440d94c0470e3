"""Prediction: models in use, and as bundles on disk."""
