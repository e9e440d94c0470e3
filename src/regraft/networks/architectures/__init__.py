"""Networks of our own, and how the network of a recipe is built."""
