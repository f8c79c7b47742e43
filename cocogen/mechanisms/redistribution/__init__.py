"""How the redistribution is agreed: the strength of the published rule, or optimal weights and offsets."""
