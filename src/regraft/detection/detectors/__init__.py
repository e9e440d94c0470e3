"""Detectors in use and on disk, and the tables of their runs."""
