"""What a ledger did, as plain values and files."""
