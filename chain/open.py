"""The one way to open a settlement system by name, as ``--ledger`` and the terms file give it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chain.backends.base import BACKENDS, open_backend
from chain.backends.urls import is_url, masked
from cocogen.amounts import parse_amount
from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.ledger import LedgerProvider

if TYPE_CHECKING:
    from chain.backends.journal import Journal
    from chain.keys.accounts import KeySource

__all__ = ["EPHEMERAL", "LEDGERS", "open_ledger", "storable"]

LEDGERS = {"memory": "the contract's twin in memory, without chain or gas", **BACKENDS}
"""Every valid ledger specification and what it opens."""

EPHEMERAL = ("memory", "tester", "anvil", "ganache")
"""Ledgers that end with the process that opened them."""

_FEE_LIMIT = "COCOGEN_FEE_LIMIT"


def storable(specification: str) -> str:
    """Return what may be written down of a ledger specification: a node's URL without its secrets.

    What comes back unchanged can be opened again; of a masked URL the user is asked for the whole.
    """
    return masked(specification)


def open_ledger(
    specification: str,
    *,
    seed: int,
    lock_timeout: float = 0.0,
    keys: KeySource | None = None,
    journal: Journal | None = None,
) -> LedgerProvider:
    """Open the settlement system that ``specification`` names; whatever it needs is imported only then.

    On a real node the environment variable COCOGEN_CONFIRMATIONS says how many blocks must follow a transaction's
    block before it counts, 0 to 1000 (default 1), and COCOGEN_FEE_LIMIT how many wei the gas of one transaction may
    cost (default 1ether; 0.5ether and 30000gwei say their unit).

    Parameters
    ----------
    specification
        One of :data:`LEDGERS`.
    seed
        Development accounts derive from it.
    lock_timeout
        Seconds to wait for another process to let go of an embedded chain.
    keys
        Keystores, for addresses that the terms name and for chains that are not local.
    journal
        Where deposits, withdrawals and deployments are written down before they are sent.

    Raises
    ------
    ConfigurationError
        The specification names no ledger, its URL was stored without its secret part, or a variable is no such number.
    ChainLocked, IncompatibleChainFile, ChainUnavailable
        The embedded chain's file is in use, is not one of ours, or cannot be read or written; or no Ethereum node
        answers.
    NodeNotInstalled
        The program of anvil or ganache is missing.
    """
    specification = specification.strip()
    if specification == "memory":
        from chain.twin.ledger import MemoryProvider

        return MemoryProvider(seed)
    kind, _, argument = specification.partition(":")
    if specification not in EPHEMERAL and not (kind == "embedded" and argument) and not is_url(specification):
        valid = "; ".join(f'"{name}": {meaning}' for name, meaning in LEDGERS.items())
        raise ConfigurationError(
            "no such ledger",
            problems=[FieldProblem("ledger", repr(masked(specification)), f"one of {valid}")],
            hint='an embedded chain names its file, for example "embedded:chain.sqlite"',
        )
    confirmations = _number("COCOGEN_CONFIRMATIONS", 1, 1000, "number of confirmations") if is_url(specification) else 0
    from chain.contract.provider import ChainProvider

    fee_limit = parse_amount(os.environ.get(_FEE_LIMIT, "1ether"), 1, field=_FEE_LIMIT)
    backend = open_backend(specification, lock_timeout=lock_timeout, confirmations=confirmations)
    if not backend.local:
        backend.fee_limit = fee_limit
    return ChainProvider(backend, seed, keys, journal)


def _number(variable: str, default: int, largest: int, what: str) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isascii() or not text.isdigit() or int(text) > largest:
        raise ConfigurationError(
            f"the {what} is wrong", problems=[FieldProblem(variable, repr(text), f"an integer from 0 to {largest}")]
        )
    return int(text)
