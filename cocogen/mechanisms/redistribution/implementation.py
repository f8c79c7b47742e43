"""Which score rates make a given profile everyone's best response, all others keeping it?

A score rate s_n = incentive · σ̄_n · weight_n pays organization n for each unit of its score input x_n. The x_n of its
best response never falls as s_n rises (payoff + s x has increasing differences), so the rates that make a strategy a
best response are an interval [ours]; on discrete compute levels it can be empty although marginal payoffs match. Left
out: where the profile comes from, and how rates become weights (``optimal``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cocogen.game.arrays import Array, BoolArray, IntArray
from cocogen.game.coopetition import CoopetitionGame

__all__ = ["RateInterval", "implementing_rates", "matching_rates"]

_HALVINGS = 60
_DOUBLINGS = 60
_TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RateInterval:
    """Score rates, currency per unit of score input, each shape (N,): from ``low`` (≥ 0) to ``high`` (may be infinite).

    ``high`` is negative where only a punishment for contributing would do. Where the strategy is a best response at no
    rate, both ends meet at the rate at which it is jumped over.
    """

    low: Array
    high: Array


def matching_rates(game: CoopetitionGame, strategies: Array) -> Array:
    """Score rates at which every own marginal payoff equals the gradient of social welfare, shape (N,).

    With q' and x' the slopes of effective samples and score input, s_n x_n' equals

        q_n' [Σ_{m≠n} z_m P'(Ω) + χ Σ_{m≠n} Γ_m P'(Ω − q_m) − (1 − χ) p_n Σ_m ρ_mn ψ / (base + q_n)].

    0 where x' = 0: nothing can be paid for.
    """
    position, level = game.family.locate(strategies)
    segments = game.family.segments
    samples = segments.effect(position, level).samples
    omega = samples.sum()
    kept = game.damage * game.damage_weights * game.accuracy.derivative(omega - samples)
    others = (game.potential_weights.sum() - game.potential_weights) * game.accuracy.derivative(omega)
    rivalry = (1.0 - game.damage) * game.profitability * game.competition.column_sums()
    marginal = others + kept.sum() - kept - rivalry * game.private_gain / (game.private_base + samples)
    slope = segments.pick(segments.score_slope, level)
    paid = np.divide(1.0, slope, out=np.zeros(game.size), where=slope > 0.0)
    return np.asarray(segments.pick(segments.samples_slope, level) * marginal * paid)


def implementing_rates(game: CoopetitionGame, strategies: Array) -> RateInterval:
    """The rates at which each organization's strategy is a best response while all others keep theirs.

    Parameters
    ----------
    game : CoopetitionGame
        Any family; its own redistribution is ignored.
    strategies : ndarray
        The profile, in the family's format.
    """
    respond = _ScoredResponse(game, strategies)
    wanted = respond.score_input
    tie = _TIE * np.maximum(1.0, np.abs(wanted))
    start = np.maximum(matching_rates(game, strategies), 0.0)
    start = np.where(start > 0.0, start, max(float(start.max()), 1.0) * 1e-6)
    low = _last(lambda rate: respond(rate) < wanted - tie, start)
    high = _last(lambda rate: respond(rate) <= wanted + tie, start)
    return RateInterval(np.maximum(low, 0.0), high)


def _last(holds: Callable[[Array], BoolArray], start: Array) -> Array:
    """The supremum of the rates at which a predicate holds that is true below it: −1 if never, inf if always."""
    at_zero = holds(np.zeros_like(start))
    top = start.copy()
    growing = holds(top) & at_zero
    for _ in range(_DOUBLINGS):
        if not growing.any():
            break
        top = np.where(growing, 2.0 * top, top)
        growing = growing & holds(top)
    bottom = np.zeros_like(start)
    limit = top.copy()
    for _ in range(_HALVINGS):
        middle = 0.5 * (bottom + limit)
        below = holds(middle)
        bottom, limit = np.where(below, middle, bottom), np.where(below, limit, middle)
    return np.where(at_zero, np.where(growing, np.inf, bottom), -1.0)


class _ScoredResponse:
    """x_n of n's best response at a score rate, all others keeping the profile; vectorised over the organizations."""

    def __init__(self, game: CoopetitionGame, strategies: Array) -> None:
        self._game = game
        position, level = game.family.locate(strategies)
        effect = game.family.segments.effect(position, level)
        self.score_input = effect.score_input
        self._others = effect.samples.sum() - effect.samples

    def __call__(self, rate: Array) -> Array:
        segments = self._game.family.segments
        best = np.full(self._game.size, -np.inf)
        found = np.zeros(self._game.size)
        for index in range(segments.count):
            level = np.full(self._game.size, index, dtype=np.int64)
            position = self._on_segment(rate, level)
            effect = segments.effect(position, level)
            shared = self._game.potential_weights * self._game.accuracy.value(self._others + effect.samples)
            private = self._game.private_weights * self._game.private_gains(effect.samples)
            value = shared + private + rate * effect.score_input - effect.cost
            better = segments.feasible[:, index] & (value > best)
            best, found = np.where(better, value, best), np.where(better, effect.score_input, found)
        return found

    def _on_segment(self, rate: Array, level: IntArray) -> Array:
        """Bisection on the own marginal payoff, which falls along a segment."""
        game, segments, index = self._game, self._game.family.segments, int(level[0])
        low, high = segments.lower[:, index].copy(), segments.upper[:, index].copy()
        slope = segments.samples_slope[:, index]
        fixed = rate * segments.score_slope[:, index] - segments.cost_slope[:, index]

        def rising(t: Array) -> BoolArray:
            q = segments.samples_base[:, index] + slope * t
            marginal = game.potential_weights * game.accuracy.derivative(self._others + q)
            marginal = marginal + game.private_weights * game.private_gain / (game.private_base + q)
            return np.asarray(slope * marginal + fixed - segments.cost_curvature[:, index] * t > 0.0)

        top = high.copy()
        at_top = rising(top)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            up = rising(middle)
            low, high = np.where(up, middle, low), np.where(up, high, middle)
        return np.where(at_top, top, low)
