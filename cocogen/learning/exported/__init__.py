"""A trained model as one file that stands for itself: what it was trained to tell, from what, and how well it does."""
