"""What a path is matched against, and where a browser that is turned away goes."""
