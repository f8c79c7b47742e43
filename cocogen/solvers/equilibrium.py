"""What a solver returns: a profile with the evidence for it.

No solver hands out bare arrays. A :class:`Candidate` is what an algorithm found; :func:`conclude` adds the independent
certificate and the bound on the potential, and only the resulting :class:`Equilibrium` is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cocogen.game.arrays import Array, IntArray, frozen
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.certificate import Certificate, certify
from cocogen.solvers.price_response import PriceResponse

__all__ = ["Candidate", "Equilibrium", "Trace", "conclude", "potential_bound"]


def _empty() -> Array:
    return np.empty(0)


def _none() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """How an algorithm went, one entry for each of its K iterations.

    Attributes
    ----------
    aggregate : ndarray
        Ω, effective samples, shape (K,).
    residual : ndarray
        The algorithm's own stopping measure, shape (K,).
    potential : ndarray
        Φ, shape (K,); empty where the algorithm never forms a profile on its way.
    payoffs : ndarray
        U, currency, shape (K, N); empty likewise.
    lower_bound, upper_bound : ndarray
        Bounds on the optimum of the algorithm's own objective (Φ, or SW for the planner), shape (K,); empty where it
        keeps none.
    optimality_cuts, feasibility_cuts : ndarray
        Benders' cuts so far, int64, shape (K,); empty likewise.
    updates : ndarray
        Strategy changes so far, int64, shape (K,); empty where organizations do not move one after another.
    """

    aggregate: Array
    residual: Array
    potential: Array = field(default_factory=_empty)
    payoffs: Array = field(default_factory=_empty)
    lower_bound: Array = field(default_factory=_empty)
    upper_bound: Array = field(default_factory=_empty)
    optimality_cuts: IntArray = field(default_factory=_none)
    feasibility_cuts: IntArray = field(default_factory=_none)
    updates: IntArray = field(default_factory=_none)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What an algorithm found, before anyone checked it; fields as in :class:`Equilibrium`.

    ``upper_bound`` is the algorithm's own bound on Φ, where it has one.
    """

    method: str
    strategies: Array
    iterations: int
    converged: bool
    residual: float
    trace: Trace
    upper_bound: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Equilibrium:
    """A certified profile.

    Attributes
    ----------
    method : str
        The solver's name.
    strategies : ndarray
        The profile in the family's format; shape (N,) for generation amounts, samples.
    certificate : Certificate
        Its independent ε-Nash certificate. The planner's optimum carries one too, which says that it is none.
    potential : float
        Φ at the profile, units of accuracy.
    upper_bound : float
        No profile has a larger Φ: the smaller of :func:`potential_bound` and the algorithm's own bound.
    iterations : int
        Iterations, or evaluations of the aggregate map, of the algorithm.
    converged : bool
        Whether the algorithm reached its own tolerance.
    residual : float
        Its stopping measure at the end.
    trace : Trace
        How it went.
    seconds : float
        Wall-clock time of the algorithm, without the certificate.
    """

    method: str
    strategies: Array
    certificate: Certificate
    potential: float
    upper_bound: float
    iterations: int
    converged: bool
    residual: float
    trace: Trace
    seconds: float

    @property
    def epsilon(self) -> float:
        """ε of the certificate: the largest unilateral gain relative to max(1, |U_n|)."""
        return self.certificate.epsilon

    @property
    def gap(self) -> float:
        """Upper bound less potential, units of accuracy; 0 up to rounding exactly at the equilibrium."""
        return self.upper_bound - self.potential


def conclude(game: CoopetitionGame, candidate: Candidate, seconds: float) -> Equilibrium:
    """Certify what an algorithm found."""
    potential = game.potential(candidate.strategies)
    bounds = [potential_bound(game, candidate.strategies)]
    if candidate.upper_bound is not None:
        bounds.append(candidate.upper_bound)
    return Equilibrium(
        method=candidate.method,
        strategies=frozen(candidate.strategies),
        certificate=certify(game, candidate.strategies),
        potential=potential,
        # Only rounding puts a bound below what was reached.
        upper_bound=max(min(bounds), potential),
        iterations=candidate.iterations,
        converged=candidate.converged,
        residual=candidate.residual,
        trace=candidate.trace,
        seconds=seconds,
    )


def potential_bound(game: CoopetitionGame, strategies: Array) -> float:
    """Bound the potential of all profiles by the tangent of P at this profile's aggregate Ω.

    P is concave, so with μ = P'(Ω) every profile has Φ ≤ P(Ω) − μ Ω + Σ_n max {μ q_n + (own part of n) / z_n}, the
    maximum over n's own strategies (the optimality cut of TradeFL's Benders decomposition). It is tight at the
    equilibrium.

    Returns
    -------
    float
        Units of accuracy.
    """
    omega = float(game.effective_samples(strategies).sum())
    price = float(game.accuracy.derivative(omega))
    worth = np.where(game.family.segments.feasible, PriceResponse.of(game).worth(price), -np.inf).max(axis=1)
    return float(game.accuracy.value(omega)) + float((worth / game.potential_weights).sum() - price * omega)
