"""The rounds of a consortium, over a ledger and a workspace."""
