"""``cocogen chain advance``: the clock of a local chain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from cli.options import common
from cli.output import emit

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["chain"]


@click.group(short_help="Clock of a local chain.")
def chain() -> None:
    """Work with a local chain."""


@chain.command()
@click.argument("duration", metavar="SECONDS")
@common()
def advance(request: Request, duration: str) -> None:
    """Move a local chain's clock forward by SECONDS, or by text such as "1 day"."""
    from cocogen.errors import ConfigurationError
    from cocogen.terms.sections import parse_duration

    try:
        bare = re.fullmatch(r"[0-9]{1,12}", duration.strip())
        seconds = int(str(parse_duration(f"{duration} seconds" if bare else duration)))
    except ValueError as error:
        raise ConfigurationError(f"SECONDS = {duration!r}: {error}") from error
    if not 1 <= seconds <= 10 * 365 * 86_400:
        raise ConfigurationError(f"SECONDS = {seconds}: between 1 and ten years")
    with request.opened() as session:
        session.ledger.advance(seconds)
        now = session.ledger.state().now
    emit({"advanced": seconds, "now": now}, f"the chain's clock now says {now} (Unix seconds)", as_json=request.as_json)
