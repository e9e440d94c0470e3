"""Pretrained weights: where they are, how they get here, how they are read and written."""
