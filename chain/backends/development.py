"""Development nodes, anvil and ganache: chains whose money is worthless and whose clock can be moved.

They are recognized by what they say of themselves, so a node that somebody started by hand serves as well as one
that :mod:`chain.backends.anvil` or :mod:`chain.backends.ganache` started.
"""

from __future__ import annotations

from typing import Any

from web3 import Web3

from chain.backends.clock import MovableClock
from chain.backends.provider import NodeProvider
from chain.backends.rpc import CONFIRMATIONS, RpcBackend
from chain.errors.chain import ChainUnavailable

__all__ = ["DEVELOPMENT_CHAIN_IDS", "DevelopmentBackend", "connect"]

DEVELOPMENT_CHAIN_IDS = (31_337, 1_337)
"""Chain ids by which anvil and ganache mark chains of no value."""


def connect(url: str, *, confirmations: int = CONFIRMATIONS, timeout: float = 30.0, attempts: int = 6) -> RpcBackend:
    """Connect to the node at ``url``: as to a local chain if it is a development node, else as to a real one.

    ``timeout`` (seconds for one answer) and ``attempts`` are those of :class:`~chain.backends.provider.NodeProvider`.

    Raises
    ------
    ConfigurationError
        The URL cannot be opened.
    ChainUnavailable
        There is no Ethereum node.
    """
    provider = NodeProvider(url, timeout=timeout, attempts=attempts)
    backend = RpcBackend(provider, confirmations=confirmations)
    family = _family(provider)
    if family and backend.chain_id in DEVELOPMENT_CHAIN_IDS:
        return DevelopmentBackend(provider, family)
    return backend


def _family(provider: NodeProvider) -> str:
    version = str(provider.make_request("web3_clientVersion", []).get("result", "")).lower()  # type: ignore[arg-type]
    return next((family for family in ("anvil", "ganache") if version.startswith(family)), "")


class DevelopmentBackend(MovableClock, RpcBackend):
    """A development node of the given family, "anvil" or "ganache"."""

    local = True

    _lag = 1
    """Seconds by which calls may run before the next block's time: many nodes try them under the latest block's."""

    def __init__(self, provider: NodeProvider, family: str) -> None:
        super().__init__(provider, confirmations=0)
        self._family = family

    def now(self) -> int:
        """Time of the latest block, Unix seconds."""
        return RpcBackend.now(self)

    def wait_until(self, timestamp: int) -> None:
        """Jump so that the next transaction sees a time ≥ ``timestamp`` (Unix seconds), unless it would anyway."""
        MovableClock.wait_until(self, timestamp + self._lag)

    def fund(self, address: str, minimum: int) -> None:
        """Set the account's balance to ``minimum`` wei if it holds less."""
        recipient = Web3.to_checksum_address(address)
        if self.web3.eth.get_balance(recipient) < minimum:
            method = "anvil_setBalance" if self._family == "anvil" else "evm_setAccountBalance"
            self._request(method, recipient, hex(minimum))

    def _mine_at(self, timestamp: int) -> None:
        if self._family == "anvil":
            self._request("evm_setNextBlockTimestamp", timestamp)
            self._request("evm_mine")
        else:
            # the first moves the clock for later blocks, the second makes this block's time exact
            self._request("evm_setTime", timestamp * 1000)
            self._request("evm_mine", timestamp)

    def _request(self, method: str, *parameters: Any) -> Any:
        answer = self._provider.make_request(method, list(parameters))  # type: ignore[arg-type]
        if "error" in answer:
            raise ChainUnavailable(f"{self.location} refused {method}: {answer['error']}", hint="start the node anew")
        return answer.get("result")
