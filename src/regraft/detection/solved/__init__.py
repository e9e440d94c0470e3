"""Detectors in closed form."""
