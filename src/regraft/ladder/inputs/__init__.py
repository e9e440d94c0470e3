"""What rungs show to the network: features of the same images in several ways."""
