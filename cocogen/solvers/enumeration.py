"""Exhaustive search over all level vectors: the oracle for small games.

Every vector of feasible levels gets its exact primal, many vectors at a time: Ω is found by plain bisection, so that
nothing but the price response is shared with Benders. The work grows as m^N; Benders finds the same optimum with a
proof and without the exhaustion.
"""

from __future__ import annotations

import math

import numpy as np

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, IntArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.equilibrium import Candidate, Trace
from cocogen.solvers.price_response import PriceResponse

__all__ = ["exhaustive_search"]

_BLOCK = 1 << 18  # organizations times level vectors held at once
_HALVINGS = 60


def exhaustive_search(game: CoopetitionGame, *, limit: int = 1_000_000) -> Candidate:
    """Maximise the potential over every combination of feasible levels.

    Parameters
    ----------
    game : CoopetitionGame
        Any family.
    limit : int
        Most level vectors to look at.

    Returns
    -------
    Candidate
        ``iterations`` counts level vectors; ``upper_bound`` is the maximum found, which is the maximum.

    Raises
    ------
    SolverError
        There are more level vectors than the limit.
    """
    feasible = game.family.segments.feasible
    choices = [np.flatnonzero(row) for row in feasible]
    count = math.prod(row.size for row in choices)
    if count > limit:
        raise SolverError(
            f"{count} level vectors are too many to enumerate (valid: at most {limit})",
            hint='use method "benders", which finds the same maximum',
        )
    best, best_value = (np.empty(0), np.empty(0, dtype=np.int64), 0.0), -np.inf
    width = max(1, _BLOCK // game.size)
    for first in range(0, count, width):
        levels = _level_vectors(choices, np.arange(first, min(first + width, count)))
        positions, aggregates, values = _maximise(game, levels)
        column = int(np.argmax(values))
        if values[column] > best_value:
            best_value = float(values[column])
            best = positions[:, column].copy(), levels[:, column].copy(), float(aggregates[column])
    strategies = game.family.assemble(best[0], best[1])
    return Candidate(
        method="enumeration",
        strategies=strategies,
        iterations=count,
        converged=True,
        residual=0.0,
        trace=Trace(aggregate=np.array([best[2]]), residual=np.zeros(1)),
        upper_bound=max(best_value, game.potential(strategies)),
    )


def _level_vectors(choices: list[IntArray], index: IntArray) -> IntArray:
    """The level vectors of these numbers in the order of the mixed-radix digits, shape (N, len(index))."""
    digits = np.unravel_index(index, tuple(row.size for row in choices))
    return np.stack([row[digit] for row, digit in zip(choices, digits, strict=True)])


def _maximise(game: CoopetitionGame, levels: IntArray) -> tuple[Array, Array, Array]:
    """Best positions (N, B), their aggregates (B,) and the potential (B,), for each column of levels."""
    accuracy, respond = game.accuracy, PriceResponse.of(game, game.family.segments.at(levels))
    low, high = (respond.samples(end).sum(axis=0) for end in (respond.segments.lower, respond.segments.upper))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = respond.samples(respond(accuracy.derivative(middle))).sum(axis=0) >= middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    # Indifferent organizations take the mixture of the two sides that adds up to Ω.
    more, less = respond(accuracy.derivative(low)), respond(accuracy.derivative(high))
    most, least = respond.samples(more).sum(axis=0), respond.samples(less).sum(axis=0)
    share = np.clip((low - least) / np.where(most > least, most - least, 1.0), 0.0, 1.0)
    positions = np.clip(share * more + (1.0 - share) * less, respond.segments.lower, respond.segments.upper)
    aggregates = respond.samples(positions).sum(axis=0)
    values = accuracy.value(aggregates) + (respond.own(positions) / game.potential_weights[:, None]).sum(axis=0)
    return positions, aggregates, values
