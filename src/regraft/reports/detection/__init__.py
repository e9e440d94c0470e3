"""What the page of a detector's run shows, computed from the tables of the run."""
