"""Blocks of layers, compared at equal cost."""
