"""The connection of a backend: there until it is closed, which the end of its ``with`` block does."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from web3 import Web3

from chain.errors.chain import ChainUnavailable

__all__ = ["Connection"]


class Connection:
    """What every backend does alike with its ``_web3``."""

    location: str
    _web3: Web3 | None

    @property
    def web3(self) -> Web3:
        """The connection; ChainUnavailable once the backend is closed."""
        if self._web3 is None:
            raise ChainUnavailable(f"{self.location} is closed", hint="open the backend again")
        return self._web3

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        self._web3 = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
