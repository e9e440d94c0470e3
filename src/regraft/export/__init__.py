"""A model as a file that other software runs, compared with the model before it is written."""
