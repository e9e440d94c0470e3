"""Image data: sources, guarded loading, scans, splits and views."""
