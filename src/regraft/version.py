"""The version of Regraft."""

VERSION = "0.1.0"
