"""The contract's state machine in Python, and the ledger over it."""
