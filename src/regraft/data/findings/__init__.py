"""What the pictures and labels of a data set say about it, found in one pass."""
