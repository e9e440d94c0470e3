"""What a network that has learned something knows about something else."""
