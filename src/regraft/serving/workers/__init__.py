"""Work that requests share: files decoded in separate processes, inputs of a network in common batches."""
