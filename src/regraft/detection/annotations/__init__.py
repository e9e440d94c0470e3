"""Boxes around objects: read from the files of labelling tools, and checked."""
