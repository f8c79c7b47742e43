"""Redistribution that makes the planner's optimum an equilibrium and leaves nobody worse off [ours; no paper has it].

Score weights make every own marginal payoff the gradient of social welfare at the planner's optimum; score offsets then
share the surplus through the Laplacian of the competition graph, on which any vector with zero sum in each connected
component is a vector of transfers. Efficient, individually rational and budget balanced at once, with complete
information: profitability, costs and competition are taken as agreed, and no truthfulness is claimed.

The order is: the incentive is encoded first, weights follow from its decoded rates, offsets from the decoded weights.
So whatever rounding the ledger imposes is in the game before the money is shared. Left out: the offsets themselves
(``sharing``), and the search for a uniform incentive (``incentive``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from cocogen.errors import (
    IsolatedOrganization,
    NegativeScoreWeight,
    NoImplementingWeight,
    NoRationalSharing,
    SolverError,
)
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.mechanisms.planning import equilibrium_method, solve_certified
from cocogen.mechanisms.redistribution.implementation import implementing_rates, matching_rates
from cocogen.mechanisms.redistribution.sharing import bonds, equal_surplus, least_bonds
from cocogen.solvers import solve
from cocogen.solvers.certificate import Certificate, certify
from cocogen.solvers.welfare import require_concave

__all__ = ["Decode", "Offsets", "OptimalRedistribution", "optimal_redistribution"]

Offsets: TypeAlias = Literal["equal-surplus", "min-bond"]
Decode: TypeAlias = Callable[[float, Array, Array], Redistribution]
"""(incentive, score weights, score offsets) → what a ledger makes of them; weights and offsets have shape (N,)."""

_EXACT = 1e-9
_INWARD = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class OptimalRedistribution:
    """The rule, the profile that it makes an equilibrium, and what everyone gets; arrays of shape (N,), currency.

    Attributes
    ----------
    incentive, weights, offsets : float, ndarray, ndarray
        As to be encoded: currency per unit of score difference; the median positive weight is 1.
    redistribution : Redistribution
        The decoded rule.
    planner : ndarray
        The planner's optimum g° (or (d°, f°)), in the family's format.
    strategies : ndarray
        The equilibrium of the decoded game: the planner's optimum up to the rounding of the weights.
    certificate : Certificate
        Of that equilibrium in the decoded game.
    welfare, planner_welfare, welfare_without : float
        Σ U_n at the equilibrium, at the planner's optimum, and at the equilibrium without redistribution.
    outside_options, surplus : ndarray
        What each earns alone, and how much more it earns here.
    bonds : ndarray
        The most that a round can take from each (L_n).
    bond_ratio : ndarray
        L_n / |U_n|.
    """

    incentive: float
    weights: Array
    offsets: Array
    redistribution: Redistribution
    planner: Array
    strategies: Array
    certificate: Certificate
    welfare: float
    planner_welfare: float
    welfare_without: float
    outside_options: Array
    surplus: Array
    bonds: Array

    @property
    def bond_ratio(self) -> Array:
        return self.bonds / np.maximum(np.abs(self.certificate.payoffs), np.finfo(np.float64).tiny)

    @property
    def efficiency(self) -> float:
        """(SW − SW without) / (SW(g°) − SW without): the share of the achievable improvement; 1 if there is none."""
        achievable = self.planner_welfare - self.welfare_without
        return (self.welfare - self.welfare_without) / achievable if achievable > 0.0 else 1.0


def optimal_redistribution(
    game: CoopetitionGame,
    *,
    offsets: Offsets = "equal-surplus",
    decode: Decode | None = None,
    largest_inputs: Array | None = None,
) -> OptimalRedistribution:
    """Design the redistribution under which the planner's optimum is an equilibrium.

    Parameters
    ----------
    game : CoopetitionGame
        Any family; its own redistribution is ignored.
    offsets : {"equal-surplus", "min-bond"}
        Give everyone its outside option and an equal share of its component's surplus, or need the least bonds among
        the offsets that leave every surplus at 0 or above.
    decode : callable, optional
        How a ledger rounds the rule; default not at all. Members without rivals get weight 0.
    largest_inputs : ndarray, optional
        The largest score input that the ledger accepts from each, for the bonds; default the largest of its strategies.

    Raises
    ------
    NoRationalSharing
        Welfare is not concave, or a component's surplus is negative: the message says by how much.
    NegativeScoreWeight
        With relative standing in the payoffs (χ < 1, ψ > 0), an organization would contribute too much even unpaid.
    NoImplementingWeight
        On discrete levels, an organization prefers another level at every weight.
    IsolatedOrganization
        An organization without rivals would not follow the optimum, and no transfer can reach it.
    SolverError, CertificateError
        The planner's optimum or the equilibrium was not reached.
    """
    _require_concave_welfare(game)
    unpaid = game.with_redistribution(Redistribution.none(game.size))
    planner = solve(unpaid, "planner").strategies
    rates = _score_rates(unpaid, planner)
    ledger = _exactly(game) if decode is None else decode
    sigma = game.competition.row_sums()
    paid = (rates > 0.0) & (sigma > 0.0)
    incentive = float(np.median(rates[paid] / sigma[paid])) if paid.any() else 0.0
    none = np.zeros(game.size)
    strength = ledger(incentive, np.ones(game.size), none).rates.row_sums()
    weights = np.divide(rates, strength, out=np.zeros(game.size), where=paid & (strength > 0.0))
    weighted = game.with_redistribution(ledger(incentive, weights, none))
    strategies = solve_certified(weighted, "the optimal redistribution").strategies
    outside = outside_options(unpaid)
    alone = unpaid.payoffs(strategies)
    inputs = game.family.segments.effect(*game.family.locate(strategies)).score_input
    largest = _largest_inputs(game) if largest_inputs is None else largest_inputs
    known = (weighted.redistribution, inputs, alone, outside, _reference(game), weighted.label)
    chosen = equal_surplus(*known) if offsets == "equal-surplus" else least_bonds(*known, largest)
    rule = ledger(incentive, weights, chosen)
    decoded = game.with_redistribution(rule)
    certificate = certify(decoded, strategies)
    without = unpaid.welfare(solve(unpaid, equilibrium_method(unpaid)).strategies)
    return OptimalRedistribution(
        incentive=incentive,
        weights=weights,
        offsets=chosen,
        redistribution=rule,
        planner=planner,
        strategies=strategies,
        certificate=certificate,
        welfare=float(certificate.payoffs.sum()),
        planner_welfare=unpaid.welfare(planner),
        welfare_without=without,
        outside_options=outside,
        surplus=certificate.payoffs - outside,
        bonds=bonds(rule, largest),
    )


def _require_concave_welfare(game: CoopetitionGame) -> None:
    try:
        require_concave(game)
    except SolverError as error:
        raise NoRationalSharing(
            f"the planner's optimum is not to be had: {error.message}", hint=f"{error.hint}, or use the uniform rule"
        ) from error


def _score_rates(game: CoopetitionGame, planner: Array) -> Array:
    """Score rates under which the planner's strategies are best responses: marginal payoffs matched where that does."""
    rates = np.maximum(matching_rates(game, planner), 0.0)
    reachable = game.competition.row_sums() > 0.0
    rates = np.where(reachable, rates, 0.0)
    gains = _gains(game, planner, rates)
    if (gains <= _EXACT).all():
        return rates
    isolated = (gains > _EXACT) & ~reachable
    if isolated.any():
        n = int(np.argmax(isolated))
        raise IsolatedOrganization(
            f"{game.label(n)} competes with nobody, so no transfer can make it follow the planner's optimum; it would "
            f"gain {gains[n]:.3g} of its payoff by leaving it",
            hint="state a small competition between it and another organization, or use the uniform redistribution",
        )
    interval = implementing_rates(game, planner)
    punished = (gains > _EXACT) & (interval.high < 0.0)
    if punished.any():
        n = int(np.argmax(punished))
        raise NegativeScoreWeight(
            f"{game.label(n)} contributes more than the planner's optimum even when unpaid: relative standing is a rat "
            "race that only a negative weight would slow",
            hint="lower the private gain or the competition, or use the uniform redistribution",
        )
    low, high = interval.low, interval.high
    width = np.where(np.isfinite(high), high - low, np.maximum(low, 1.0))
    inward = np.clip(rates, low + _INWARD * width, low + (1.0 - _INWARD) * width)
    rates = np.where(gains > _EXACT, inward, rates)
    gains = _gains(game, planner, rates)
    if (gains > _EXACT).any():
        n = int(np.argmax(gains))
        raise NoImplementingWeight(
            f"no score weight makes {game.label(n)} choose the planner's strategy {_shown(planner[n])}: the interval "
            f"of weights is empty, and at the nearest one it gains {gains[n]:.3g} of its payoff by another strategy",
            hint="use the uniform redistribution, or finer compute levels",
        )
    return rates


def _gains(game: CoopetitionGame, strategies: Array, rates: Array) -> Array:
    """What each would gain by leaving its strategy at these score rates, relative to max(1, |U_n|), shape (N,).

    Infinite where payoffs overflow: what is no number must not pass for nothing.
    """
    certificate = certify(game.with_score_rates(rates), strategies)
    gains = certificate.gains / np.maximum(1.0, np.abs(certificate.payoffs))
    return np.where(np.isnan(gains), np.inf, gains)


def _shown(strategy: Array) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in np.atleast_1d(strategy)) + ")"


def _exactly(game: CoopetitionGame) -> Decode:
    return lambda incentive, weights, offsets: Redistribution(game.competition.scaled(incentive), weights, offsets)


def _reference(game: CoopetitionGame) -> Array:
    """The score input of registered data alone, at which the weighted scores of a component sum to zero."""
    return game.family.segments.score_base[:, 0]


def _largest_inputs(game: CoopetitionGame) -> Array:
    segments = game.family.segments
    largest = np.where(segments.feasible, segments.score_base + segments.score_slope * segments.upper, -np.inf)
    return np.asarray(largest.max(axis=1))
