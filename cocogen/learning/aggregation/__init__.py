"""How a round's updates become one model."""
