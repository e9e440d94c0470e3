"""Features: runtimes, extraction and solved heads."""
