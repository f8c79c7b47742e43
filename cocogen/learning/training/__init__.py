"""Local training, and training together."""
