"""Sequential best responses: one organization after another plays its best strategy against the current profile.

This is TradeFL's distributed best response (DBR) for every family. It is the second, independent solver: a root of the
own marginal payoff for one organization at a time, no aggregate map. Without private gain and with linear costs that
root is a threshold on Ω that does not depend on the others, so it is found once for all sweeps [ours]; otherwise by
Newton's method, kept inside a bracket. Left out: discrete grids of strategies (``improvement``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.dynamics import OwnPayoff, play
from cocogen.solvers.equilibrium import Candidate

__all__ = ["best_response_dynamics"]

_EPS = float(np.finfo(np.float64).eps)
_HALVINGS = 64
_NEWTON_STEPS = 200  # each halves the bracket, or the step before it


def best_response_dynamics(
    game: CoopetitionGame,
    start: ArrayLike | None = None,
    *,
    tolerance: float = 1e-11,
    maximum_sweeps: int = 10_000,
) -> Candidate:
    """Play best responses in the order of the organizations until a whole sweep changes nothing.

    Parameters
    ----------
    game : CoopetitionGame
        Any family.
    start : array_like, optional
        A feasible profile in the family's format; default everyone's lowest position on its last feasible segment.
    tolerance : float
        Moves of at most ``tolerance`` times max(1, the position's magnitude) are not made; in (0, 1).
    maximum_sweeps : int
        Give up after as many, at least 1; the result then says ``converged = False``.

    Returns
    -------
    Candidate
        ``iterations`` counts sweeps and ``trace.updates`` strategy changes. ``trace`` has the start and one entry for
        each change, from 101 organizations on for each sweep, with potential and payoffs; ``residual`` is the largest
        relative move of the last sweep.

    Raises
    ------
    ConfigurationError
        The start is not feasible, or an option is out of range.
    """
    if not 0.0 < tolerance < 1.0:
        problem = FieldProblem("tolerance", repr(tolerance), "greater than 0, less than 1")
        raise ConfigurationError("best responses need a tolerance", problems=[problem])
    with np.errstate(divide="ignore", invalid="ignore"):
        respond = _BestResponse(game)
        return play(game, "best-response", respond, start, tolerance=tolerance, maximum_sweeps=maximum_sweeps)


class _BestResponse:
    """The best response of one organization to the samples of all others."""

    def __init__(self, game: CoopetitionGame) -> None:
        self._game, self._segments = game, game.family.segments
        self._payoff = OwnPayoff(game)
        self._fixed = game.score_rates[:, None] * self._segments.score_slope - self._segments.cost_slope
        self._private_weights = game.private_weights
        self._thresholds: Array | None = None
        if game.private_gain == 0.0 and not self._segments.cost_curvature.any():
            price = -self._fixed / (game.potential_weights[:, None] * self._segments.samples_slope)
            self._thresholds = _aggregate_at(game, price)

    def __call__(self, n: int, others: float, position: float, level: int) -> tuple[float, int]:
        segments = self._segments
        if self._thresholds is None:
            responses = self._root(n, others, position)
        else:
            wanted = (self._thresholds[n] - others - segments.samples_base[n]) / segments.samples_slope[n]
            responses = np.minimum(np.maximum(wanted, segments.lower[n]), segments.upper[n])
        if segments.count == 1:
            return float(responses[0]), 0
        payoffs = self._payoff(n, others, responses[:, None])
        best = int(payoffs.argmax())
        # Levels that are worth the same must not be exchanged for ever.
        if payoffs[best, 0] <= payoffs[level, 0] + self._payoff.noise[n]:
            best = level
        return float(responses[best]), best

    def _root(self, n: int, others: float, position: float) -> Array:
        """Best positions on all segments of n, shape (L,): Newton's method on ∂U_n/∂t, which falls in t."""
        low, high = self._segments.lower[n].copy(), self._segments.upper[n].copy()
        at_low = self._marginal(low, n, others)[0] <= 0.0
        at_high = (self._marginal(high, n, others)[0] >= 0.0) & ~at_low
        high, low = np.where(at_low, low, high), np.where(at_high, high, low)
        t: Array = np.minimum(np.maximum(position, low), high)
        step = high - low
        for _ in range(_NEWTON_STEPS):
            marginal, slope = self._marginal(t, n, others)
            low, high = np.where(marginal >= 0.0, t, low), np.where(marginal <= 0.0, t, high)
            newton = t - marginal / slope
            inside = (newton >= low) & (newton <= high) & (np.abs(newton - t) <= 0.5 * step)
            moved = np.where(inside, newton, 0.5 * (low + high))
            step, t = np.abs(moved - t), moved
            if (step <= 16.0 * _EPS * np.maximum(1.0, np.abs(t))).all():
                break
        return t

    def _marginal(self, t: Array, n: int, others: float) -> tuple[Array, Array]:
        """∂U_n/∂t and ∂²U_n/∂t² on each segment, shape (L,)."""
        game, segments = self._game, self._segments
        slope, curvature = segments.samples_slope[n], segments.cost_curvature[n]
        q = segments.samples_base[n] + slope * t
        worth = game.potential_weights[n] * game.accuracy.derivative(others + q)
        bend = game.potential_weights[n] * game.accuracy.second_derivative(others + q)
        if game.private_gain > 0.0:
            private = self._private_weights[n] * game.private_gain / (game.private_base + q)
            worth, bend = worth + private, bend - private / (game.private_base + q)
        return worth * slope + self._fixed[n] - curvature * t, bend * slope * slope - curvature


def _aggregate_at(game: CoopetitionGame, price: Array) -> Array:
    """The Ω at which P'(Ω) equals each price, of any shape; ±∞ where everything reachable is worth more, or less."""
    segments = game.family.segments
    least = float((segments.samples_base + segments.samples_slope * segments.lower).min(axis=1).sum())
    most = float((segments.samples_base + segments.samples_slope * segments.upper).max(axis=1).sum())
    low, high = np.full(price.shape, least), np.full(price.shape, most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        worth_it = game.accuracy.derivative(middle) > price
        low, high = np.where(worth_it, middle, low), np.where(worth_it, high, middle)
    above, below = game.accuracy.derivative(most) >= price, game.accuracy.derivative(least) <= price
    return np.asarray(np.where(above, np.inf, np.where(below, -np.inf, low)))
