"""Who signs: keystores and accounts."""
