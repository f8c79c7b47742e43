"""Is taking part worth it? Outside options and the surplus over them.

The published redistribution does not guarantee individual rationality: with a large incentive low contributors pay
more than shared accuracy is worth to them. So the surplus is measured for every organization, never assumed.
"""

from __future__ import annotations

import numpy as np

from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame

__all__ = ["outside_options"]

_HALVINGS = 64


def outside_options(game: CoopetitionGame) -> Array:
    """What each organization earns on its own: max over its strategies of p_n (P_δn(q_n) + ψ_n) − C_n.

    Its own label heterogeneity δ_n, nobody else's data, no damage, no transfers. The payoff alone is concave on each
    segment, so bisection on its derivative finds the maximum to the last bit of the position.

    Returns
    -------
    ndarray
        Shape (N,), currency.
    """
    segments = game.family.segments
    best = np.full(game.size, -np.inf)
    for index in range(segments.count):
        level = np.full(game.size, index, dtype=np.int64)
        slope = segments.samples_slope[:, index]
        low, high = segments.lower[:, index].copy(), segments.upper[:, index].copy()
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            q = segments.samples_base[:, index] + slope * middle
            marginal = game.profitability * slope * (
                game.accuracy_alone.derivative(q) + game.private_gain / (game.private_base + q)
            ) - (segments.cost_slope[:, index] + segments.cost_curvature[:, index] * middle)
            rising = marginal > 0.0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        effect = segments.effect(low, level)
        gained = game.accuracy_alone.value(effect.samples) + game.private_gains(effect.samples)
        alone = game.profitability * gained - effect.cost
        best = np.where(segments.feasible[:, index], np.maximum(best, alone), best)
    return best
