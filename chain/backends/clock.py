"""The clock of a local chain: it stands still between transactions and moves only when it is told to."""

from __future__ import annotations

from abc import ABC, abstractmethod

from chain.errors.chain import ArgumentOutOfRange

__all__ = ["GENESIS_TIME", "MovableClock"]

GENESIS_TIME = 1_700_000_000
"""Unix seconds of block 0 on every chain that is created here."""

_LATEST_TIME = (1 << 39) - 1
"""The clock's end, Unix seconds: half of the contract's 40 bits, so that every window still fits after it."""


class MovableClock(ABC):
    """What every local backend does alike, over :meth:`now` and :meth:`_mine_at`."""

    @abstractmethod
    def now(self) -> int:
        """Time of the latest block, Unix seconds."""

    @abstractmethod
    def _mine_at(self, timestamp: int) -> None:
        """Mine one empty block at ``timestamp`` (Unix seconds, later than the latest block's)."""

    def advance(self, seconds: int) -> None:
        """Mine an empty block ``seconds`` after the latest one; 0 does nothing.

        Raises
        ------
        ArgumentOutOfRange
            ``seconds`` is negative, or leads beyond the contract's 40-bit clock.
        """
        now = self.now()
        latest = _LATEST_TIME - now
        if not 0 <= seconds <= latest:
            raise ArgumentOutOfRange("seconds", seconds, f"a number of seconds from 0 to {latest}: no clock goes back")
        if seconds:
            self._mine_at(now + seconds)

    def wait_until(self, timestamp: int) -> None:
        """Jump so that the next transaction sees exactly ``timestamp`` (Unix seconds), unless it is past already."""
        gap = timestamp - 1 - self.now()
        if gap > 0:
            self.advance(gap)
