"""What a transaction will take from its sender, before it is signed: how much gas, at which price.

Left out: sending it (``chain.contract.transactions``), and what whole rounds take (``chain.gas``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from web3 import Web3

from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.errors.chain import FeeTooHigh, TooLittleEther
from cocogen.fees import Spending

__all__ = ["Purpose", "market_price", "present_price", "spending", "with_reserve"]

_GAS_CAP = 1 << 24
"""The most gas that a transaction may ask for on current networks (EIP-7825)."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """The operation that transactions serve: its function, what it moves, the gas of what is still to come."""

    operation: str
    amount: int
    gas: int


def with_reserve(estimate: int) -> int:
    """A quarter more gas: state that other transactions change meanwhile can cost more than was estimated."""
    return min(estimate * 5 // 4, max(estimate, _GAS_CAP))


def spending(backend: Backend, purpose: Purpose, sender: str, gas: int, value: int = 0) -> Spending:
    """What a transaction with so much gas and ``value`` wei takes from its sender, and what it serves, at present.

    Raises
    ------
    TooLittleEther
        The account does not hold what that can come to (not on local chains). FeeTooHigh: it is beyond the limit.
    """
    eth = backend.web3.eth
    with node_errors():
        found = Spending(
            operation=purpose.operation,
            sender=sender,
            amount=purpose.amount,
            gas=gas + purpose.gas,
            price=present_price(eth),
            ceiling=(with_reserve(gas) + purpose.gas) * max(market_price(eth).values()),
            value=value,
            held=int(eth.get_balance(Web3.to_checksum_address(sender))),
            worthless=backend.local,
        )
    if not backend.local and found.ceiling > backend.fee_limit:
        raise FeeTooHigh(found.ceiling, backend.fee_limit)
    if not backend.local and found.held < value + found.ceiling:
        raise TooLittleEther(sender, found.held, value, found.ceiling)
    return found


def present_price(eth: Any) -> int:
    """Wei for a unit of gas in the next block: base fee and tip, or the node's price where blocks have no base fee."""
    base = eth.get_block("latest").get("baseFeePerGas")
    return int(eth.gas_price) if base is None else int(base) + int(eth.max_priority_fee)


def market_price(eth: Any) -> dict[str, int]:
    """Wei per gas that get a transaction mined soon: EIP-1559 fees, or one price where blocks have no base fee."""
    base = eth.get_block("latest").get("baseFeePerGas")
    if base is None:
        return {"gasPrice": int(eth.gas_price)}
    tip = int(eth.max_priority_fee)
    return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}
