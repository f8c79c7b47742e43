"""The Shapley value from sampled permutations: mean marginal contributions, with their standard errors.

An organization's value is its mean marginal contribution over all orders in which the organizations can join. The
estimator walks the orders that a sampler draws until a stopping rule is satisfied. Truncation spares evaluations
where a prefix is already worth about as much as everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import ConfigurationError
from cocogen.learning.contribution.coalitions import Coalitions
from cocogen.learning.contribution.exact import EXACT_UP_TO, exact_shapley
from cocogen.learning.contribution.samplers import Guided, Sampler, Uniform
from cocogen.learning.contribution.stopping import Sampled, StoppingRule
from cocogen.learning.contribution.valuation import Valuation

__all__ = ["guided_truncated", "sampled_shapley", "shapley", "truncated_monte_carlo"]

Progress = Callable[[str, int, int], None]


def shapley(
    game: Coalitions,
    stop: StoppingRule,
    rng: np.random.Generator,
    *,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> Valuation:
    """Exact up to ``EXACT_UP_TO`` organizations, guided truncated sampling above."""
    if game.players <= EXACT_UP_TO:
        return exact_shapley(game, progress)
    return guided_truncated(game, stop, rng, tolerance=tolerance, progress=progress)


def truncated_monte_carlo(
    game: Coalitions,
    stop: StoppingRule,
    rng: np.random.Generator,
    *,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> Valuation:
    """TMC-Shapley [1]_: uniform permutations, each left as soon as |v(all) - v(prefix)| < ``tolerance``.

    References
    ----------
    .. [1] A. Ghorbani, J. Zou, "Data Shapley: Equitable Valuation of Data for Machine Learning", ICML 2019.
    """
    return sampled_shapley(
        game, Uniform(), stop, rng, tolerance=tolerance, progress=progress, method="truncated Monte Carlo"
    )


def guided_truncated(
    game: Coalitions,
    stop: StoppingRule,
    rng: np.random.Generator,
    *,
    tolerance: float = 0.0,
    negligible: float = 0.0,
    leading: int = 1,
    progress: Progress | None = None,
) -> Valuation:
    """GTG-Shapley [1]_ of one round, whose coalitions are aggregates of recorded updates.

    1. Between rounds: if |v(all) - v(∅)| < ``negligible``, the round changed nothing and every value is 0.
    2. Guided: in each of the first ``leading`` places of a permutation, everybody comes equally often.
    3. Within the round: a permutation is left as soon as |v(all) - v(prefix)| < ``tolerance``.

    A run's values are the sums over its rounds. Both bounds are in units of the utility.

    References
    ----------
    .. [1] Z. Liu et al., "GTG-Shapley: Efficient and Accurate Participant Contribution Evaluation in Federated
       Learning", ACM TIST 13(4), 2022.
    """
    _require_at_least_zero("negligible", negligible)
    before = game.evaluations
    if abs(game.total) < negligible:
        nothing = np.zeros(game.players)
        return Valuation(
            "guided truncated", nothing, nothing.copy(), evaluations=game.evaluations - before, exact=False,
            total=game.total, truncated=game.players,
        )  # fmt: skip
    return sampled_shapley(
        game, Guided(leading), stop, rng, tolerance=tolerance, progress=progress, method="guided truncated"
    )


def sampled_shapley(
    game: Coalitions,
    sampler: Sampler,
    stop: StoppingRule,
    rng: np.random.Generator,
    *,
    tolerance: float = 0.0,
    progress: Progress | None = None,
    method: str = "sampled Shapley",
) -> Valuation:
    """Mean marginal contributions over the permutations of ``sampler``, at least two blocks of them.

    ``tolerance`` truncates as :func:`truncated_monte_carlo` says; 0 looks at every marginal contribution. The standard
    error is that of the mean of block means: s/√B over B blocks.
    """
    _require_at_least_zero("tolerance", tolerance)
    before, players = game.evaluations, game.players
    total = game.total
    # Welford's recurrence: the variance of means that lie close together keeps its digits.
    mean, squares = np.zeros(players), np.zeros(players)
    blocks = permutations = truncated = 0
    while True:
        block = sampler.block(players, rng)
        sums = np.zeros(players)
        for permutation in block:
            truncated += _walk(game, permutation.tolist(), sums, tolerance)
        blocks, permutations = blocks + 1, permutations + len(block)
        marginal = sums / len(block)
        step = marginal - mean
        mean += step / blocks
        squares += step * (marginal - mean)
        if blocks < 2:
            continue
        errors = np.sqrt(squares / (blocks - 1) / blocks)
        done = stop.completion(Sampled(game.evaluations - before, permutations, blocks, errors))
        if progress is not None:
            progress("sampling coalitions (per cent)", int(100 * min(1.0, done)), 100)
        if done >= 1:
            return Valuation(
                method, mean, errors, evaluations=game.evaluations - before, exact=False, total=total,
                permutations=permutations, truncated=truncated,
            )  # fmt: skip


def _walk(game: Coalitions, permutation: Sequence[int], sums: NDArray[np.float64], tolerance: float) -> int:
    """Add each player's marginal contribution in this order to ``sums``; the number of players that were skipped."""
    together, prefix = game.masked(game.everyone), 0
    value = game.masked(prefix)
    for position, player in enumerate(permutation):
        if abs(together - value) < tolerance:
            return len(permutation) - position
        prefix |= 1 << player
        joined = game.masked(prefix)
        sums[player] += joined - value
        value = joined
    return 0


def _require_at_least_zero(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} is {value}", hint="give a finite number, at least 0, in units of the utility")
