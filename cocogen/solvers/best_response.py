"""Sequential best responses: one organization after another plays its best strategy against the current profile.

The potential rises with every move, so the dynamics reach the equilibrium from anywhere (TradeFL's distributed best
response works on the same ground). It is the second, independent solver: a root of the own marginal payoff for one
organization at a time, no aggregate map. Left out: discrete grids of strategies (finite improvement).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.equilibrium import Candidate, Trace

__all__ = ["best_response_dynamics"]

_EPS = float(np.finfo(np.float64).eps)


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
        A feasible profile in the family's format; default everyone's lowest position on its last segment.
    tolerance : float
        Stop when no position moved by more than ``tolerance`` times max(1, its magnitude) in a sweep.
    maximum_sweeps : int
        Give up after as many; the result then says ``converged = False``.

    Returns
    -------
    Candidate
        ``iterations`` counts sweeps; ``trace`` has the start and one entry for each sweep, with potential and payoffs;
        ``residual`` is the largest relative move of the last sweep.

    Raises
    ------
    ConfigurationError
        The start is not feasible.
    """
    segments = game.family.segments
    if start is None:
        level = np.full(game.size, segments.count - 1, dtype=np.int64)
        position = segments.lower[:, -1].copy()
    else:
        located = game.family.locate(start)
        position, level = located[0].copy(), located[1].copy()
    responder = _Responder(game)
    samples = segments.effect(position, level).samples.copy()
    moves = [np.inf]
    path = [game.family.assemble(position.copy(), level.copy())]
    while moves[-1] > tolerance and len(path) <= maximum_sweeps:
        omega = samples.sum()
        largest = 0.0
        for n in range(game.size):
            others = omega - samples[n]
            best, best_level = responder(n, float(others))
            move = np.inf if best_level != level[n] else abs(best - position[n]) / max(1.0, abs(best))
            largest = max(largest, move)
            position[n], level[n] = best, best_level
            samples[n] = segments.samples_base[n, best_level] + segments.samples_slope[n, best_level] * best
            omega = others + samples[n]
        moves.append(largest)
        path.append(game.family.assemble(position.copy(), level.copy()))
    return Candidate(
        method="best-response",
        strategies=path[-1],
        iterations=len(path) - 1,
        converged=moves[-1] <= tolerance,
        residual=float(moves[-1]),
        trace=_trace(game, path, moves),
    )


class _Responder:
    """The best response of one organization to the samples of all others."""

    def __init__(self, game: CoopetitionGame) -> None:
        self._game = game
        self._private_weights = game.private_weights

    def __call__(self, n: int, others: float) -> tuple[float, int]:
        responses = [self._on_segment(n, index, others) for index in range(self._game.family.segments.count)]
        feasible = self._game.family.segments.feasible[n]
        values = [self._value(n, i, others, t) if feasible[i] else -np.inf for i, t in enumerate(responses)]
        best = int(np.argmax(values))
        return responses[best], best

    def _on_segment(self, n: int, index: int, others: float) -> float:
        from scipy.optimize import brentq

        segments = self._game.family.segments
        low, high = float(segments.lower[n, index]), float(segments.upper[n, index])
        if self._marginal(low, n, index, others) <= 0.0:
            return low
        if self._marginal(high, n, index, others) >= 0.0:
            return high
        return float(brentq(self._marginal, low, high, args=(n, index, others), xtol=_EPS * high, rtol=4.0 * _EPS))

    def _marginal(self, t: float, n: int, index: int, others: float) -> float:
        """Own marginal payoff ∂U_n/∂t; it falls in t."""
        game, segments = self._game, self._game.family.segments
        slope = segments.samples_slope[n, index]
        q = segments.samples_base[n, index] + slope * t
        shared = game.potential_weights[n] * game.accuracy.derivative(others + q)
        private = self._private_weights[n] * game.private_gain / (game.private_base + q)
        score = game.score_rates[n] * segments.score_slope[n, index]
        cost = segments.cost_slope[n, index] + segments.cost_curvature[n, index] * t
        return float((shared + private) * slope + score - cost)

    def _value(self, n: int, index: int, others: float, t: float) -> float:
        """The part of U_n that n's own strategy moves, currency."""
        game, segments = self._game, self._game.family.segments
        q = segments.samples_base[n, index] + segments.samples_slope[n, index] * t
        shared = game.potential_weights[n] * game.accuracy.value(others + q)
        private = self._private_weights[n] * game.private_gain * np.log1p(q / game.private_base)
        score = game.score_rates[n] * (segments.score_base[n, index] + segments.score_slope[n, index] * t)
        cost = segments.cost_slope[n, index] + 0.5 * segments.cost_curvature[n, index] * t
        return float(shared + private + score - segments.cost_base[n, index] - cost * t)


def _trace(game: CoopetitionGame, path: list[Array], moves: list[float]) -> Trace:
    return Trace(
        aggregate=np.array([game.effective_samples(profile).sum() for profile in path]),
        residual=np.array(moves),
        potential=np.array([game.potential(profile) for profile in path]),
        payoffs=np.stack([game.payoffs(profile) for profile in path]),
    )
