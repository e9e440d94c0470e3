"""Where a model looks, what its network has learned, and which training images are similar."""
