"""``cocogen dispute raise|resolve``: objecting to a recorded round, and the arbiter's ruling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.consent import Consent, Purchase, spends
from cli.options import common, organization_option
from cli.output import emit, units, word
from cocogen.errors import ConfigurationError
from cocogen.files import duration
from cocogen.operations.plain import plain_receipt
from cocogen.rounds.disputes import raise_dispute, resolve_dispute

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["dispute"]

RULINGS = ("settle", "void", "settle-and-forfeit")
_MEANING = {
    "settle": "the contributions stand and the round can be settled at once; the bond is free again",
    "void": "the round ends without payoffs; the bond is free again",
    "settle-and-forfeit": "the contributions stand and the round can be settled at once; the bond goes to the others",
}


@click.group(short_help="Object to a recorded round, or rule on it.")
def dispute() -> None:
    """Object to a recorded round before it is settled, and end the dispute.

    Rulings: settle (the contributions stand), void (the round ends without payoffs), settle-and-forfeit (they stand,
    and the disputant's bond is shared by the other contributors).
    """


@dispute.command("raise")
@organization_option("The participant that objects.")
@click.option("--reason", metavar="TEXT", help="Why; its SHA-256 goes on the ledger, the text stays in the workspace.")
@click.option(
    "--reason-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The same, as a file.",
)
@common()
@spends
def raise_(request: Request, organization: str, reason: str | None, reason_file: Path | None, consent: Consent) -> None:
    """Object to the recorded round within its dispute window; on a node's chain it shows the fee and asks first.

    Locks the dispute bond of the terms, beyond the liability, until the arbiter has ruled. A round is disputed once.
    """
    if (reason is None) == (reason_file is None):
        raise ConfigurationError("give either --reason TEXT or --reason-file FILE")
    try:
        document = reason.encode() if reason is not None else Path(str(reason_file)).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{reason_file} cannot be read: {error.strerror}") from error
    if not document.strip():
        raise ConfigurationError("the reason is empty", hint="say what is wrong with the round, for the arbiter")
    with request.opened() as session:
        n = session.index(organization)
        consent.watch(session.provider, Purchase("objection", organization))
        receipt, path = raise_dispute(session.ledger, session.workspace, n, document)
        state = session.ledger.state()
        settlement = session.resolved.settlement
    bond = units(settlement.dispute_bond, settlement.wei_per_unit)
    data = {
        "round": state.round,
        "organization": organization,
        "reason": str(path),
        "bond": str(settlement.dispute_bond),
        "deadline": state.deadline,
        "now": state.now,
        "receipt": plain_receipt(receipt),
    }
    emit(
        data,
        f"round {state.round} is disputed by {organization}; its dispute bond of {bond} is locked; the arbiter rules "
        f"within {duration(state.deadline - state.now)}\n"
        f"the reason is kept in {word(path)}: hand it to the arbiter\n"
        f"next: `cocogen dispute resolve {'|'.join(RULINGS)}` by the arbiter; if it stays silent, "
        f"`cocogen dispute resolve --default` ({settlement.dispute_default}) by anyone",
        as_json=request.as_json,
    )


@dispute.command()
@click.argument("ruling", type=click.Choice(RULINGS), required=False)
@click.option(
    "--default", "by_default", is_flag=True, help="Bring about the terms' default after the arbiter's window."
)
@click.option("--advance", is_flag=True, help="With --default, on local chains: jump to the end of that window.")
@common()
@spends
def resolve(request: Request, ruling: str | None, by_default: bool, advance: bool, consent: Consent) -> None:
    """End the dispute of the current round: as the arbiter with RULING, or as anyone with --default.

    On a node's chain it shows the fee and asks first.
    """
    if (ruling is None) != by_default:
        raise ConfigurationError(
            "give a ruling, or --default",
            hint=f"the arbiter rules {', '.join(RULINGS)}; after its window anyone may use --default",
        )
    if advance and not by_default:
        raise ConfigurationError("--advance goes with --default: the arbiter rules within its window")
    with request.opened() as session:
        chosen: Any = ruling or session.resolved.settlement.dispute_default
        consent.watch(session.provider, Purchase("ruling", "operator" if by_default else "arbiter"))
        receipt = resolve_dispute(
            session.ledger, chosen, as_arbiter=not by_default, advance=advance and not consent.dry_run
        )
        outcome = session.ledger.outcomes()[-1]
        unit = session.resolved.settlement.wei_per_unit
        names = session.resolved.names
    forfeited = outcome.dispute.forfeited if outcome.dispute else 0
    data = {
        "round": outcome.round,
        "organization": names[outcome.dispute.organization] if outcome.dispute else None,
        "ruling": chosen,
        "forfeited": str(forfeited),
        "status": outcome.status,
        "receipt": plain_receipt(receipt),
    }
    taken = f" ({units(forfeited, unit)} in all)" if forfeited else ""
    upcoming = "`cocogen round open`" if chosen == "void" else "`cocogen round settle`"
    emit(data, f"round {outcome.round}: {_MEANING[chosen]}{taken}\nnext: {upcoming}", as_json=request.as_json)
