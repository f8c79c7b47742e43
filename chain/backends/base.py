"""What the contract client needs of a chain, and the one way to open a chain by name.

A backend is a connected ``Web3`` plus the three things that JSON-RPC does not give portably: a clock that tests and
walkthroughs can move, money for development accounts, and an orderly end. Left out: contracts, accounts and terms.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from chain.backends.urls import is_url, masked
from cocogen.errors import ConfigurationError, FieldProblem

if TYPE_CHECKING:
    from web3 import Web3

    from chain.backends.journal import Journal
    from cocogen.fees import Agreement

__all__ = ["BACKENDS", "Backend", "open_backend"]

BACKENDS = {
    "embedded:PATH": "a persistent chain in the file PATH, which is created when missing",
    "tester": "a chain in memory that ends with the process",
    "anvil": "a private anvil node that ends with the process",
    "ganache": "a private ganache node that ends with the process",
    "http://URL or https://URL": "any Ethereum node over JSON-RPC",
}
"""Every valid backend specification and what it opens."""


class Backend(Protocol):
    """A chain in reach.

    Attributes
    ----------
    web3
        The connection; failures of execution carry revert data on every backend.
    kind
        "embedded", "tester", "anvil", "ganache" or "rpc".
    location
        The specification that opens the same chain again, e.g. ``embedded:/data/chain.sqlite``; secrets in a node's
        URL are masked, so it may be shown and stored.
    chain_id
        EIP-155 identifier.
    local
        Whether :meth:`advance` and :meth:`fund` work: a chain for trying things out, whose money is worthless.
    fee_limit
        Wei that one transaction may pay for gas at most: a node names the price, and could name any.
    confirmations
        Blocks that must follow a transaction's block before it counts.
    journal
        What was sent and nobody was told of yet; whoever has a place for it puts one there that lasts.
    agreement
        Told what is about to be sent, which is not sent if it raises; None asks nobody.
    """

    @property
    def kind(self) -> str: ...

    @property
    def location(self) -> str: ...

    @property
    def local(self) -> bool: ...

    fee_limit: int
    journal: Journal
    agreement: Agreement | None

    @property
    def confirmations(self) -> int: ...

    @property
    def web3(self) -> Web3: ...

    @property
    def chain_id(self) -> int: ...

    def now(self) -> int:
        """Time of the latest block, Unix seconds."""
        ...

    def advance(self, seconds: int) -> None:
        """Move the clock ``seconds`` forward for good; LedgerError on a chain that is not local."""
        ...

    def wait_until(self, timestamp: int) -> None:
        """Return when the next transaction will see a time ≥ ``timestamp`` (Unix seconds)."""
        ...

    def fund(self, address: str, minimum: int) -> None:
        """See to it that ``address`` holds at least ``minimum`` wei; LedgerError on a chain that is not local."""
        ...

    def assume(self, address: str, minimum: int) -> None:
        """See to it as :meth:`fund` does, for calls and estimates alone: no transaction is sent for it."""
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_backend(specification: str, *, lock_timeout: float = 0.0, confirmations: int = 1) -> Backend:
    """Open the chain that ``specification`` names.

    Parameters
    ----------
    specification
        One of :data:`BACKENDS`.
    lock_timeout
        Seconds to wait for another process to let go of an embedded chain; 0 does not wait.
    confirmations
        Blocks that must follow a transaction's block on a real node; local chains need none.

    Raises
    ------
    ConfigurationError
        The specification names no backend, or its URL cannot be opened.
    ChainLocked, IncompatibleChainFile, ChainUnavailable
        The embedded chain's file is in use, is not one of ours, or cannot be read or written; or no Ethereum node
        answers.
    NodeNotInstalled
        The program of anvil or ganache is missing.
    """
    kind, _, argument = specification.partition(":")
    if kind == "embedded" and argument:
        from chain.backends.embedded import EmbeddedBackend

        return EmbeddedBackend(Path(argument), lock_timeout=lock_timeout)
    if specification == "tester":
        from chain.backends.tester import TesterBackend

        return TesterBackend()
    if specification == "anvil":
        from chain.backends.anvil import AnvilBackend

        return AnvilBackend()
    if specification == "ganache":
        from chain.backends.ganache import GanacheBackend

        return GanacheBackend()
    if is_url(specification):
        from chain.backends.development import connect

        return connect(specification, confirmations=confirmations)
    valid = "; ".join(f'"{name}": {meaning}' for name, meaning in BACKENDS.items())
    raise ConfigurationError(
        "no such chain backend",
        problems=[FieldProblem("ledger", repr(masked(specification)), f"one of {valid}")],
        hint='name a file, for example "embedded:chain.sqlite"' if kind == "embedded" else "",
    )
