"""Training: carrying out a plan."""
