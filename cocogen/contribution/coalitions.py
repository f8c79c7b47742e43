"""The value of a coalition, computed once: the only way in which the estimators look at a game."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from cocogen.errors import ConfigurationError, LearningError

__all__ = ["Coalition", "Coalitions", "Utility"]

Coalition = tuple[int, ...]
"""Players in increasing order; () is the empty coalition."""

Utility = Callable[[Coalition], float]
"""v(S): any finite number for any coalition, the empty one included; equal coalitions must have equal values."""


class Coalitions:
    """A utility with a memory: every coalition is evaluated at most once.

    ``players``: their number N, at least 1. ``evaluations``: distinct coalitions evaluated so far. Share one object
    between evaluations of the same game, and the later ones pay for new coalitions only.
    """

    def __init__(self, players: int, utility: Utility) -> None:
        if players < 1:
            raise ConfigurationError(f"a game of {players} players has no values", hint="give at least one player")
        self.players = players
        self._utility = utility
        self._known: dict[int, float] = {}

    @property
    def evaluations(self) -> int:
        return len(self._known)

    @property
    def everyone(self) -> int:
        """The coalition of all players as a bit mask."""
        return (1 << self.players) - 1

    @property
    def total(self) -> float:
        """v(all) - v(∅)."""
        return self.masked(self.everyone) - self.masked(0)

    def __call__(self, coalition: Iterable[int]) -> float:
        """The value v(S) of a coalition, in any order.

        Raises
        ------
        LearningError
            When the utility is not a finite number.
        """
        mask = 0
        for player in coalition:
            if not 0 <= player < self.players:
                raise ConfigurationError(
                    f"player {player} is not in the game", hint=f"players are 0 to {self.players - 1}"
                )
            mask |= 1 << player
        return self.masked(mask)

    def masked(self, mask: int) -> float:
        """The value of the coalition whose bit n is set where player n belongs to it."""
        if mask not in self._known:
            coalition = tuple(n for n in range(self.players) if mask >> n & 1)
            value = float(self._utility(coalition))
            if not math.isfinite(value):
                raise LearningError(
                    f"the utility of coalition {coalition} is {value}, not a finite number",
                    hint="measure utility by something bounded, for example accuracy",
                )
            self._known[mask] = value
        return self._known[mask]
