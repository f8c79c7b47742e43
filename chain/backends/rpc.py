"""A consortium on a chain that others run: any Ethereum node over JSON-RPC.

Its money is real, so it is neither created nor is time moved: windows are waited for. A development node (anvil or
ganache with a development chain id) behind the same URL is a local chain instead. Left out: starting nodes
(:mod:`chain.backends.anvil`, :mod:`chain.backends.ganache`).
"""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime

from web3 import Web3

from chain.abi import LARGEST_WORD
from chain.backends.connection import Connection
from chain.backends.failures import node_errors
from chain.backends.journal import Journal
from chain.backends.provider import NodeProvider
from chain.errors.chain import ChainUnavailable, NotALocalChain
from cocogen.fees import Agreement

__all__ = ["CONFIRMATIONS", "FEE_LIMIT", "RpcBackend"]

_LOG = logging.getLogger(__name__)

FEE_LIMIT = 10**18
"""Wei of gas money that a transaction may cost, unless the user says otherwise: a deployment at 300 gwei."""

CONFIRMATIONS = 1
"""Blocks that must follow a transaction's block before it counts, unless the user says otherwise."""

_QUANTITY = re.compile(r"0[xX]0*[0-9a-fA-F]{1,64}")
"""A number of at most 256 bits, as nodes write them; some pad with zeros."""

_LONGEST_SLEEP = 15.0
"""Seconds between two looks at the clock of a chain that is waited for."""


class RpcBackend(Connection):
    """The chain of the node behind ``provider``, which this backend owns from here on.

    Parameters
    ----------
    provider
        The connection.
    confirmations
        Blocks that must follow a transaction's block before it counts, at least 0.

    Raises
    ------
    ChainUnavailable
        There is no Ethereum node.
    """

    local = False
    kind = "rpc"
    agreement: Agreement | None = None

    def __init__(self, provider: NodeProvider, *, confirmations: int = CONFIRMATIONS) -> None:
        self.location = provider.location
        self.confirmations = confirmations
        self.fee_limit = FEE_LIMIT
        self.journal = Journal()
        self._provider = provider
        self._web3: Web3 | None = Web3(provider)
        try:
            self._chain_id = self._ask_chain_id()
        except BaseException:
            provider.close()
            raise

    @property
    def chain_id(self) -> int:
        """EIP-155 identifier, as the node gave it when it was connected."""
        return self._chain_id

    def now(self) -> int:
        """Time of the latest block, Unix seconds."""
        with node_errors():
            return int(self.web3.eth.get_block("latest")["timestamp"])

    def advance(self, seconds: int) -> None:
        """Refuse: a shared chain's clock cannot be moved."""
        raise NotALocalChain(
            f"the clock of {self.location} cannot be moved by {seconds} seconds: it is no local chain",
            hint="wait; the command that needs the time goes on once a block is late enough",
        )

    def wait_until(self, timestamp: int) -> None:
        """Return once a block with a time ≥ ``timestamp`` (Unix seconds) is there; sleeps meanwhile."""
        if timestamp - self.now() > _LONGEST_SLEEP:
            _LOG.warning("waiting for the chain to reach %s", datetime.fromtimestamp(timestamp, UTC).isoformat(" "))
        while (gap := timestamp - self.now()) > 0:
            time.sleep(min(max(gap / 2, 0.2), _LONGEST_SLEEP))

    def fund(self, address: str, minimum: int) -> None:
        """Refuse: ether has to be bought or sent."""
        raise NotALocalChain(
            f"{address} cannot be given {minimum} wei on {self.location}: it is no local chain",
            hint="send ether to this address first",
        )

    def assume(self, address: str, minimum: int) -> None:
        """As :meth:`fund`: a development node is told a balance without any transaction."""
        self.fund(address, minimum)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        super().close()
        self._provider.close()

    def _ask_chain_id(self) -> int:
        with node_errors():
            answer = self._provider.make_request("eth_chainId", [])  # type: ignore[arg-type]
        found = answer.get("result", answer.get("error"))
        if not isinstance(found, str) or not _QUANTITY.fullmatch(found):
            raise ChainUnavailable(
                f"{self.location} does not answer as an Ethereum node: its chain id is {str(found)[:40]!r}",
                hint=f"check the address; this must be a node's JSON-RPC endpoint, and a chain id lies between 0 and "
                f"{LARGEST_WORD:#x}",
            )
        return int(found, 16)
