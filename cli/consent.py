"""Whatever spends on a chain shows what it is about to send, and asks: who pays, how much, which fee, what is left.

``--yes`` asks nothing, ``--dry-run`` sends nothing. Nothing is asked on a local chain, whose money is worthless. What
is asked is that one question, after everything that could refuse the transaction has been tried, and right before it is
signed: what is shown is what is sent.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.output import emit, note, units
from cocogen.amounts import GWEI, in_ether, parse_amount
from cocogen.errors import NotAgreed

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.fees import Paying, Spending
    from cocogen.operations.session import Session

__all__ = ["Consent", "Purchase", "Rehearsed", "amount_of", "bonded", "spends"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is being paid for, in words that the chain does not know.

    ``what``: "deposit", "withdrawal" …; ``by``: the organization or role that sends. ``wei_per_unit``: of the currency,
    None where no amount is shown. ``bond``: wei of the organization's balance in the consortium before, None where it
    does not change; ``sign``: +1 where the amount goes into it, -1 where it goes out. ``returned``: the amount comes
    back to the account that sends.
    """

    what: str
    by: str
    wei_per_unit: int | None = None
    bond: int | None = None
    sign: int = 1
    returned: bool = False


class Rehearsed(Exception):
    """It was tried what would be sent, and nothing was."""

    def __init__(self, data: dict[str, Any], lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.data = data
        self.lines = lines


class Consent:
    """What a command was allowed to spend: nothing before it is shown, and agreed to by a person or by ``--yes``."""

    def __init__(self, *, yes: bool, dry_run: bool, as_json: bool) -> None:
        self.yes = yes
        self.dry_run = dry_run
        self._as_json = as_json
        self._agreed = False

    def watch(self, provider: Paying, purchase: Purchase) -> None:
        """Be asked before anything of this purchase is sent; LedgerError where a dry run makes no sense."""
        self._agreed = False
        provider.before_sending(functools.partial(self.ask, purchase), rehearsal=self.dry_run)

    def ask(self, purchase: Purchase, spending: Spending) -> None:
        """Show what is about to be sent and ask, once for all transactions of a purchase.

        Raises
        ------
        NotAgreed
            The person said no, or nobody is there to ask and ``--yes`` is missing.
        Rehearsed
            This is a dry run.
        """
        data, lines = _plain(purchase, spending), _lines(purchase, spending)
        if self.dry_run:
            raise Rehearsed(data, lines)
        if spending.worthless or self._agreed:
            return
        if not self.yes and (self._as_json or sys.stdin is None or not sys.stdin.isatty()):
            raise NotAgreed(
                f"the {purchase.what} was not sent: {'; '.join(lines)}",
                hint="add --yes to send it without a question; a person at a terminal is asked",
            )
        for line in lines:
            note(line)
        if not self.yes and not click.confirm("Send it?", default=False, err=True):
            raise NotAgreed(f"the {purchase.what} was not sent: you did not agree", hint="nothing has changed")
        self._agreed = True


def spends(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--yes --dry-run`` for a command that takes the request and a :class:`Consent`; goes below ``@common()``."""

    @click.option(
        "--yes", is_flag=True, help="Do not ask; without it a node's chain asks first, local chains never do."
    )
    @click.option("--dry-run", is_flag=True, help="Show amount, fee, sender and what is left; send nothing.")
    @functools.wraps(function)
    def command(request: Request, *arguments: Any, yes: bool, dry_run: bool, **options: Any) -> Any:
        consent = Consent(yes=yes, dry_run=dry_run, as_json=request.as_json)
        try:
            return function(request, *arguments, consent=consent, **options)
        except Rehearsed as found:
            text = "\n".join([*found.lines, "nothing was sent (--dry-run)"])
            emit(found.data, text, as_json=request.as_json)
            return None

    return command


def bonded(session: Session, index: int, what: str, sign: int, *, returned: bool = False) -> Purchase:
    """A purchase that changes the balance of an organization."""
    return Purchase(
        what=what,
        by=session.resolved.names[index],
        wei_per_unit=session.resolved.settlement.wei_per_unit,
        bond=session.ledger.state().balances[index],
        sign=sign,
        returned=returned and session.resolved.settlement.token is None,
    )


def amount_of(session: Session, text: str, *, smallest: int = 0) -> int:
    """The wei, or smallest units of the token, of an amount as written; ConfigurationError where it is none."""
    settlement = session.resolved.settlement
    return parse_amount(text, settlement.wei_per_unit, smallest=smallest, token=settlement.token is not None)


def _account(purchase: Purchase, spending: Spending) -> int:
    return spending.left + (spending.amount if purchase.returned else 0)


def _bond(purchase: Purchase, spending: Spending) -> int | None:
    return None if purchase.bond is None else purchase.bond + purchase.sign * spending.amount


def _plain(purchase: Purchase, spending: Spending) -> dict[str, Any]:
    bond = _bond(purchase, spending)
    return {
        "dry_run": True,
        "operation": spending.operation,
        "by": purchase.by,
        "sender": spending.sender,
        "amount": str(spending.amount),
        "gas": spending.gas,
        "gas_price": str(spending.price),
        "fee": str(spending.fee),
        "fee_at_most": str(spending.ceiling),
        "account_before": str(spending.held),
        "account_after": str(_account(purchase, spending)),
        "balance_after": None if bond is None else str(bond),
        "local": spending.worthless,
    }


def _lines(purchase: Purchase, spending: Spending) -> list[str]:
    unit, bond = purchase.wei_per_unit, _bond(purchase, spending)
    amount = "" if unit is None else f" of {units(spending.amount, unit)} ({spending.amount} wei)"
    price = in_ether(spending.price * GWEI, 3)
    lines = [
        f"{purchase.what}{amount} by {purchase.by}, {spending.sender}",
        f"fee: about {in_ether(spending.fee, 9)} ether, at most {in_ether(spending.ceiling, 9)} "
        f"({spending.gas:,} gas at {price} gwei)",
    ]
    afterwards = [] if bond is None or unit is None else [f"{units(bond, unit)} in the consortium"]
    if spending.worthless:
        afterwards.append("an account that a local chain fills up")
    else:
        afterwards.append(f"about {in_ether(_account(purchase, spending), 9)} ether in the account")
    return [*lines, f"afterwards: {', '.join(afterwards)}"]
