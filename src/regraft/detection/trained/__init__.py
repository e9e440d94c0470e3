"""Detectors that are trained on cached maps."""
