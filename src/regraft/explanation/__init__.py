"""What a model looks at, what its network has learned, and which training images are alike."""
