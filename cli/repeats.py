"""Nothing moves twice: what a command does when an earlier one has sent the same and could not say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.output import note

if TYPE_CHECKING:
    from chain.backends.journal import Journal

__all__ = ["once", "once_by_state", "yes_option"]

Result = TypeVar("Result")


def yes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Go on where an interrupted command has sent the same already.")(
        function
    )


def once(journal: Journal, action: Callable[[], Result], *, yes: bool, ask: bool) -> Result | None:
    """Do what moves a stated amount; where that was sent already, only if it is wanted once more.

    With ``ask`` a person at a terminal decides, and None says that once was enough; else the error is the answer.
    """
    from chain.backends.journal import AlreadySent

    while True:
        try:
            return action()
        except AlreadySent as error:
            wanted = yes
            if not yes and not (ask and sys.stdin is not None and sys.stdin.isatty()):
                raise
            if not yes:
                note(str(error))
                wanted = click.confirm("Send it once more?", default=False, err=True)
            journal.forget(error.intents)
            if not wanted:
                return None


def once_by_state(journal: Journal, action: Callable[[], Result]) -> Result:
    """Do what moves as much as the ledger's state leaves to be moved: what was mined meanwhile is counted there."""
    from chain.backends.journal import AlreadySent

    while True:
        try:
            return action()
        except AlreadySent as error:
            note(f"{error}; it is counted")
            journal.forget(error.intents)
