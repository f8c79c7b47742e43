"""``cocogen attest``: verify the members' evidence and sign what was really contributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common
from cli.output import emit, progress, table

if TYPE_CHECKING:
    from cli.session import Request

__all__ = ["attest"]


@click.command(short_help="Verify evidence and sign contributions.")
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[BUNDLE]...")
@common()
def attest(request: Request, bundles: tuple[str, ...]) -> None:
    """Verify the evidence BUNDLEs of the running round (default: all in the workspace), aggregate the model, measure
    each generator, and sign the contributions that hold. A round is attested once.
    """
    from cli.session import Session, contribution_data

    with Session.opened(request) as session, progress() as bars:
        session.progress = bars
        attested = session.loop.attest([Path(bundle) for bundle in bundles] or None)
    names = session.resolved.names
    data = {
        "round": attested.round,
        "contributions": {name: contribution_data(c) for name, c in zip(names, attested.contributions, strict=True)},
        "rejected": attested.rejected,
        "quality": dict(zip(names, attested.quality, strict=True)),
        "evaluation": attested.evaluation,
        "file": str(session.workspace.attested(attested.round)),
    }

    def text() -> None:
        rows = []
        for name, c, quality in zip(names, attested.contributions, attested.quality, strict=True):
            counts = (
                ["-", "-", "rejected" if name in attested.rejected else "no evidence"]
                if c is None
                else [
                    str(c.data),
                    str(c.generated),
                    "signed",
                ]
            )
            rows.append([name, *counts[:2], f"{quality:.3f}", counts[2]])
        table(
            f"{session.resolved.consortium.name}, round {attested.round}: attested contributions",
            ["organization", "real", "effective synthetic", "next κ", "verdict"],
            rows,
            caption=f"aggregated model: accuracy {attested.evaluation['accuracy']:.4f} on the test fold",
        )

        for name, reason in attested.rejected.items():
            click.echo(f"{name} was rejected: {reason}")

    emit(data, text, as_json=request.as_json)
