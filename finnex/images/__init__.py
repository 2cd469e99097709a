"""One session's window of the panel becomes one image."""
