"""Why depth is hard, and what makes it work."""
