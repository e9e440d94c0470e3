"""Prediction: fitted models, in memory and as bundles or exported files on disk."""
