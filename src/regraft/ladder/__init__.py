"""Fitting as a ladder: a usable model first, then more expensive rungs while they are expected to help."""
