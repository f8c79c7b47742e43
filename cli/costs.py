"""``cocogen costs``: gas and ether of every role, before anybody has agreed to anything."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from chain.backends.urls import is_url, masked
from chain.gas import measured_gas
from chain.open import open_ledger
from chain.twin.ledger import MemoryProvider
from cli.options import common
from cli.output import emit, say, table, units
from cocogen.amounts import GWEI, in_ether, parse_amount
from cocogen.errors import WorkspaceError
from cocogen.operations.costs import ASSUMED_PRICE, Costs, Step
from cocogen.operations.costs import costs as costs_of
from cocogen.operations.session import load_resolved

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.terms.consortium import Consortium

__all__ = ["costs"]

_WHO = {"operator": "operator", "attester": "attester", "organization": "each organization", "arbiter": "arbiter"}


@click.command(short_help="Gas and ether of each role for all rounds.")
@click.option(
    "--gas-price",
    metavar="AMOUNT",
    help="Price of a unit of gas, for example 3gwei.  [default: that of --ledger, else 5gwei]",
)
@common(config_argument=True)
def costs(request: Request, gas_price: str | None) -> None:
    """Show what CONFIG costs each role in gas and ether: deployment, deposits, all its rounds, withdrawals.

    Gas is what the contract's operations take, as measured. Its price is that of the node that --ledger names; without
    one an assumed price, which is said. Bonds are shown where the terms are resolved: they come back, gas does not.
    """
    consortium = request.consortium()
    price, source = _price(request, gas_price, consortium)
    settlement = consortium.settlement
    token = settlement.token is not None
    found = costs_of(
        consortium=consortium.consortium.name,
        names=consortium.names,
        rounds=consortium.consortium.rounds,
        gas=measured_gas(len(consortium.names), token=token),
        price=price,
        source=source,
        wei_per_unit=settlement.wei_per_unit,
        token=token,
        dispute_bond=settlement.dispute_bond,
        liabilities=_liabilities(request, consortium),
    )
    emit(found.plain(), lambda: _show(found), as_json=request.as_json)


def _price(request: Request, stated: str | None, consortium: Consortium) -> tuple[int, str]:
    """Wei for a unit of gas, and whose price that is."""
    if stated is not None:
        return parse_amount(stated, 1, field="--gas-price"), "as stated"
    if request.ledger is None:
        return ASSUMED_PRICE, "assumed: no ledger is named"
    if not is_url(request.ledger):
        return ASSUMED_PRICE, "assumed: a local chain's ether is worthless"
    with contextlib.closing(open_ledger(request.ledger, seed=consortium.consortium.seed)) as provider:
        price = provider.gas_price()
    if price is None:
        return ASSUMED_PRICE, "assumed: nothing is paid for there"
    return price, f"at present on {masked(request.ledger)}"


def _liabilities(request: Request, consortium: Consortium) -> dict[str, int] | None:
    """The bonds, where these very terms are resolved in the workspace."""
    try:
        resolved = load_resolved(request.new_workspace(consortium))
    except WorkspaceError:
        return None
    if resolved.disagreements(consortium):
        return None
    decoded = MemoryProvider(resolved.consortium.seed).decode(resolved.settlement_terms())
    return dict(zip(resolved.names, decoded.liabilities, strict=True))


def _show(found: Costs) -> None:
    many = len(found.names)
    table(
        f"{found.consortium}: {found.rounds} round{'s' * (found.rounds != 1)} of {many} organizations",
        ["who does what", "times", "gas", "ether"],
        [
            *(_row(found, step) for step in found.steps if not step.disputed),
            ["the first to deposit, more", "1", f"{found.founding:,}", _ether(found, found.founding)],
            ["all together", "", f"{found.gas:,}", _ether(found, found.gas)],
            *(_row(found, step) for step in found.steps if step.disputed),
        ],
        caption=f"gas as measured; its price: {in_ether(found.price * GWEI, 3)} gwei, {found.source}",
    )
    say(
        "an account must hold more than a fee: nodes reserve up to 2.5 times of it for a",
        "transaction under way, in case the price rises",
    )
    if found.token:
        say("tokens that do more than a plain ERC-20 take more gas for deposits and withdrawals")
    if found.liabilities is None:
        say("bonds: not known before the terms are resolved (`cocogen deploy` says them)")
        return
    table(
        "bonds (they come back; a deposit is twice the worst loss of a round)",
        ["organization", "worst loss of a round", "deposit"],
        [
            [name, units(wei, found.wei_per_unit), units(2 * wei, found.wei_per_unit)]
            for name, wei in found.liabilities.items()
        ],
        caption=f"an objection locks {units(found.dispute_bond, found.wei_per_unit)} more until it is ruled on",
    )


def _row(found: Costs, step: Step) -> list[str]:
    if step.disputed:
        who = "organization" if step.role == "organization" else step.role
        return [f"if disputed: {who}, {step.what}", str(step.times), f"{step.gas:,}", _ether(found, step.gas)]
    return [f"{_WHO[step.role]}: {step.what}", str(step.times), f"{step.gas:,}", _ether(found, step.gas)]


def _ether(found: Costs, gas: int) -> str:
    return in_ether(gas * found.price, 6) if gas * found.price >= 10**12 else in_ether(gas * found.price, 12)
