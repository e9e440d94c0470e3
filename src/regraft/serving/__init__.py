"""Models that leave this machine: exported files, and a server with its page."""
