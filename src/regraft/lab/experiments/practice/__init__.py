"""What decides how a training goes."""
