"""Data: sources, guarded loading, scans and splits."""
