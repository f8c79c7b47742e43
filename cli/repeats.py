"""Nothing moves twice: what a command does when an earlier one has sent the same and could not say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.output import note
from cocogen.errors import SentBefore

if TYPE_CHECKING:
    from cocogen.operations.sent import Journal

__all__ = ["again_option", "once"]

Result = TypeVar("Result")


def again_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--again``, which ``--yes`` implies on local chains alone: a script gives that every time on any other."""
    return click.option(
        "--again", is_flag=True, help="Send it once more where an interrupted command has sent the same already."
    )(function)


def once(journal: Journal, action: Callable[[], Result], *, again: bool, ask: bool) -> Result | None:
    """Do what moves a stated amount; where that was sent already, only if it is wanted once more.

    With ``ask`` a person at a terminal decides, and None says that once was enough; else the error is the answer.
    """
    while True:
        try:
            return action()
        except SentBefore as error:
            wanted = again
            if not again and not (ask and sys.stdin is not None and sys.stdin.isatty()):
                raise
            if not again:
                note(str(error))
                wanted = click.confirm("Send it once more?", default=False, err=True)
            journal.forget(error.intents)
            if not wanted:
                return None
