"""``cocogen reveal``: open the rows that the attester drew, to the attester alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import common, organization_option
from cli.output import emit, progress
from cocogen.errors import ConfigurationError

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["reveal"]


@click.command(short_help="Own data: open the rows that the attester drew.")
@organization_option(
    "Open rows of this organization only.  [default: all that are here and were drawn]", required=False
)
@common()
def reveal(request: Request, organization: str | None) -> None:
    """Write the rows that the attester drew of an organization's evidence, with their labels and salts, where the
    terms say openings: for the attester alone, who deletes them when the round is attested.

    Nothing is opened unless the attester was bound to the draw before the evidence was signed. Asked again, the same
    rows are opened.
    """
    with request.opened() as session, progress() as bars:
        session.progress = bars
        openings = session.resolved.attestation.openings
        if not openings:
            raise ConfigurationError(
                "the terms say that no rows are opened",
                hint="attestation.openings says how many; there is nothing to do",
            )
        wanted = None if organization is None else [session.index(organization)]
        paths = session.loop.answer(wanted)
        number = session.ledger.state().round
    lines = [f"round {number}: {openings} rows of {len(paths)} organization{'s' * (len(paths) != 1)} are opened"]
    lines += [f"  {path}" for path in paths]
    lines += (
        ["for the attester alone: each file holds rows, which are deleted when the round is attested"] if paths else []
    )
    files = {path.stem: str(path) for path in paths}
    emit({"round": number, "openings": openings, "files": files}, "\n".join(lines), as_json=request.as_json)
