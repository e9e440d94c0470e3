"""One file for each format in which boxes are written; each is a pure function of a file's bytes."""
