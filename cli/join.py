"""``cocogen join``: a member looks at a deployed consortium on its own node, and accepts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.consent import Consent, bonded, spends
from cli.options import common, organization_option
from cli.output import emit, note, say, units, wrapped
from cli.request import HOME
from cocogen.data.own.site import load_site
from cocogen.errors import ConfigurationError
from cocogen.evidence.registered import Registration, read_registration
from cocogen.operations.bonds import top_up
from cocogen.operations.consortium_file import read_consortium_file
from cocogen.operations.join import offer, open_file, own_line
from cocogen.operations.plain import plain_receipt
from cocogen.operations.sent import once_by_state
from cocogen.operations.site_state import SiteState
from cocogen.rounds.workspace import Workspace
from cocogen.terms.roles import shared_roles

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.operations.join import Offer

__all__ = ["join"]

_SPAN = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@click.command(short_help="Look at a deployed consortium, accept it and bond.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@organization_option("The organization that joins.  [default: that of the site file in --sites]", required=False)
@click.option(
    "--registration",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Own data: what the organization registered.  [default: the one that the site in --sites remembers]",
)
@common()
@spends
def join(request: Request, file: str, consent: Consent, organization: str | None, registration: str | None) -> None:
    """Open FILE (NAME.consortium, from the operator), compare it with the chain and with what the organization
    registered itself, say in words what it agrees to, and deposit the bond.

    The contract's code and the digest of the terms are read through your own node (--ledger): nothing in FILE is
    believed. On a node's chain it asks before it deposits.
    """
    opened = read_consortium_file(Path(file))
    name = organization or _own_name(request)
    mine = _own_registration(request, name, registration, opened.resolved.terms_sha256)
    own_line(opened, name, mine)
    workspace = Workspace(request.workspace or HOME / opened.resolved.consortium.name)
    with workspace.locked():
        if request.ledger is None:
            raise ConfigurationError(
                "no ledger was named", hint="name your own node: --ledger http://… (or set COCOGEN_LEDGER)"
            )
        open_file(opened, workspace, ledger=request.ledger_specification(), terms_file=str(workspace.terms.resolve()))
    with request.at(workspace).opened() as session:
        n = session.index(name)
        found = offer(session, name)
        unit = session.resolved.settlement.wei_per_unit
        if not request.as_json:
            say(*_words(found, unit, own=mine is not None))
        for warning in shared_roles(session.resolved):
            note(f"warning: {warning}")
        session.journal.deferred = True
        consent.watch(session.provider, bonded(session, n, "deposit", 1))
        if consent.dry_run:
            receipt, added = top_up(session, n)
        else:
            receipt, added = once_by_state(session.journal, lambda: top_up(session, n), note)
        balance = session.ledger.state().balances[n]
    data: dict[str, Any] = found.plain() | {
        "deposited": str(added),
        "balance": str(balance),
        "receipt": plain_receipt(receipt),
    }
    done = "had joined before" if receipt is None else f"joined and deposited {units(added, unit)}"
    emit(data, f"{name} {done}; its balance is {units(balance, unit)}", as_json=request.as_json)
    session.journal.release()


def _own_name(request: Request) -> str:
    sites = request.site_files()
    if len(sites) != 1:
        raise ConfigurationError("no organization was named", hint="give -o NAME, or your site file with --sites")
    return load_site(sites[0]).organization


def _own_registration(request: Request, name: str, file: str | None, terms_digest: str) -> Registration | None:
    if file is not None:
        return read_registration(Path(file))
    sites = request.site_files()
    if len(sites) != 1:
        return None
    kept = SiteState.beside(sites[0], name).registered(terms_digest)
    return None if kept is None else kept.registration


def _words(found: Offer, unit: int, *, own: bool) -> list[str]:
    """What an organization agrees to, on lines of at most 80 columns."""
    sentences = [
        f"{found.organization} joins {found.consortium} ({found.mechanism}, {found.rounds} rounds) with the account "
        f"{found.address}",
        f"in a round it can lose at most {units(found.worst_round, unit)}, which its bond covers; to deposit now: "
        f"{units(found.deposit, unit)}, for two such rounds",
        f"a round takes evidence for {_span(found.submit_window)}, can be disputed for {_span(found.dispute_window)}, "
        f"and is ruled on for {_span(found.arbiter_window)} by {found.arbiter}",
        f"contributions are measured and signed by {found.attester}",
        _absence(found.absence),
    ]
    if own:
        sentences.append(
            f"of its {found.registered} training rows counts and sums have left the site; a round sends model "
            "updates"
            + (f", synthetic samples (at most {found.generates})" if found.generates else "")
            + (f", and {found.openings} rows, opened to the attester alone" if found.openings else ", and no row")
        )
    return [line for sentence in sentences for line in wrapped(sentence)]


def _absence(rule: str) -> str:
    if rule == "masked":
        return "whoever takes part and hands in nothing pays nothing, and gets no model"
    return f"whoever takes part and hands in nothing pays as if it had contributed what is {rule}, and gets no model"


def _span(seconds: int) -> str:
    size, name = next((size, name) for size, name in _SPAN if seconds % size == 0)
    count = seconds // size
    return f"{count} {name}{'s' * (count != 1)}"
