"""Files that hold other files: what is in them, and the bytes of one member, without unpacking."""
