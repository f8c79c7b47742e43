"""The one way to open a settlement system by name, as ``--ledger`` and the terms file give it."""

from __future__ import annotations

from typing import Protocol

from chain.backends.base import BACKENDS, open_backend
from chain.record import LedgerRecord
from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.ledger import Deployment, LedgerProvider, SettlementTerms

__all__ = ["LEDGERS", "AuditableProvider", "open_ledger"]

LEDGERS = {"memory": "the contract's twin in memory, without chain or gas", **BACKENDS}
"""Every valid ledger specification and what it opens."""


class AuditableProvider(LedgerProvider, Protocol):
    """A settlement system that can be audited."""

    def inspect(self, terms: SettlementTerms, deployment: Deployment) -> LedgerRecord:
        """Return everything an audit needs to know of a deployment, whatever its state."""
        ...


def open_ledger(specification: str, *, seed: int, lock_timeout: float = 0.0) -> AuditableProvider:
    """Open the settlement system that ``specification`` names; whatever it needs is imported only then.

    Parameters
    ----------
    specification
        ``"memory"``, ``"tester"`` or ``"embedded:PATH"``.
    seed
        Development accounts derive from it.
    lock_timeout
        Seconds to wait for another process to let go of an embedded chain.

    Raises
    ------
    ConfigurationError
        The specification names no ledger.
    ChainLocked, IncompatibleChainFile, ChainUnavailable
        The embedded chain's file is in use, is not one of ours, or cannot be read or written.
    """
    if specification == "memory":
        from chain.memory import MemoryProvider

        return MemoryProvider(seed)
    kind, _, argument = specification.partition(":")
    if specification != "tester" and not (kind == "embedded" and argument):
        valid = "; ".join(f'"{name}": {meaning}' for name, meaning in LEDGERS.items())
        raise ConfigurationError(
            "no such ledger",
            problems=[FieldProblem("ledger", repr(specification), f"one of {valid}")],
            hint='an embedded chain names its file, for example "embedded:chain.sqlite"',
        )
    from chain.ledger import ChainProvider

    return ChainProvider(open_backend(specification, lock_timeout=lock_timeout), seed)
