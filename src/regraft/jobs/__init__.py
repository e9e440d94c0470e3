"""Jobs that several machines can share."""
