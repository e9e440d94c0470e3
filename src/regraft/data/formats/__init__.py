"""What image files store, format by format, with the values of more than 8 bits as they are."""
