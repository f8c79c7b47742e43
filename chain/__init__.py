"""Python and the settlement contract: exact arithmetic, the contract's twin, backends, client and audit.

This package implements the ``Ledger`` protocol that ``cocogen.ledger`` declares and imports nothing else of
``cocogen`` but its errors. Importing it loads no submodule, so that the parts that need no node (arithmetic, twin,
in-memory ledger, audit) stay free of web3.
"""
