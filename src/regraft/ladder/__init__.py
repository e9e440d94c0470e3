"""Fitting as a ladder: a usable model at once, dearer rungs while they are expected to pay."""
