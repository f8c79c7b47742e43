"""Event queries that nodes with limits answer too: many providers refuse ranges of blocks or results that are long."""

from __future__ import annotations

from eth_typing import BlockNumber, ChecksumAddress
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import LogReceipt

from chain.errors.chain import RequestUnanswered

__all__ = ["contract_logs"]

_STREAK = 8
"""Answers in a row after which twice as many blocks are asked for: a refusal can cost a whole timeout."""


def contract_logs(web3: Web3, address: ChecksumAddress, first: int, last: int) -> list[LogReceipt]:
    """Return the logs of ``address`` from block ``first`` to block ``last``, both included, oldest first.

    One query where the node allows it; a range that it refuses, in whatever words, or does not answer in time is
    halved until it does. The refusal of a single block is raised as it comes.
    """
    found: list[LogReceipt] = []
    span, streak = last - first + 1, 0
    while first <= last:
        until = min(first + span - 1, last)
        try:
            found += web3.eth.get_logs(
                {"address": address, "fromBlock": BlockNumber(first), "toBlock": BlockNumber(until)}
            )
        except (Web3RPCError, RequestUnanswered):
            if first == until:
                raise
            span, streak = (until - first + 1) // 2, 0
            continue
        first, streak = until + 1, streak + 1
        if streak == _STREAK:
            span, streak = 2 * span, 0
    return found
