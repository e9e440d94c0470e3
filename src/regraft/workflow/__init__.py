"""One file for each verb, with the name of the command."""
