"""The folder that a fit leaves: written, read and compared."""
