"""What a fit will do, and what it takes on this machine."""
