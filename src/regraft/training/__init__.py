"""Training: how a plan is carried out."""
