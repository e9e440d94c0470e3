"""What a training starts from: the tail with its head, and the batches."""
