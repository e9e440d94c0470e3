"""Features of images: runtimes that compute them, extraction, and the heads solved on them."""
