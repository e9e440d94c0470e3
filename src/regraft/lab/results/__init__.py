"""What an experiment is, and what it found."""
