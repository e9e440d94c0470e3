"""Models for use elsewhere: exported files, and an HTTP server with a web page."""
