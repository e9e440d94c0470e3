"""What is special about classes: by what they are compared, which is positive, in which order they are."""
