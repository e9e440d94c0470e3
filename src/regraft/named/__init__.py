"""Data sets by their names: where they are published, under which licence, and how they become images."""
