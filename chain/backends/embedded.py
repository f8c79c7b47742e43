"""A persistent chain without a server: an in-process virtual machine over one sqlite file.

Each command of a walkthrough opens the file, does its transactions and closes it again; the clock, balances, logs and
historical states are those of the last block, whichever process mined it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eth.exceptions import CanonicalHeadNotFound, HeaderNotFound
from eth_typing import Hash32

from chain.backends.evm import CHAIN_ID, DAMAGE, GENESIS_TIME, LocalChain, LocalEvm, damaged
from chain.backends.local import LocalBackend
from chain.backends.store import ChainStore
from chain.errors.chain import IncompatibleChainFile

__all__ = ["EmbeddedBackend"]

_PARAMETERS = {"chain_id": str(CHAIN_ID), "genesis_time": str(GENESIS_TIME), "rules": "shanghai"}


class EmbeddedBackend(LocalBackend):
    """The chain in ``path``, created when missing, locked for this process until :meth:`close`.

    ``lock_timeout`` is in seconds. Raises what :class:`~chain.backends.store.ChainStore` raises.
    """

    def __init__(self, path: Path, *, lock_timeout: float = 0.0) -> None:
        self._store = ChainStore(path.resolve(), _PARAMETERS, lock_timeout=lock_timeout)
        try:
            evm = _PersistentEvm(self._store)
        except BaseException:
            self._store.close()
            raise
        super().__init__(evm, kind="embedded", location=f"embedded:{self._store.path}")

    def close(self) -> None:
        """Let go of the file; whatever was not mined into a block is gone. Closing twice is harmless."""
        super().close()
        self._store.close()


class _PersistentEvm(LocalEvm):
    """Commits the store at every block boundary and falls back to the last one when anything fails in between."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store
        if store.created:
            super().__init__(LocalChain.create(store))
            store.commit()
            return
        try:
            super().__init__(LocalChain.reopen(store))
        except (CanonicalHeadNotFound, HeaderNotFound) as error:
            raise IncompatibleChainFile(
                f"{store.path} holds no chain: its latest block is missing", hint="restore the file from a copy"
            ) from error
        except DAMAGE as error:
            raise damaged(error) from error

    def mine_blocks(self, *arguments: Any, **options: Any) -> tuple[Hash32, ...]:
        """See :meth:`LocalEvm.mine_blocks`; every block is durable when this returns."""
        try:
            hashes = super().mine_blocks(*arguments, **options)
            self._store.commit()
        except BaseException:
            self._restart()
            raise
        return hashes

    def send_raw_transaction(self, raw_transaction: bytes) -> Hash32:
        """Apply a signed transaction to the next block."""
        try:
            return Hash32(super().send_raw_transaction(raw_transaction))
        except BaseException:
            self._restart()
            raise

    def send_transaction(self, transaction: dict[str, Any]) -> Hash32:
        """Apply a transaction of the faucet's to the next block."""
        try:
            return Hash32(super().send_transaction(transaction))
        except BaseException:
            self._restart()
            raise

    def revert_to_snapshot(self, snapshot: Hash32) -> None:
        """Make an earlier block the head again, durably."""
        super().revert_to_snapshot(snapshot)
        self._store.commit()

    def _restart(self) -> None:
        self._store.discard()
        self.chain = LocalChain.reopen(self._store)
