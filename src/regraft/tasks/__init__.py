"""Tasks: what a label means. A folder above never asks which task it has; see `task.py`."""
