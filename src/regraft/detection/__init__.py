"""Detectors of objects in pictures."""
