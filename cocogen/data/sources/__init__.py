"""Where the members' and the attester's samples come from."""
