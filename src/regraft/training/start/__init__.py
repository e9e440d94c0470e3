"""What a training starts from: the network and its head, the batches, and what is refused."""
