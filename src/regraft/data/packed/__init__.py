"""Data sets that are packed into one file or a few: archives, shards, arrays, tables with images in them."""
