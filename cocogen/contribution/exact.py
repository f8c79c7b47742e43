"""Leave-one-out and the Shapley value by their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cocogen.contribution.coalitions import Coalitions
from cocogen.contribution.valuation import Valuation
from cocogen.errors import ConfigurationError

__all__ = ["EXACT_UP_TO", "exact_shapley", "leave_one_out"]

EXACT_UP_TO = 12
_LARGEST = 20

Progress = Callable[[str, int, int], None]


def leave_one_out(game: Coalitions) -> Valuation:
    """v(all) - v(all but n): N + 1 evaluations (and v(∅) for ``total``).

    Values need not sum to v(all) - v(∅): two organizations that can stand in for each other both get 0. With one
    organization the value is v({0}) - v(∅).
    """
    before = game.evaluations
    everyone = game.everyone
    together = game.masked(everyone)
    values = np.array([together - game.masked(everyone & ~(1 << n)) for n in range(game.players)])
    return Valuation(
        "leave-one-out", values, np.zeros(game.players), exact=True, total=game.total,
        evaluations=game.evaluations - before,
    )  # fmt: skip


def exact_shapley(game: Coalitions, progress: Progress | None = None) -> Valuation:
    """The Shapley value [1]_, φ_n = Σ_{S ∌ n} |S|! (N - |S| - 1)! / N! · (v(S ∪ n) - v(S)): all 2^N evaluations.

    It is the only value that is efficient (sums to v(all) - v(∅)), symmetric, additive and 0 for null players.
    With one organization the value is v({0}) - v(∅).

    Raises
    ------
    ConfigurationError
        Above 20 players: a million coalitions are no longer a matter of waiting.

    References
    ----------
    .. [1] L. S. Shapley, "A Value for n-Person Games", Contributions to the Theory of Games II, 1953.
    """
    players = game.players
    if players > _LARGEST:
        raise ConfigurationError(
            f"{players} players have {2.0**players:.2g} coalitions, which cannot all be evaluated",
            hint=f"sample permutations instead; exact values reach to {_LARGEST} players",
        )
    before, count = game.evaluations, 1 << players
    values = np.empty(count)
    for mask in range(count):
        if progress is not None and mask % max(1, count // 100) == 0:
            progress("evaluating coalitions", mask, count)
        values[mask] = game.masked(mask)
    if progress is not None:
        progress("evaluating coalitions", count, count)
    masks = np.arange(count)
    sizes = np.array([mask.bit_count() for mask in range(count)])
    weights = np.array([1.0 / (players * math.comb(players - 1, size)) for size in range(players)])
    shapley = np.empty(players)
    for n in range(players):
        without = masks[masks >> n & 1 == 0]
        shapley[n] = weights[sizes[without]] @ (values[without | 1 << n] - values[without])
    return Valuation(
        "exact Shapley", shapley, np.zeros(players), exact=True, total=game.total,
        evaluations=game.evaluations - before,
    )  # fmt: skip
