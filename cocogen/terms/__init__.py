"""What the parties write down: reading a terms file, checking it, and the resolved terms that its digest names."""
