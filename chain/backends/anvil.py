"""A private anvil node: a fast chain in memory behind a real node's interface. For tests and measurements."""

from __future__ import annotations

from chain.backends.clock import GENESIS_TIME
from chain.backends.private import PrivateBackend
from chain.backends.process import HOST

__all__ = ["AnvilBackend"]


class AnvilBackend(PrivateBackend):
    """Blocks follow one another at one-second steps, as in the embedded chain; rules are Shanghai's."""

    kind = "anvil"
    _lag = 0  # here calls on the pending block run under its time, one second after the latest

    @staticmethod
    def _arguments(port: int) -> list[str]:
        return [
            *("--host", HOST, "--port", str(port), "--chain-id", "31337", "--hardfork", "shanghai"),
            *("--accounts", "1", "--timestamp", str(GENESIS_TIME), "--silent"),
        ]

    def _prepare(self) -> None:
        self._request("anvil_setBlockTimestampInterval", 1)
