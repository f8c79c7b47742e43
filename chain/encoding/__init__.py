"""What the contract's integers say: terms, scores and transfers, signed digests, phases and rulings."""
