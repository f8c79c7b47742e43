"""Event queries that nodes with limits answer too: many providers refuse ranges of blocks or results that are long."""

from __future__ import annotations

from collections.abc import Sequence

from eth_typing import BlockNumber, ChecksumAddress
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import LogReceipt

__all__ = ["contract_logs"]


def contract_logs(web3: Web3, address: ChecksumAddress, first: int, last: int) -> Sequence[LogReceipt]:
    """Return the logs of ``address`` from block ``first`` to block ``last``, both included, oldest first.

    One query where the node allows it; a range that it refuses is halved until it does. The refusal of a single
    block is raised as web3 raises it.
    """
    try:
        return web3.eth.get_logs({"address": address, "fromBlock": BlockNumber(first), "toBlock": BlockNumber(last)})
    except Web3RPCError:
        if first >= last:
            raise
    middle = (first + last) // 2
    earlier = contract_logs(web3, address, first, middle)
    return [*earlier, *contract_logs(web3, address, middle + 1, last)]
