"""What a user asks of the fit of a detector, and the canvas that follows from it."""
