"""What is handed over and believed: a member's bundle, the attester's checks and measurements."""
