"""``cocogen attest``: verify the members' evidence and sign what was really contributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common
from cli.output import emit, progress, say, table
from cocogen.errors import ConfigurationError
from cocogen.files import parse_json, read_bounded
from cocogen.operations.plain import plain_contribution
from cocogen.rounds.wallets import add_attestations, unsigned_attestations
from cocogen.terms.metrics import metric_field, metric_words

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["attest"]


@click.command(short_help="Verify evidence and sign contributions.")
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[BUNDLE]...")
@click.option(
    "--signatures",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON object from organizations to the 0x signatures that the owners of a contract wallet made.",
)
@common()
def attest(request: Request, bundles: tuple[str, ...], signatures: Path | None) -> None:
    """Verify the evidence BUNDLEs of the running round (default: all in the workspace), aggregate the model, measure
    each generator, and sign the contributions that hold. A round is attested once.

    An attester that is a contract wallet cannot sign here: its owners sign the digests shown, and --signatures takes
    what they made.
    """
    with request.opened() as session, progress() as bars:
        session.progress = bars
        if signatures is not None:
            number = session.ledger.state().round
            given = _read_signatures(signatures)
            attested = add_attestations(session.workspace, number, session.resolved.names, given)
        else:
            attested = session.loop.attest([Path(bundle) for bundle in bundles] or None)
        names, metric = session.resolved.names, session.resolved.learning.metric
        digests = unsigned_attestations(attested, session.ledger, names)
    unsigned = {name: "0x" + digest.hex() for name, digest in digests.items()}
    data = {
        "round": attested.round,
        "contributions": {name: plain_contribution(c) for name, c in zip(names, attested.contributions, strict=True)},
        "rejected": attested.rejected,
        "unsigned": unsigned,
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
                    "to be signed" if name in unsigned else "signed",
                ]
            )
            rows.append([name, *counts[:2], "-" if quality is None else f"{quality:.3f}", counts[2]])
        table(
            f"{session.resolved.consortium.name}, round {attested.round}: attested contributions",
            ["organization", "real", "effective synthetic", "next κ", "verdict"],
            rows,
            caption=f"aggregated model: {_measured(attested.evaluation, metric)} on the test fold",
        )

        for name, reason in attested.rejected.items():
            say(f"{name} was rejected: {reason}")
        if unsigned:
            say("the attester is a contract wallet; its owners sign these digests (EIP-1271):")
            for name, digest in unsigned.items():
                say(f"  {name}: {digest}")
            say('next: `cocogen attest --signatures FILE` with {"NAME": "0x…", …}')

    emit(data, text, as_json=request.as_json)


def _measured(evaluation: dict[str, float], metric: str) -> str:
    between = f" ({evaluation['low']:.3f} to {evaluation['high']:.3f} at 95 %)" if "low" in evaluation else ""
    return f"{metric_words(metric)} {evaluation[metric_field(metric)]:.4f}{between}"


def _read_signatures(path: Path) -> dict[str, bytes]:

    try:
        content = parse_json(read_bounded(path))
        return {name: bytes.fromhex(text.removeprefix("0x")) for name, text in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{path} holds no signatures: {error}", hint='write a JSON object such as {"north": "0x…"}'
        ) from error
