"""What the page about a classifier shows of its classes."""
