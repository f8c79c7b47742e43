"""The contract on a chain, and the ledger over it."""
