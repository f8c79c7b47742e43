"""The backend over an in-process chain: what the persistent and the in-memory chain have in common."""

from __future__ import annotations

from web3 import Web3
from web3.types import Wei

from chain.backends.clock import MovableClock
from chain.backends.connection import Connection
from chain.backends.evm import FAUCET, LocalEvm, LocalProvider, LocalTester
from chain.backends.failures import node_errors
from chain.backends.journal import Journal
from cocogen.fees import Agreement

__all__ = ["LocalBackend"]


class LocalBackend(MovableClock, Connection):
    """A chain of this process. Its clock stands still between transactions: each block is one second later."""

    local = True
    confirmations = 0
    fee_limit = 1 << 256
    agreement: Agreement | None = None

    def __init__(self, evm: LocalEvm, kind: str, location: str) -> None:
        self.kind = kind
        self.location = location
        self.journal = Journal()
        self._evm = evm
        self._web3: Web3 | None = Web3(LocalProvider(LocalTester(evm)))
        for needless in ("ens_name_to_address", "validation"):  # no names here, and no other chain's identifier
            self._web3.middleware_onion.remove(needless)

    @property
    def chain_id(self) -> int:
        """EIP-155 identifier."""
        return int(self._evm.chain.chain_id)

    def now(self) -> int:
        """Time of the latest block, Unix seconds."""
        return int(self._evm.head.timestamp)

    def _mine_at(self, timestamp: int) -> None:
        self._evm.mine_at(timestamp)

    def assume(self, address: str, minimum: int) -> None:
        """Let calls and estimates of this process see at least ``minimum`` wei in the account."""
        self._evm.assume(address, minimum)

    def fund(self, address: str, minimum: int) -> None:
        """Fill the account up to ``minimum`` wei from the faucet that every local chain starts with."""
        recipient = Web3.to_checksum_address(address)
        missing = minimum - self.web3.eth.get_balance(recipient)
        if missing > 0:
            with node_errors():
                self.web3.eth.send_transaction({"from": FAUCET, "to": recipient, "value": Wei(missing)})
