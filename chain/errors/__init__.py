"""Every reason for which a settlement fails, as typed errors.

::

    LedgerError                      (cocogen.errors)
    ├── ContractError                a contract says no; one class per Solidity error
    │   ├── contract                 the consortium's rules
    │   ├── disputes                 its rules on disputes and signed transfers
    │   └── foreign                  the compiler's, the libraries' and the token's
    ├── chain                        of chains, nodes, accounts and terms that do not fit
    └── keys                         of keystores and passwords

``reverts`` finds the class of a revert in a table that the three modules of contracts fill when they are loaded.
"""

from __future__ import annotations

from chain.errors import contract, disputes, foreign

__all__ = ["contract", "disputes", "foreign"]
