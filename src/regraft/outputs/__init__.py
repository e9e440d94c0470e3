"""Files that a command writes for its user: which may be written, and how an earlier one is recognised."""
