"""What was sent to the ledger, and nobody was told of yet: the record that is handed in, so that nothing moves twice.

Who keeps it writes a deposit, a withdrawal or a deployment down before it leaves, and refuses to send it again until
somebody has seen what became of it (:class:`cocogen.errors.SentBefore`). Left out: the file and its transactions
(``chain.backends.journal``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from cocogen.errors import SentBefore

__all__ = ["NOTHING_SENT", "Intent", "Journal", "Note", "once_by_state", "unheard"]

Result = TypeVar("Result")

Note = Callable[[str], None]
"""Takes a line for whoever is watching."""


def unheard(text: str) -> None:
    """A :data:`Note` where nobody is watching."""
    del text


class Intent(Protocol):
    """One transaction that was or may have been sent; amounts in wei, ``hashes`` of its versions, oldest first."""

    @property
    def operation(self) -> str: ...

    @property
    def name(self) -> str:
        """What it is in words, with its amount."""
        ...

    @property
    def account(self) -> str: ...

    @property
    def amount(self) -> int: ...

    @property
    def nonce(self) -> int: ...

    @property
    def hashes(self) -> Sequence[str]: ...


class Journal(Protocol):
    """The transactions of one workspace whose outcome nobody has been told yet.

    ``deferred``: what was mined stays until :meth:`release`; set by whoever has yet to show the outcome.
    """

    deferred: bool

    @property
    def intents(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        ...

    def forget(self, intents: Iterable[Any]) -> None:
        """Drop ``intents``: somebody knows what became of them."""
        ...

    def release(self) -> None:
        """Drop what was mined since :attr:`deferred` was set: its outcome has been shown."""
        ...


class _NothingSent:
    """Of a ledger that ends with its process, or whose transactions nobody writes down."""

    deferred = False
    intents: tuple[Intent, ...] = ()

    def forget(self, intents: Iterable[Any]) -> None:
        """There is nothing to drop."""

    def release(self) -> None:
        """There is nothing to drop."""


NOTHING_SENT: Journal = _NothingSent()


def once_by_state(journal: Journal, action: Callable[[], Result], note: Note = unheard) -> Result:
    """Do what moves as much as the ledger's state leaves to be moved: what was mined meanwhile is counted there."""
    while True:
        try:
            return action()
        except SentBefore as error:
            note(f"{error}; it is counted")
            journal.forget(error.intents)
