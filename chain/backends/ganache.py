"""A private ganache node: a second, independent implementation behind a node's interface. For tests."""

from __future__ import annotations

from datetime import UTC, datetime

from chain.backends.clock import GENESIS_TIME
from chain.backends.private import PrivateBackend
from chain.backends.process import HOST

__all__ = ["GanacheBackend"]


class GanacheBackend(PrivateBackend):
    """Blocks follow one another at one-second steps, as in the embedded chain; rules are Shanghai's."""

    kind = "ganache"

    @staticmethod
    def _arguments(port: int) -> list[str]:
        genesis = datetime.fromtimestamp(GENESIS_TIME, UTC).isoformat()
        return [
            *("--server.host", HOST, "--server.port", str(port), "--chain.chainId", "1337"),
            *("--chain.hardfork", "shanghai", "--chain.time", genesis, "--miner.timestampIncrement", "1"),
            *("--wallet.totalAccounts", "1", "--wallet.deterministic", "--logging.quiet"),
        ]
