"""The disk: files that are whole or absent, rows by content, and where things live."""
