"""Intervals of shares, and of images that belong together."""
