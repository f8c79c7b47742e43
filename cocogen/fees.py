"""What it costs to use a settlement system: gas, its price, and the question that can be asked before anything is sent.

Amounts are wei of ether, whatever the consortium settles in. Left out: how a chain estimates gas and what it measured
(``chain.contract``), and who asks whom (``cli.consent``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Agreement", "Gas", "Paying", "Spending"]


@dataclass(frozen=True, slots=True)
class Spending:
    """What one operation is about to take from the account that sends it.

    ``operation``: the contract's function, or "deploy"; ``sender``: the account's address. ``amount``: what it moves,
    in the units that the consortium settles in, 0 where it moves nothing. ``gas``: as estimated, with what has to be
    sent before or after it; ``price``: wei for a unit of gas at present; ``ceiling``: wei that the gas can cost at most
    at the price that is offered, which a node wants to see in the account. ``value``: wei of ether that go along;
    ``held``: wei that the account holds. ``worthless``: a local chain, whose accounts are filled up as needed.
    """

    operation: str
    sender: str
    amount: int
    gas: int
    price: int
    ceiling: int
    value: int
    held: int
    worthless: bool

    @property
    def fee(self) -> int:
        """Wei that the gas costs at the present price."""
        return self.gas * self.price

    @property
    def left(self) -> int:
        """Wei of ether in the account afterwards; what a withdrawal pays out to it is not counted."""
        return self.held - self.value - self.fee


Agreement = Callable[[Spending], None]
"""Is told what is about to be sent; nothing is, if it raises."""


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas of whole transactions of one consortium, in rounds in which everybody contributes.

    ``first_deposit`` is a member's first, ``founding`` what the first of all costs beyond it; ``approve`` is 0 where
    the consortium settles in ether. What ends in ``_first`` holds in the first round: it is dearer to fill storage that
    was zero. ``dispute`` raises one, ``resolve`` ends it with the dearest ruling.
    """

    deploy: int
    approve: int
    first_deposit: int
    founding: int
    deposit: int
    open: int
    open_first: int
    submit: int
    submit_first: int
    record: int
    record_first: int
    calculate: int
    transfer: int
    withdraw: int
    dispute: int
    resolve: int


class Paying(Protocol):
    """The part of a settlement system that knows what sending costs."""

    @property
    def local(self) -> bool:
        """Whether its money is worthless, and its clock can be moved."""
        ...

    def before_sending(self, agreement: Agreement | None, *, rehearsal: bool = False) -> None:
        """Have every transaction agreed to before it is sent; None asks nobody any more.

        With ``rehearsal`` the agreement raises whatever it is told, and not even a local chain's accounts are filled
        up. LedgerError where nothing is ever sent, so that there is nothing to rehearse.
        """
        ...

    def gas_price(self) -> int | None:
        """Wei for a unit of gas at present; None where nothing is paid for."""
        ...

    def spending(self, operation: str, name: str, gas: int) -> Spending | None:
        """What sending so much gas takes from the account of an organization or role; None where nothing is paid for.

        LedgerError where it cannot pay that.
        """
        ...

    def ether(self, address: str) -> int | None:
        """Wei of ether that an account holds; None where nothing is paid for."""
        ...

    def gas(self, members: int, *, token: bool) -> Gas:
        """What the operations of a consortium of so many members take, as measured; ``token``: it settles in one."""
        ...
