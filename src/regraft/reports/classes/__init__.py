"""What the page about a classifier shows of many classes."""
