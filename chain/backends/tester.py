"""A chain in memory: the fastest backend, gone with the process. For tests, notebooks and throw-away runs."""

from __future__ import annotations

from eth.db.backends.memory import MemoryDB

from chain.backends.evm import LocalChain, LocalEvm
from chain.backends.local import LocalBackend

__all__ = ["TesterBackend"]


class TesterBackend(LocalBackend):
    """A fresh in-process chain; nothing is persisted, and no other process can reach it."""

    def __init__(self) -> None:
        super().__init__(LocalEvm(LocalChain.create(MemoryDB())), kind="tester", location="tester")
