"""From a market to its game, and from a chosen profile to a plan: what every mechanism here shares.

The game is built on the decoded terms, so that what is played is what the ledger settles, and among the participants
only, as the ledger masks everyone else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocogen.errors import GameError, SolverError
from cocogen.game.accuracy import mean_heterogeneity
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.mechanisms.base import Market, Plan
from cocogen.solvers import solve
from cocogen.solvers.certificate import certify
from cocogen.solvers.equilibrium import Equilibrium

__all__ = [
    "TOLERANCE",
    "EquilibriumPlan",
    "build_game",
    "equilibrium_method",
    "evaluate",
    "has_one_equilibrium",
    "solve_certified",
]

TOLERANCE = 1e-6
"""Largest ε with which a mechanism hands out an equilibrium."""


def build_game(market: Market, *, redistributed: bool = True) -> CoopetitionGame:
    """Build the participants' game on the decoded terms.

    P carries δ̄, the participants' heterogeneity weighted by their registered local samples.

    Parameters
    ----------
    market : Market
        The round's state.
    redistributed : bool
        False leaves the transfers out, for mechanisms that know none.

    Returns
    -------
    CoopetitionGame
        Index n is the n-th participant.

    Raises
    ------
    GameError
        Fewer than two participants, or their market is not well-posed.
    ConfigurationError
        A parameter is out of range.
    """
    here = np.asarray(market.participants, dtype=np.bool_)
    if here.sum() < 2:
        raise GameError(
            f"{int(here.sum())} organizations take part in this round; a game needs at least 2",
            hint="wait until more organizations have accepted the terms and hold their bond",
        )
    heterogeneity = market.heterogeneity[here]
    mean = mean_heterogeneity(heterogeneity, market.resources.registered[here])
    return CoopetitionGame(
        market.profitability[here],
        market.competition[np.ix_(here, here)],
        market.accuracy.with_heterogeneity(mean),
        market.resources.family(here, market.decoded, market.names),
        Redistribution.from_decoded(market.decoded, here) if redistributed else None,
        heterogeneity,
        damage=market.damage,
        private_gain=market.private_gain,
        private_base=market.private_base,
        names=[name for name, present in zip(market.names, here, strict=True) if present],
    )


def has_one_equilibrium(game: CoopetitionGame) -> bool:
    """Whether costs are strictly convex on one segment each, which makes the equilibrium unique."""
    segments = game.family.segments
    return segments.count == 1 and bool((segments.cost_curvature > 0.0).all())


def equilibrium_method(game: CoopetitionGame) -> str:
    """The exact solver for this game: the fixed point for one segment each, else Benders."""
    return "fixed-point" if game.family.segments.count == 1 else "benders"


def solve_certified(game: CoopetitionGame, label: str) -> Equilibrium:
    """The potential's maximiser, or an error: nothing uncertified leaves a mechanism.

    Where several equilibria may exist (linear costs, discrete levels) and the planner's optimum is one of them, that
    one is handed out: everyone can compute it, and no other is better for welfare [ours].

    Raises
    ------
    SolverError
        The algorithm did not converge.
    CertificateError
        ε exceeds :data:`TOLERANCE`.
    """
    if not has_one_equilibrium(game):
        planner = solve(game, "planner")
        if planner.converged and planner.certificate.holds(TOLERANCE):
            return planner
    equilibrium = solve(game, equilibrium_method(game))
    if not equilibrium.converged:
        raise SolverError(
            f"{label}: {equilibrium.method} stopped at a residual of {equilibrium.residual:.3g}",
            hint='the costs may be nearly linear; try method "best-response"',
        )
    equilibrium.certificate.require(TOLERANCE, label)
    return equilibrium


def evaluate(
    name: str, market: Market, game: CoopetitionGame, strategies: Array, equilibrium: Equilibrium | None = None
) -> Plan:
    """Turn the participants' profile into a plan: integers, payoffs, welfare against the planner, and certificates.

    Parameters
    ----------
    name : str
        The mechanism.
    market : Market
        The round's state.
    game : CoopetitionGame
        The game in which the profile is settled.
    strategies : ndarray
        The participants' strategies in the family's format.
    equilibrium : Equilibrium, optional
        Where the profile comes from one of this very game.
    """
    here = np.asarray(market.participants, dtype=np.bool_)

    def spread(values: Array) -> Array:
        whole = np.zeros((market.size, *values.shape[1:]))
        whole[here] = values
        return whole

    certificate = certify(game, strategies) if equilibrium is None else equilibrium.certificate
    profile = market.resources.integers(strategies, here)
    executed = market.resources.executed(profile, here)
    payoffs = certificate.payoffs
    planner = solve(game, "planner")
    planner_welfare = game.welfare(planner.strategies)
    welfare = float(payoffs.sum())
    outside = outside_options(game)
    segments = game.family.segments
    first = np.argmax(segments.feasible, axis=1).astype(np.int64)
    idle = game.deviations(strategies).payoffs(segments.pick(segments.lower, first), first)
    return Plan(
        mechanism=name,
        participants=here,
        strategies=spread(strategies),
        equilibrium=equilibrium,
        certificate=certificate,
        epsilon=certificate.epsilon,
        epsilon_executed=certify(game, executed).epsilon,
        profile=profile,
        payoffs=spread(payoffs),
        transfers=spread(game.transfers(strategies)),
        welfare=welfare,
        planner_strategies=spread(planner.strategies),
        planner_welfare=planner_welfare,
        efficiency=welfare / planner_welfare if planner_welfare > 0.0 else None,
        outside_options=spread(outside),
        surplus=spread(payoffs - outside),
        surplus_idle=spread(idle - outside),
        potential=game.potential(strategies),
    )


@dataclass(frozen=True, slots=True)
class EquilibriumPlan:
    """Plan the certified equilibrium of the participants' game; ``redistributed``: whether the transfers are in it.

    With redistribution this is CoCoGen+ (arXiv 2604.14886) on generation amounts and TradeFL (ICDCS 2023) on data
    fractions, played on the ledger's decoded terms: with uniform weights as published, with optimal weights at the
    planner's optimum. Without it, it is the conference version of CoCoGen (arXiv 2509.18120, in a market with χ = 0 and
    ψ > 0) and TradeFL's WPR.
    """

    name: str
    redistributed: bool = True

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:  # noqa: ARG002 - nothing random
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market, redistributed=self.redistributed)
        equilibrium = solve_certified(game, self.name)
        return evaluate(self.name, market, game, equilibrium.strategies, equilibrium)
