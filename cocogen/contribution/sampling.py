"""The Shapley value from sampled permutations: mean marginal contributions, with their standard errors.

An organization's value is its mean marginal contribution over all orders in which the organizations can join. The
estimator walks the orders that a sampler draws until a stopping rule is satisfied. Truncation spares evaluations
where a prefix is already worth about as much as everybody and nothing that followed such a prefix has mattered so far.
A prefix that reaches v(all) proves nothing alone: +1.0, +0.3 and -0.3 are together worth as much as the first. So some
of the orders that could be left are walked to their end all the same, and what is found there corrects what was
assumed of the others [ours]: the mean stays unbiased whatever the game is, and the standard error carries what was
skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.contribution.coalitions import Coalitions
from cocogen.contribution.exact import EXACT_UP_TO, exact_shapley
from cocogen.contribution.samplers import Guided, Sampler, Uniform
from cocogen.contribution.stopping import Sampled, StoppingRule
from cocogen.contribution.valuation import Valuation
from cocogen.errors import ConfigurationError

__all__ = ["guided_truncated", "sampled_shapley", "shapley", "truncated_monte_carlo"]

Progress = Callable[[str, int, int], None]

_WALKED = 0.1  # share of the orders to be left that are walked to their end
_SEEN = 10  # marginal contributions of an organization beyond such prefixes, before any of it is skipped


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
    """TMC-Shapley [1]_: uniform permutations, left where |v(all) - v(prefix)| < ``tolerance`` and the rest is quiet.

    When that is, and why it biases nothing, is said at :func:`sampled_shapley`.

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

    1. Between rounds: if v(all) - v(∅), and what everybody adds to nobody and to all the others, is smaller than
       ``negligible``, the round changed nothing: every value is 0, known to ± ``negligible``. 2N + 2 evaluations.
    2. Guided: in each of the first ``leading`` places of a permutation, everybody comes equally often.
    3. Within the round: a permutation is left where |v(all) - v(prefix)| < ``tolerance`` and the rest is quiet
       (:func:`sampled_shapley`).

    A run's values are the sums over its rounds. Both bounds are in units of the utility. The paper asks v(all) - v(∅)
    and v(all) - v(prefix) alone; that everybody must be negligible or quiet too is ours.

    References
    ----------
    .. [1] Z. Liu et al., "GTG-Shapley: Efficient and Accurate Participant Contribution Evaluation in Federated
       Learning", ACM TIST 13(4), 2022.
    """
    _require_at_least_zero("negligible", negligible)
    before = game.evaluations
    if _changes_less_than(negligible, game):
        return Valuation(
            "guided truncated", np.zeros(game.players), np.full(game.players, negligible),
            evaluations=game.evaluations - before, exact=False, total=game.total, truncated=game.players,
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

    ``tolerance``, in units of the utility: 0 looks at every marginal contribution. Above, a permutation may be left
    at a prefix with |v(all) - v(prefix)| < ``tolerance`` if each of those who have not joined yet has been seen to
    join after such a prefix at least 10 times, and never added or took as much as ``tolerance``. What is skipped
    counts as the mean of what was seen after such prefixes before. Of these permutations one in ten, drawn at random,
    is walked to its end, where what marginal contributions differ from that mean by counts tenfold. Therefore the
    estimate is unbiased (no assumption on the game is needed), and the scatter of what is skipped is part of the
    standard error, which is that of the mean of block means: s/√B over B blocks.
    """
    _require_at_least_zero("tolerance", tolerance)
    before, players = game.evaluations, game.players
    total, tails = game.total, _Tails(game.players, tolerance, rng)
    # Welford's recurrence: the variance of means that lie close together keeps its digits.
    mean, squares = np.zeros(players), np.zeros(players)
    blocks = permutations = truncated = 0
    while True:
        block = sampler.block(players, rng)
        sums = np.zeros(players)
        for permutation in block:
            truncated += _walk(game, permutation.tolist(), sums, tails)
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


class _Tails:
    """What followed prefixes that are worth about as much as everybody, and whether more of it may be skipped.

    ``means``: of the marginal contributions seen there, shape (N,).
    """

    def __init__(self, players: int, tolerance: float, rng: np.random.Generator) -> None:
        self.tolerance = tolerance
        self.means = np.zeros(players)
        self._rng = rng
        self._seen, self._largest = np.zeros(players, dtype=np.int64), np.zeros(players)

    def note(self, player: int, marginal: float) -> None:
        self._seen[player] += 1
        self._largest[player] = max(self._largest[player], abs(marginal))
        self.means[player] += (marginal - self.means[player]) / self._seen[player]

    def weight(self, rest: Sequence[int]) -> float:
        """How much of the marginal contributions of ``rest`` counts in this order; 0 to leave it."""
        # The last one to join is known without looking: v(all) is.
        if len(rest) < 2 or (self._seen[rest] < _SEEN).any() or (self._largest[rest] >= self.tolerance).any():
            return 1.0
        return 1.0 / _WALKED if self._rng.random() < _WALKED else 0.0


def _walk(game: Coalitions, permutation: Sequence[int], sums: NDArray[np.float64], tails: _Tails) -> int:
    """Add each player's marginal contribution in this order to ``sums``; the number of players that were skipped."""
    together, prefix, weight, beyond = game.masked(game.everyone), 0, 1.0, False
    value = game.masked(prefix)
    for position, player in enumerate(permutation):
        if abs(together - value) < tails.tolerance:
            beyond = True
            weight = tails.weight(permutation[position:]) if weight == 1.0 else weight
            if weight == 0.0:
                rest = permutation[position:]
                sums[rest] += tails.means[rest]
                return len(rest)
        prefix |= 1 << player
        joined = game.masked(prefix)
        marginal = joined - value
        sums[player] += weight * marginal + (1.0 - weight) * tails.means[player]
        if beyond:
            tails.note(player, marginal)
        value = joined
    return 0


def _changes_less_than(negligible: float, game: Coalitions) -> bool:
    """Whether the whole and every first and last marginal contribution are below the bound."""
    nobody, everyone = game.masked(0), game.everyone
    return abs(game.total) < negligible and all(
        abs(game.masked(1 << n) - nobody) < negligible
        and abs(game.masked(everyone) - game.masked(everyone & ~(1 << n))) < negligible
        for n in range(game.players)
    )


def _require_at_least_zero(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} is {value}", hint="give a finite number, at least 0, in units of the utility")
