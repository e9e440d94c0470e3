"""Pictures on a canvas, and a network's maps of them."""
