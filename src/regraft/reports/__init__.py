"""What people look at: a run, an image explained, a network's features, its shape: an HTML page each."""
