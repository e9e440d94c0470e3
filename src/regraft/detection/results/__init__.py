"""Found boxes as files: written in the formats of labelling tools, and drawn."""
