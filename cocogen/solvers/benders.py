"""Generalized Benders decomposition (TradeFL's CGBD): exact optima over discrete levels, with both bounds.

With levels fixed, the objective is concave in the positions: the primal. Its tangent at the aggregate that the primal
reaches, maximised over each organization's own position, is a cut that holds for *every* level vector,

    Φ ≤ P(Ω_k) − μ_k Ω_k + Σ_n max_t {μ_k q_n(t) + (own part of n at its level) / z_n},   μ_k = P'(Ω_k),

and the master problem picks the levels at which the cuts so far allow most. TradeFL solves both by general methods
and enumerates the master; here the primal is one scalar search and the master a mixed-integer programme (HiGHS). The
first cut is the tangent at which the price clears with everyone free to choose its level: the Lagrangian bound [ours].
A level that the deadline rules out is excluded when the master first proposes it (feasibility cuts, TradeFL Eq.
21-23): since it concerns one organization only, the cut leaves that organization its feasible levels.

The loop serves the planner too (``planner``), whose prices differ between organizations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, IntArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.strategies import Segments
from cocogen.solvers.crossing import best_positions, crossing, reachable
from cocogen.solvers.equilibrium import Candidate, Trace
from cocogen.solvers.master import Master
from cocogen.solvers.price_response import PriceResponse

__all__ = ["Decomposition", "LevelObjective", "Potential", "decompose", "generalized_benders"]


class LevelObjective(Protocol):
    """A function of a profile that is concave in the positions at fixed levels."""

    segments: Segments

    def start(self) -> Array:
        """Effective samples, shape (N,), at which the first cut is taken."""
        ...

    def primal(self, level: IntArray) -> Array:
        """The positions that maximise it at feasible levels, both shape (N,)."""
        ...

    def value(self, position: Array, level: IntArray) -> float: ...

    def cut(self, samples: Array) -> tuple[float, Array]:
        """The tangent in the effective samples, maximised over positions: a constant, and a table (N, L)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """The best profile found, as positions and levels (N,), with lower ≤ optimum ≤ upper in the objective's unit."""

    position: Array
    level: IntArray
    lower: float
    upper: float
    converged: bool
    trace: Trace

    @property
    def relative_gap(self) -> float:
        """(upper − lower) / max(1, |lower|)."""
        return (self.upper - self.lower) / max(1.0, abs(self.lower))


def generalized_benders(
    game: CoopetitionGame, *, tolerance: float = 1e-10, maximum_iterations: int = 1000
) -> Candidate:
    """Find the potential's global maximum over all levels, an equilibrium of every game of this package.

    Parameters
    ----------
    game : CoopetitionGame
        Any family; with one segment it is the fixed point.
    tolerance : float
        Stop when the bounds are within ``tolerance`` · max(1, |Φ|) of each other.
    maximum_iterations : int
        Give up after as many master problems; the result then says ``converged = False``, and the bounds hold still.

    Returns
    -------
    Candidate
        ``upper_bound`` is the master's bound on Φ; ``residual`` the relative gap; ``trace`` has both bounds and the
        number of cuts for each iteration, its ``aggregate`` that of the newest primal.

    Raises
    ------
    SolverError
        HiGHS did not finish a master problem within two minutes, or the potential is not finite.
    """
    found = decompose(Potential(game), tolerance, maximum_iterations)
    return Candidate(
        method="benders",
        strategies=game.family.assemble(found.position, found.level),
        iterations=found.trace.aggregate.size,
        converged=found.converged,
        residual=found.relative_gap,
        trace=found.trace,
        upper_bound=found.upper,
    )


def decompose(objective: LevelObjective, tolerance: float, maximum_iterations: int) -> Decomposition:
    """Alternate between the master problem and the primal until their bounds meet."""
    return _Loop(objective).run(tolerance, maximum_iterations)


class _Loop:
    def __init__(self, objective: LevelObjective) -> None:
        self._objective = objective
        self._feasible = objective.segments.feasible
        self._master = Master(objective.segments.lower.shape)
        self._master.add(*objective.cut(objective.start()))
        self._feasibility_cuts = 0
        self._history: list[tuple[float, float, float, int, int]] = []
        self._seen: set[bytes] = set()
        proposal, self._upper = self._master.first()
        if self._excluded(proposal):
            proposal, self._upper = self._master.first()
        self._lower = -np.inf
        self._omega = self._evaluate(proposal)
        self._record()

    def run(self, tolerance: float, maximum_iterations: int) -> Decomposition:
        slack = tolerance * max(1.0, abs(self._lower))
        stuck = False
        while self._upper - self._lower > slack and not stuck and len(self._history) < maximum_iterations:
            proposal, bound = self._master.best(self._level, self._lower, self._upper, slack)
            # A primal that falls short of its own cut by more than the tolerance would be proposed for ever.
            stuck = proposal.tobytes() in self._seen and bound >= self._upper
            self._upper = min(self._upper, bound)
            if self._upper - self._lower > slack and not self._excluded(proposal) and not stuck:
                self._omega = self._evaluate(proposal)
            self._record()
            slack = tolerance * max(1.0, abs(self._lower))
        converged = self._upper - self._lower <= slack
        return Decomposition(self._position, self._level, self._lower, self._upper, converged, _trace(self._history))

    def _excluded(self, level: IntArray) -> bool:
        missed = np.flatnonzero(~self._feasible[np.arange(level.size), level])
        self._master.exclude(missed, self._feasible[missed])
        self._feasibility_cuts += missed.size
        return missed.size > 0

    def _evaluate(self, level: IntArray) -> float:
        """Solve the primal, take its cut, and keep it if it is the best; Ω."""
        position = self._objective.primal(level)
        samples = self._objective.segments.effect(position, level).samples
        value = self._objective.value(position, level)
        if not np.isfinite(value):
            raise SolverError(
                f"the objective is {value} at a feasible profile: the market's numbers are too large or too small for "
                "double precision",
                hint="state profitability, costs and accuracy in units in which they are neither tiny nor huge",
            )
        if level.tobytes() not in self._seen:
            self._master.add(*self._objective.cut(samples))
            self._seen.add(level.tobytes())
        if value > self._lower:
            self._position, self._level, self._lower = position, level, value
            self._upper = max(self._upper, value)
        return float(samples.sum())

    def _record(self) -> None:
        self._history.append((self._omega, self._lower, self._upper, self._master.cuts, self._feasibility_cuts))


class Potential:
    """Φ, units of accuracy."""

    def __init__(self, game: CoopetitionGame) -> None:
        self.segments = game.family.segments
        self._game = game
        self._respond = PriceResponse.of(game)

    def start(self) -> Array:
        accuracy, respond = self._game.accuracy, self._respond
        supply = crossing(accuracy, lambda price: float(respond.best_samples(price).sum()), *reachable(self.segments))
        return supply.mix(respond.best_samples)

    def primal(self, level: IntArray) -> Array:
        segments = self.segments.at(level[:, None])
        return best_positions(self._game.accuracy, PriceResponse.of(self._game, segments))[0]

    def value(self, position: Array, level: IntArray) -> float:
        return self._game.potential(self._game.family.assemble(position, level))

    def cut(self, samples: Array) -> tuple[float, Array]:
        omega = float(samples.sum())
        price = float(self._game.accuracy.derivative(omega))
        constant = float(self._game.accuracy.value(omega)) - price * omega
        return constant, self._respond.worth(price) / self._game.potential_weights[:, None]


def _trace(history: list[tuple[float, float, float, int, int]]) -> Trace:
    aggregate, lower, upper, optimality, feasibility = (np.array(column) for column in zip(*history, strict=True))
    return Trace(
        aggregate=aggregate,
        residual=(upper - lower) / np.maximum(1.0, np.abs(lower)),
        lower_bound=lower,
        upper_bound=upper,
        optimality_cuts=optimality,
        feasibility_cuts=feasibility,
    )
