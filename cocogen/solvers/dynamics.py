"""Sequential dynamics: one organization after another changes its strategy against the current profile.

The potential rises with every change that pays, so such dynamics lead to an equilibrium from anywhere (TradeFL's
distributed best response and finite improvement both rest on it). This module takes turns, keeps the aggregate up to
date and records the way; what an organization changes to is the business of ``best_response`` and ``improvement``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array, IntArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.equilibrium import Candidate, Trace

__all__ = ["EVERY_UPDATE", "OwnPayoff", "Response", "lowest_profile", "play"]

EVERY_UPDATE = 100
"""Up to this N the trace has an entry for each strategy change; beyond, for each sweep, so that it stays small."""

_EPS = float(np.finfo(np.float64).eps)


class Response(Protocol):
    """What organization n changes to: (n, samples of all others, its position, its level) → (position, level)."""

    def __call__(self, n: int, others: float, position: float, level: int) -> tuple[float, int]: ...


class OwnPayoff:
    """The part of U_n that n's own strategy moves, while the samples of all others stay as they are.

    Parameters
    ----------
    game : CoopetitionGame
        The game; its coefficients are gathered once.

    Attributes
    ----------
    noise : ndarray
        Differences below it are rounding, currency, shape (N,).
    """

    def __init__(self, game: CoopetitionGame) -> None:
        segments = game.family.segments
        self._accuracy, self._gains = game.accuracy, game.private_gains
        self._weights = game.potential_weights
        self._private = game.private_weights if game.private_gain > 0.0 else None
        # A last axis for the positions looked at, so that one organization's row broadcasts against them.
        rates = game.score_rates[:, None]
        own = np.where(segments.feasible, rates * segments.score_base - segments.cost_base, -np.inf)
        self._own = own[:, :, None]
        self._slope = (rates * segments.score_slope - segments.cost_slope)[:, :, None]
        self._curvature = (0.5 * segments.cost_curvature)[:, :, None]
        self._samples, self._samples_slope = segments.samples_base[:, :, None], segments.samples_slope[:, :, None]
        self.noise = self._rounding(game)

    def __call__(self, n: int, others: float, positions: Array) -> Array:
        """Currency at positions of shape (L, K), shape (L, K); −∞ on infeasible segments."""
        samples = self._samples[n] + self._samples_slope[n] * positions
        payoffs = self._weights[n] * self._accuracy.value(others + samples)
        payoffs += self._own[n] + (self._slope[n] - self._curvature[n] * positions) * positions
        if self._private is not None:
            payoffs += self._private[n] * self._gains(samples)
        return np.asarray(payoffs)

    @staticmethod
    def _rounding(game: CoopetitionGame) -> Array:
        segments = game.family.segments
        low = segments.samples_base + segments.samples_slope * segments.lower
        high = segments.samples_base + segments.samples_slope * segments.upper
        shared = game.accuracy.value(np.array([low.min(axis=1).sum(), high.max(axis=1).sum()]))
        reach = np.maximum(np.abs(segments.lower), np.abs(segments.upper))
        score = game.score_rates[:, None] * (np.abs(segments.score_base) + np.abs(segments.score_slope) * reach)
        cost = np.abs(segments.cost_base) + (np.abs(segments.cost_slope) + segments.cost_curvature * reach) * reach
        private = game.private_weights * game.private_gains(high.max(axis=1))
        largest = game.potential_weights * np.abs(shared).max() + (score + cost).max(axis=1) + private
        return np.asarray(8.0 * _EPS * largest)


def lowest_profile(game: CoopetitionGame) -> tuple[Array, IntArray]:
    """Everyone's lowest position on its last feasible segment: d = D_min, f = F^(m) in TradeFL."""
    segments = game.family.segments
    level = segments.count - 1 - np.argmax(segments.feasible[:, ::-1], axis=1).astype(np.int64)
    return segments.pick(segments.lower, level).copy(), level


def play(
    game: CoopetitionGame,
    method: str,
    respond: Response,
    start: ArrayLike | None,
    *,
    tolerance: float,
    maximum_sweeps: int,
    turns: Callable[[], Iterable[int]] | None = None,
) -> Candidate:
    """Let everyone respond in turn until a whole sweep changes nothing.

    Parameters
    ----------
    game : CoopetitionGame
        Any family.
    method : str
        The solver's name in the result.
    respond : Response
        What an organization changes to.
    start : array_like or None
        A feasible profile in the family's format; None: :func:`lowest_profile`.
    tolerance : float
        Moves of at most ``tolerance`` times max(1, the position's magnitude) are not made.
    maximum_sweeps : int
        Give up after as many; the result then says ``converged = False``.
    turns : callable, optional
        The order of a sweep, asked for once a sweep; default that of the organizations.

    Returns
    -------
    Candidate
        ``iterations`` counts sweeps, ``trace.updates[-1]`` the strategy changes; ``residual`` is the largest relative
        move of the last sweep, made or not, infinite for a change of level.

    Raises
    ------
    ConfigurationError
        The start is not feasible, or the number of sweeps is below 1.
    """
    if maximum_sweeps < 1:
        problem = FieldProblem("maximum_sweeps", repr(maximum_sweeps), "at least 1")
        raise ConfigurationError("dynamics need a sweep", problems=[problem])
    segments = game.family.segments
    located = lowest_profile(game) if start is None else game.family.locate(start)
    position, level = located[0].copy(), located[1].copy()
    samples = segments.effect(position, level).samples.copy()
    record = _Recorder(game)
    record(position, level, np.inf, 0)
    updates, sweeps, largest, changed = 0, 0, np.inf, True
    while changed and sweeps < maximum_sweeps:
        sweeps, largest, changed = sweeps + 1, 0.0, False
        omega = float(samples.sum())  # afresh each sweep, so that the rounding of increments does not add up
        for n in range(game.size) if turns is None else turns():
            others = omega - float(samples[n])
            before, old_level = float(position[n]), int(level[n])
            best, best_level = respond(n, others, before, old_level)
            move = np.inf if best_level != old_level else abs(best - before) / max(1.0, abs(best))
            largest = max(largest, move)
            slope = float(segments.samples_slope[n, best_level])
            # Ω is known to its rounding only, and no move can be meant more exactly than that.
            if move <= tolerance or (best_level == old_level and abs(best - before) * slope <= 4.0 * _EPS * omega):
                continue
            position[n], level[n] = best, best_level
            samples[n] = segments.samples_base[n, best_level] + slope * best
            omega = others + float(samples[n])
            updates, changed = updates + 1, True
            if game.size <= EVERY_UPDATE:
                record(position, level, move, updates)
        if game.size > EVERY_UPDATE:
            record(position, level, largest, updates)
    return Candidate(
        method=method,
        strategies=game.family.assemble(position, level),
        iterations=sweeps,
        converged=not changed,
        residual=float(largest),
        trace=record.trace(),
    )


class _Recorder:
    """Collects the trace."""

    def __init__(self, game: CoopetitionGame) -> None:
        self._game = game
        self._rows: list[tuple[float, float, float, int]] = []
        self._payoffs: list[Array] = []

    def __call__(self, position: Array, level: IntArray, residual: float, updates: int) -> None:
        game = self._game
        profile = game.family.assemble(position, level)
        aggregate = float(game.effective_samples(profile).sum())
        self._rows.append((aggregate, residual, game.potential(profile), updates))
        self._payoffs.append(game.payoffs(profile))

    def trace(self) -> Trace:
        aggregate, residual, potential, updates = zip(*self._rows, strict=True)
        return Trace(
            aggregate=np.array(aggregate),
            residual=np.array(residual),
            potential=np.array(potential),
            payoffs=np.stack(self._payoffs),
            updates=np.array(updates, dtype=np.int64),
        )
