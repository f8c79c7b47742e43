"""The planner's optimum: the profile with the largest social welfare, the yardstick of welfare efficiency.

With one segment for each organization it is one concave maximisation (``welfare``). With several, welfare is the
objective of a Benders decomposition [ours]: its tangent at effective samples q has a price of its own for each
organization, ∂SW/∂q_n = Σ z P'(Ω) + χ Σ_{m≠n} Γ_m P'(Ω − q_m), and the maximum over positions and levels separates.
"""

from __future__ import annotations

import numpy as np

from cocogen.game.arrays import Array, IntArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.benders import decompose
from cocogen.solvers.crossing import crossing, reachable
from cocogen.solvers.equilibrium import Candidate, Trace
from cocogen.solvers.price_response import PriceResponse
from cocogen.solvers.welfare import WelfareFunction, maximise, require_concave

__all__ = ["Welfare", "planner_optimum"]


def planner_optimum(game: CoopetitionGame, *, tolerance: float = 1e-10, maximum_iterations: int = 200) -> Candidate:
    """Maximise social welfare over all profiles.

    Parameters
    ----------
    game : CoopetitionGame
        Any family.
    tolerance : float
        One segment: stop when a step moves no position by more than ``tolerance`` times max(1, its magnitude).
        Several: stop when the bounds on welfare are within ``tolerance`` · max(1, |SW|) of each other.
    maximum_iterations : int
        Give up after as many steps or master problems; the result then says ``converged = False``.

    Returns
    -------
    Candidate
        ``residual`` is the largest relative move of the last step, or the relative gap; the bounds in ``trace`` are
        those of social welfare, currency.

    Raises
    ------
    SolverError
        Welfare is not concave; the message names the organization.
    """
    require_concave(game)
    if game.family.segments.count > 1:
        return _over_levels(game, tolerance, maximum_iterations)
    ascent = maximise(WelfareFunction(game, game.family.segments), tolerance, maximum_iterations)
    return Candidate(
        method="planner",
        strategies=game.family.assemble(ascent.position, np.zeros(game.size, dtype=np.int64)),
        iterations=ascent.moves.size - 1,
        converged=ascent.converged,
        residual=float(ascent.moves[-1]),
        trace=Trace(
            aggregate=ascent.aggregate, residual=ascent.moves, lower_bound=ascent.value, upper_bound=ascent.bound
        ),
    )


def _over_levels(game: CoopetitionGame, tolerance: float, maximum_iterations: int) -> Candidate:
    found = decompose(Welfare(game), tolerance, maximum_iterations)
    return Candidate(
        method="planner",
        strategies=game.family.assemble(found.position, found.level),
        iterations=found.trace.aggregate.size,
        converged=found.converged,
        residual=found.relative_gap,
        trace=found.trace,
    )


class Welfare:
    """SW, currency, as the decomposition wants it."""

    def __init__(self, game: CoopetitionGame) -> None:
        self.segments = game.family.segments
        self._game = game
        self._shared = float(game.potential_weights.sum())
        self._damage = game.damage * game.damage_weights
        self._respond = self._response(np.ones(game.size))

    def start(self) -> Array:
        # Whoever stays out of the damage done to it faces this price, up to the difference of P'(Ω) and P'(Ω − q).
        respond = self._response(self._shared + self._damage.sum() - self._damage)
        accuracy = self._game.accuracy
        supply = crossing(accuracy, lambda price: float(respond.best_samples(price).sum()), *reachable(self.segments))
        return supply.mix(respond.best_samples)

    def primal(self, level: IntArray) -> Array:
        return maximise(WelfareFunction(self._game, self.segments.at(level[:, None])), 1e-10, 200).position

    def value(self, position: Array, level: IntArray) -> float:
        welfare = WelfareFunction(self._game, self.segments.at(level[:, None]))
        return float(welfare.terms(position).sum())

    def cut(self, samples: Array) -> tuple[float, Array]:
        accuracy = self._game.accuracy
        omega = samples.sum()
        kept = self._damage * accuracy.derivative(omega - samples)
        prices = self._shared * accuracy.derivative(omega) + kept.sum() - kept
        coupling = self._shared * accuracy.value(omega) + (self._damage * accuracy.value(omega - samples)).sum()
        return float(coupling - prices @ samples), self._respond.worth(prices[:, None])

    def _response(self, weights: Array) -> PriceResponse:
        game = self._game
        private = game.private_gain * game.welfare_weights
        return PriceResponse(self.segments, weights, np.zeros(game.size), private, game.private_base)
