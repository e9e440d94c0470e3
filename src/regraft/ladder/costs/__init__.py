"""What rungs are predicted to take, how far such predictions were off, and what a prediction costs."""
