"""Finite improvement (FIP): on a grid of strategies, move whoever can improve until nobody can.

Every improving move raises the potential, and a grid holds finitely many profiles, so any order of such moves ends in
an equilibrium of the game on the grid. In the continuous game it is one up to the grid: the certificate says how far.
TradeFL's grid {e, 2e, …, 1} of data fractions is ``points = 1 / e`` with the least fraction e and no deadline in reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.dynamics import OwnPayoff, play
from cocogen.solvers.equilibrium import Candidate

__all__ = ["finite_improvement"]


def finite_improvement(
    game: CoopetitionGame,
    start: ArrayLike | None = None,
    *,
    points: int = 100,
    maximum_sweeps: int = 10_000,
    rng: np.random.Generator | None = None,
) -> Candidate:
    """Make improving moves on the grid until there are none.

    Parameters
    ----------
    game : CoopetitionGame
        Any family.
    start : array_like, optional
        A feasible profile in the family's format, on the grid or not; default everyone's lowest position on its last
        feasible segment.
    points : int
        Evenly spaced positions on each segment, both ends among them, at least 2.
    maximum_sweeps : int
        Give up after as many, at least 1; the result then says ``converged = False``.
    rng : numpy.random.Generator, optional
        With it, a sweep visits the organizations in random order and each makes a random improving move; without it,
        they come in their order and each makes the most improving move.

    Returns
    -------
    Candidate
        ``converged`` when no move on the grid improves. ``iterations`` counts sweeps and ``trace.updates`` moves;
        ``trace`` is that of :func:`cocogen.solvers.best_response.best_response_dynamics`.

    Raises
    ------
    ConfigurationError
        The start is not feasible, or an option is out of range.
    """
    if points < 2:
        problem = FieldProblem("points", repr(points), "at least 2, the ends of a segment")
        raise ConfigurationError("finite improvement needs a grid", problems=[problem])
    turns: Callable[[], Iterable[int]] | None = None
    if rng is not None:
        drawn = rng

        def turns() -> Iterable[int]:
            return (int(n) for n in drawn.permutation(game.size))

    respond = _ImprovingMove(game, points, rng)
    return play(game, "improvement", respond, start, tolerance=0.0, maximum_sweeps=maximum_sweeps, turns=turns)


class _ImprovingMove:
    """A move of one organization to a grid position that pays more, or its present strategy where there is none."""

    def __init__(self, game: CoopetitionGame, points: int, rng: np.random.Generator | None) -> None:
        self._segments, self._payoff = game.family.segments, OwnPayoff(game)
        self._points, self._rng = points, rng

    def __call__(self, n: int, others: float, position: float, level: int) -> tuple[float, int]:
        grid = np.linspace(self._segments.lower[n], self._segments.upper[n], self._points, axis=-1)
        payoffs = self._payoff(n, others, grid)
        present = self._payoff(n, others, np.full((grid.shape[0], 1), position))[level, 0]
        improving = np.flatnonzero(payoffs > present + self._payoff.noise[n])
        if improving.size == 0:
            return position, level
        chosen = int(np.argmax(payoffs)) if self._rng is None else int(self._rng.choice(improving))
        best_level, index = divmod(chosen, self._points)
        return float(grid[best_level, index]), best_level
