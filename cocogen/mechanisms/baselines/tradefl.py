"""What organizations would do without TradeFL: three schemes that its evaluation compares with.

The paper names them and says little more, so the definitions are ours where marked. Each takes the game with TradeFL's
redistribution in it, derives who decides what, and is judged in the true market:

- WPR, without payoff redistribution: the equilibrium at incentive 0.
- GCA, compute proportional to data (f = k d): an organization that trains on d computes at the smallest level that is
  at least F^(m) d and meets the deadline [ours: k = F^(m), rounded up to a level]; d is then a best response under that
  rule, with the redistribution in force. On a level's closed interval [ours: both levels may be played at a boundary].
- TOS: everyone trains on all data at its fastest level and ignores deadline and damage. The profile may miss the
  deadline, so payoffs are those of the market without one [ours], and the result says who would be late. Nothing is
  redistributed [ours].

Left out: the equilibrium that they are compared with (``cocogen.solvers``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, BoolArray, IntArray, frozen
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import Segments
from cocogen.solvers import Certificate, certify, solve

__all__ = [
    "SchemeOutcome",
    "full_contribution",
    "proportional_compute",
    "proportional_segments",
    "without_redistribution",
]


@dataclass(frozen=True, slots=True, eq=False)
class SchemeOutcome:
    """A scheme's profile, judged in the true market.

    Attributes
    ----------
    name : str
        "wpr", "gca" or "tos".
    strategies : ndarray
        (d, f), shape (N, 2): data fraction and Hz.
    payoffs : ndarray
        U, shape (N,), currency; for TOS in the market without a deadline.
    welfare : float
        Σ U_n, currency.
    accuracy : float
        P(Ω), units of accuracy.
    in_time : ndarray
        bool, shape (N,): whether the strategy meets the deadline.
    certificate : Certificate or None
        ε in the true market, transfers as the scheme has them; None where somebody misses the deadline, since an
        infeasible profile has no payoff there.
    """

    name: str
    strategies: Array
    payoffs: Array
    welfare: float
    accuracy: float
    in_time: BoolArray
    certificate: Certificate | None


def without_redistribution(game: CoopetitionGame, method: str = "benders") -> SchemeOutcome:
    """WPR: the certified equilibrium of the same market at incentive 0.

    Parameters
    ----------
    game : CoopetitionGame
        A game of data fractions.
    method : str
        A solver of :data:`cocogen.solvers.METHODS`.

    Raises
    ------
    SolverError
        Another strategy family, or the solver did not converge.
    """
    _family(game)
    unpaid = game.with_redistribution(Redistribution.none(game.size))
    equilibrium = solve(unpaid, method)
    if not equilibrium.converged:
        raise SolverError(
            f"wpr: {method} stopped at a residual of {equilibrium.residual:.3g}", hint="use another method"
        )
    return _judged("wpr", unpaid, equilibrium.strategies, equilibrium.certificate)


def proportional_compute(game: CoopetitionGame) -> SchemeOutcome:
    """GCA: sequential best responses, from d = D_min, among strategies whose compute is proportional to the data.

    Raises
    ------
    SolverError
        Another strategy family, or the dynamics did not settle.
    """
    family = _family(game)
    restricted = CoopetitionGame(
        game.profitability,
        game.competition,
        game.accuracy,
        _Restricted(family, proportional_segments(family)),
        game.redistribution,
        damage=game.damage,
        private_gain=game.private_gain,
        private_base=game.private_base,
        names=game.names,
    )
    level = np.argmax(restricted.family.segments.feasible, axis=1).astype(np.int64)
    lowest = restricted.family.segments.pick(restricted.family.segments.lower, level)
    settled = solve(restricted, "best-response", start=family.assemble(lowest, level))
    if not settled.converged:
        raise SolverError(
            f"gca: best responses still moved by {settled.residual:.3g}", hint="raise maximum_sweeps of the dynamics"
        )
    return _judged("gca", game, settled.strategies, certify(game, settled.strategies))


def full_contribution(game: CoopetitionGame) -> SchemeOutcome:
    """TOS: d = 1 at the fastest level for everyone.

    Raises
    ------
    SolverError
        Another strategy family.
    """
    family = _family(game)
    strategies = np.stack([np.ones(game.size), family.compute_levels[:, -1]], axis=1)
    unpaid = game.with_redistribution(Redistribution.none(game.size))
    if family.in_time(strategies).all():
        return _judged("tos", unpaid, strategies, certify(unpaid, strategies))
    patient = CoopetitionGame(
        game.profitability,
        game.competition,
        game.accuracy,
        _without_deadline(family),
        damage=game.damage,
        private_gain=game.private_gain,
        private_base=game.private_base,
        names=game.names,
    )
    outcome = _judged("tos", patient, strategies, None)
    return replace(outcome, in_time=family.in_time(strategies))


def proportional_segments(family: DataFractions) -> Segments:
    """GCA's strategy sets: level l holds the data fractions for which it is the smallest sufficient level.

    A fraction d needs f ≥ F^(m) d and η d s / f within the deadline; both bounds on d grow with f, so level l serves
    the interval between the largest fraction that level l − 1 can serve and its own, closed at both ends.
    """
    segments = family.segments
    share = family.compute_levels / family.compute_levels[:, -1:]
    top = np.where(segments.feasible, np.minimum(segments.upper, share), 0.0)
    bottom = np.concatenate([np.zeros((family.size, 1)), np.maximum.accumulate(top, axis=1)[:, :-1]], axis=1)
    lower = np.maximum(segments.lower, bottom)
    feasible = segments.feasible & (top >= lower)
    return replace(
        segments,
        lower=frozen(np.where(feasible, lower, family.minimum_fraction)),
        upper=frozen(np.where(feasible, top, family.minimum_fraction)),
        feasible=feasible,
    )


class _Restricted:
    """A family whose profiles are written alike but whose strategy sets are smaller."""

    def __init__(self, family: DataFractions, segments: Segments) -> None:
        self._family, self._segments = family, segments

    @property
    def size(self) -> int:
        return self._family.size

    @property
    def segments(self) -> Segments:
        return self._segments

    def locate(self, strategies: ArrayLike) -> tuple[Array, IntArray]:
        return self._family.locate(strategies)

    def assemble(self, position: Array, level: IntArray) -> Array:
        return self._family.assemble(position, level)


def _without_deadline(family: DataFractions) -> DataFractions:
    slowest = family.communication_time + family.cycles_per_bit * family.bits / family.compute_levels[:, 0]
    return DataFractions(
        family.bits,
        family.samples,
        family.compute_levels,
        family.cycles_per_bit,
        2.0 * float(slowest.max()),
        communication_time=family.communication_time,
        communication_energy=family.communication_energy,
        overhead_weight=family.overhead_weight,
        capacitance=family.capacitance,
        minimum_fraction=family.minimum_fraction,
        compute_weight=family.compute_weight,
    )


def _family(game: CoopetitionGame) -> DataFractions:
    if not isinstance(game.family, DataFractions):
        raise SolverError(
            f"TradeFL's schemes choose data fractions, found {type(game.family).__name__}",
            hint="compare generation amounts with vcfl, wco and radg",
        )
    return game.family


def _judged(name: str, game: CoopetitionGame, strategies: Array, certificate: Certificate | None) -> SchemeOutcome:
    payoffs = game.payoffs(strategies)
    return SchemeOutcome(
        name=name,
        strategies=frozen(strategies),
        payoffs=payoffs,
        welfare=float(payoffs.sum()),
        accuracy=float(game.accuracy.value(game.effective_samples(strategies).sum())),
        in_time=np.ones(game.size, dtype=np.bool_),
        certificate=certificate,
    )
