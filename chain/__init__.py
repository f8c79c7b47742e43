"""Python and the settlement contract: exact arithmetic, the contract's twin, backends, client and audit.

This package implements the ``Ledger`` protocol that ``cocogen.ledger`` declares, and imports besides of ``cocogen`` its
errors, files and addresses alone. Importing it loads no submodule, so that the parts that need no node (arithmetic,
twin, in-memory ledger, audit) stay free of web3. ``open_ledger`` opens a settlement system by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chain.open import open_ledger

__all__ = ["open_ledger"]


def __getattr__(name: str) -> Any:
    if name != "open_ledger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from chain.open import open_ledger

    return open_ledger
