"""A detector as the server uses it: what it is made of, and which boxes it answers."""
