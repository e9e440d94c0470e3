"""HTML pages about a run, explained images, the features of a network, and its architecture."""
