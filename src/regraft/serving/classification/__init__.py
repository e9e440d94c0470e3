"""A classifier as the server uses it: what it is made of, and what it says about an image."""
