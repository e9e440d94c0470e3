"""A detector as a file: its example, its card, and the comparison of boxes."""
