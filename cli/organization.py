"""What an organization does: ``deposit``, ``plan``, ``train``, ``submit``, ``withdraw``, ``exit``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cli.consent import Consent, amount_of, bonded, spends
from cli.memorization import describe, warn
from cli.options import common, device_option, organization_option
from cli.output import emit, note, progress, say, table, units
from cli.privacy import print_privacy
from cli.repeats import again_option, once
from cli.silence import print_silence, silence_lines
from cocogen.addresses import ADDRESS, is_address
from cocogen.amounts import MAX, runway
from cocogen.errors import ConfigurationError
from cocogen.operations.agreement import disagreements
from cocogen.operations.bonds import free_amount, top_up
from cocogen.operations.leakage import inspect_round, privacy_spent
from cocogen.operations.outlook import coming_round, coming_silence, plain_silence
from cocogen.operations.plain import plain_contribution, plain_receipt
from cocogen.operations.sent import once_by_state
from cocogen.rounds.report import plan_to_dict
from cocogen.rounds.wallets import add_evidence_signature, unsigned_evidence
from cocogen.terms.roles import shared_roles

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.ledger import Receipt

__all__ = ["deposit", "exit_", "plan", "submit", "train", "withdraw"]


def _receipt_text(receipt: Receipt) -> str:
    return f"transaction {receipt.transaction}, gas {receipt.gas:,}" if receipt.transaction else "in memory"


@click.command(short_help="Accept the terms and add to the bond.")
@organization_option("The organization that deposits.")
@click.option(
    "--amount",
    metavar="AMOUNT",
    help="What to add: 250 (the consortium's currency), 0.25ether or 250wei.  [default: up to twice the bond needed]",
)
@again_option
@common()
@spends
def deposit(request: Request, organization: str, amount: str | None, again: bool, consent: Consent) -> None:
    """Accept the deployed terms and add AMOUNT to the organization's bond.

    On a node's chain it shows amount, fee, sender and what is left, and asks first; a script gives --yes.

    Without --amount nothing is sent where the balance covers two worst rounds already. With it, a deposit that an
    interrupted command made already is shown first: a person is asked whether to make another, a script gives --again.

    With --config FILE it first compares the deployed terms with the organization's own copy of the terms file.

    The bond covers the worst round that the terms allow (the liability); a member below it takes no part in a round.
    Whoever takes part and hands in nothing pays what the terms say, which is shown for the coming round.
    """
    with request.opened() as session:
        n = session.index(organization)
        if request.config is not None:
            found = disagreements(session, request.consortium())
            if session.resolved.settlement.absence is None and not session.ledger.state().accepted[n]:
                found.append("settlement.absence (an older version masks whoever is absent)")
            if found:
                raise ConfigurationError(
                    f"the deployed terms are not those of {request.config}; they differ in {', '.join(found)}",
                    hint="do not deposit before the parties agree; read the resolved terms in the workspace",
                )
        for warning in shared_roles(session.resolved):
            note(f"warning: {warning}")
        wei = None if amount is None else amount_of(session, amount)
        session.journal.deferred = True
        consent.watch(session.provider, bonded(session, n, "deposit", 1))
        if wei is None and not consent.dry_run:
            receipt, added = once_by_state(session.journal, lambda: top_up(session, n), note)
        else:
            again = again or (consent.yes and session.provider.local)
            made = once(session.journal, lambda: top_up(session, n, wei), again=again, ask=not request.as_json)
            receipt, added = made or (None, 0)
        state = session.ledger.state()
        number, silent = coming_silence(session, n)
    liability, balance = state.liabilities[n], state.balances[n]
    unit = session.resolved.settlement.wei_per_unit
    covered = runway(balance, liability)
    data = {
        "organization": organization,
        "deposited": str(added),
        "balance": str(balance),
        "liability": str(liability),
        "runway_rounds": covered,
        "silence": silent,
        "receipt": plain_receipt(receipt),
    }
    nothing = "has nothing to deposit" if amount is None else "deposited nothing more"
    done = nothing if receipt is None else f"deposited {units(added, unit)} ({added} wei)"
    sent = "" if receipt is None else f"\n{_receipt_text(receipt)}"
    if silent is not None:
        sent += "".join(f"\n{line}" for line in silence_lines(organization, silent, number, unit))
    emit(
        data,
        f"{organization} {done}; balance {units(balance, unit)}, bond needed {units(liability, unit)}: enough for "
        f"{'any number of' if covered is None else covered} worst-case rounds{sent}",
        as_json=request.as_json,
    )
    session.journal.release()


@click.command(short_help="What to contribute this round, and what it earns.")
@organization_option("Show this organization only.", required=False)
@common()
def plan(request: Request, organization: str | None) -> None:
    """Compute the equilibrium of the running round, or of the next one, from the resolved terms and the ledger.

    If everyone follows it, nobody gains by deviating alone; epsilon certifies by how much at most. A second table says
    what each would pay, and save, by handing in nothing.
    """
    with request.opened() as session:
        number, participants = coming_round(session)
        names = session.resolved.names
        result = session.loop.plan(number, participants)
        silent = plain_silence(session, result, participants)
        agreed = session.resolved.consortium.rounds
        if number > agreed:
            note(f"all {agreed} agreed rounds are over; this is what another one would be")
    shown = names if organization is None else (names[session.index(organization)],)
    data: dict[str, Any] = {"round": number, "participants": [n for n, p in zip(names, participants, strict=True) if p]}
    data |= plan_to_dict(result, names) | {"silence": silent}
    if organization is not None:
        data = {
            key: {organization: value[organization]} if isinstance(value, dict) else value
            for key, value in data.items()
        }

    def text() -> None:
        rows = [
            [
                name,
                str(data["data"][name]),
                str(data["raw"][name]),
                str(data["generated"][name]),
                f"{data['transfers'][name]:+,.4f}",
                f"{data['payoffs'][name]:,.2f}",
                f"{data['surplus'][name]:+,.2f}",
            ]
            for name in shown
        ]
        table(
            f"{session.resolved.consortium.name}, round {number}: plan at equilibrium",
            ["organization", "real", "to generate", "effective", "transfer", "payoff", "over alone"],
            rows,
            caption=f"epsilon {result.epsilon:.1e} (as integers {result.epsilon_executed:.1e}); "
            f"welfare {result.welfare:,.2f}, {result.planner_welfare - result.welfare:,.4f} below the best that those "
            "who take part could reach",
        )
        print_silence(silent, shown, number, session.resolved.settlement.wei_per_unit)

    emit(data, text, as_json=request.as_json)


@click.command(short_help="Generate, train and write signed evidence.")
@organization_option("Train this organization only.  [default: all participants without evidence]", required=False)
@click.option("--signature", metavar="HEX", help="Complete the evidence of -o NAME with its wallet's signature.")
@device_option
@common()
def train(request: Request, organization: str | None, signature: str | None) -> None:
    """Generate the planned samples, train on them and on local data, and write a signed evidence bundle.

    Before anything leaves the house it looks whether the synthetic samples repeat the training samples, and warns on
    standard error if they do; the exit code stays 0.

    An organization whose account is a contract wallet cannot sign here: its owners sign the digest shown, and
    --signature takes what they made.
    """
    if signature is not None and (organization is None or not _is_hexadecimal(signature)):
        raise ConfigurationError("--signature takes 0x and hexadecimal digits, and goes with -o NAME")
    with request.opened() as session, progress() as bars:
        session.progress = bars
        wanted = None if organization is None else [session.index(organization)]
        number = session.ledger.state().round
        if signature is None:
            paths = session.loop.train(wanted)
        else:
            made = bytes.fromhex(signature[2:])
            n = session.index(str(organization))
            paths = [add_evidence_signature(session.workspace, session.ledger, session.resolved, number, n, made)]
        digests = {path.stem: unsigned_evidence(path, session.ledger) for path in paths}
        spent = privacy_spent(session, list(digests))
        # What a signature is added to was looked at when it was made.
        looked_at = {} if signature is not None else inspect_round(session, number, digests)
    unsigned = {name: "0x" + digest.hex() for name, digest in digests.items() if digest is not None}
    bundles = {path.stem: str(path) for path in paths}
    data = {
        "round": number,
        "bundles": bundles,
        "unsigned": unsigned,
        "memorization": looked_at,
        "privacy": spent,
    }
    lines = [f"round {number}: evidence of {len(paths)} organization{'s' * (len(paths) != 1)}"]
    lines += [f"  {path}" for path in paths]
    pays = "" if session.resolved.masks else ", and pays what `cocogen plan` says"
    for name, entry in looked_at.items():
        if entry is not None:
            lines.append(f"synthetic samples of {name} beside its training samples: {describe(entry)}")
        if entry is not None and entry["flagged"]:
            warn(
                number,
                name,
                entry,
                f"whoever gets {bundles[name]} gets those samples; keep it back, and {name} is absent from the "
                f"round: it gets no model{pays}; docs/generators.md says what the check sees",
            )
    for name, digest in unsigned.items():
        lines.append(f"{name} is a contract wallet; its owners sign {digest} (EIP-1271)")
        lines.append(f"next: `cocogen train -o {name} --signature 0x…`")

    def text() -> None:
        say(*lines)
        if spent and paths:
            print_privacy(spent)

    emit(data, text, as_json=request.as_json)


@click.command(short_help="Hand in an attested contribution.")
@organization_option("The organization whose contribution it is.")
@click.option("--sender", metavar="NAME", help="Relay for a silent member, from half of the window on.")
@common()
def submit(request: Request, organization: str, sender: str | None) -> None:
    """Hand the attested contribution of an organization to the ledger."""
    with request.opened() as session:
        n = session.index(organization)
        by = None if sender is None else session.index(sender)
        receipt = session.loop.submit(n, sender=by)
        number = session.ledger.state().round
        contribution = plain_contribution(session.loop.history.attested(number).contributions[n])
    data = {
        "round": number,
        "organization": organization,
        "sender": sender or organization,
        "contribution": contribution,
        "receipt": plain_receipt(receipt),
    }
    relayed = f" (relayed by {sender})" if sender else ""
    emit(
        data,
        f"round {number}: {organization} contributed {contribution['data']} real and "
        f"{contribution['generated']} effective synthetic samples{relayed}\n{_receipt_text(receipt)}",
        as_json=request.as_json,
    )


@click.command(short_help="Take money out of the bond.")
@organization_option("The organization that withdraws.")
@click.option(
    "--amount",
    metavar="AMOUNT",
    help="What to take: 250 (the consortium's currency), 0.25ether, 250wei, or max as --all.  "
    "[default: all above the bond]",
)
@click.option("--all", "everything", is_flag=True, help="Take the bond too; without it no round is joined.")
@click.option("--to", metavar="ADDRESS", help="Recipient.  [default: the organization's own account]")
@again_option
@common()
@spends
def withdraw(
    request: Request,
    organization: str,
    amount: str | None,
    everything: bool,
    to: str | None,
    again: bool,
    consent: Consent,
) -> None:
    """Withdraw from the organization's balance: by default what the bond does not need.

    On a node's chain it shows amount, fee, sender and what is left, and asks first; a script gives --yes.

    During a round the bond stays whatever is asked for. Between rounds --all takes everything, and the organization
    then takes no part in rounds until it deposits again. An --amount that an interrupted command has paid already is
    shown first: a person is asked whether to pay it again, a script gives --again.
    """
    if amount is not None and amount.strip().lower() == MAX:
        amount, everything = None, True
    if everything and amount is not None:
        raise ConfigurationError("give either --amount or --all")
    if to is not None and not is_address(to):
        raise ConfigurationError(f"--to {to} is not an address", hint=f"give {ADDRESS}")
    with request.opened() as session:
        n = session.index(organization)
        stated = None if amount is None else amount_of(session, amount, smallest=1)
        session.journal.deferred = True
        own = to is None or to.lower() == session.resolved.organization[n].address.lower()
        consent.watch(session.provider, bonded(session, n, "withdrawal", -1, returned=own))

        def take() -> tuple[Receipt, int]:
            wei = free_amount(session, n, everything=everything) if stated is None else stated
            return session.ledger.withdraw(n, wei, to=to), wei

        made: tuple[Receipt, int] | None
        if stated is None and not consent.dry_run:
            made = once_by_state(session.journal, take, note)
        else:
            again = again or (consent.yes and session.provider.local)
            made = once(session.journal, take, again=again, ask=not request.as_json)
        receipt, taken = made or (None, 0)
        state = session.ledger.state()
        balance = state.balances[n]
        open_rounds = session.resolved.consortium.rounds > state.round
    if balance < state.liabilities[n] and open_rounds:
        note(f"{organization} is below its bond and takes no part in the next round unless it deposits again")
    unit = session.resolved.settlement.wei_per_unit
    data = {
        "organization": organization,
        "withdrawn": str(taken),
        "balance": str(balance),
        "to": to or session.resolved.organization[n].address,
        "receipt": plain_receipt(receipt),
    }
    emit(
        data,
        f"{organization} withdrew "
        + ("nothing more" if receipt is None else f"{units(taken, unit)} ({taken} wei)")
        + f"; balance {units(balance, unit)}"
        + ("" if receipt is None else f"\n{_receipt_text(receipt)}"),
        as_json=request.as_json,
    )
    session.journal.release()


@click.command("exit", short_help="Leave the consortium after this round.")
@organization_option("The organization that leaves.")
@click.option("--cancel", is_flag=True, help="Stay after all.")
@common()
def exit_(request: Request, organization: str, cancel: bool) -> None:
    """Announce that the organization takes no part from the next round on; its whole balance becomes free.

    A round that it is out of costs it nothing, and gives it no model. --cancel brings it back.
    """
    with request.opened() as session:
        n, state = session.index(organization), session.ledger.state()
        receipt = session.ledger.exit(n, cancel=cancel)
    if not cancel and state.phase == "open" and state.participants[n] and not state.submitted[n]:
        note(
            f"round {state.round} is open, and {organization} takes part in it still: what handing in nothing costs is "
            f"said by `cocogen plan -o {organization}`"
        )
    data = {"organization": organization, "exiting": not cancel, "receipt": plain_receipt(receipt)}
    words = "stays in the consortium" if cancel else "takes no part from the next round on"
    emit(data, f"{organization} {words}\n{_receipt_text(receipt)}", as_json=request.as_json)


def _is_hexadecimal(text: str) -> bool:
    return re.fullmatch("0x([0-9a-fA-F]{2})+", text) is not None
