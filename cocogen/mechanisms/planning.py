"""From a market to its game, and from a chosen profile to a plan: what every mechanism here shares.

The game is built on the decoded terms, so that what is played is what the ledger settles, and among the participants
only, as the ledger masks everyone else.
"""

from __future__ import annotations

import numpy as np

from cocogen.errors import GameError, SolverError
from cocogen.game.accuracy import mean_heterogeneity
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.effective import effective_samples, raw_samples
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.mechanisms.base import IntegerProfile, Market, Plan
from cocogen.solvers import solve
from cocogen.solvers.certificate import certify
from cocogen.solvers.equilibrium import Equilibrium

__all__ = ["TOLERANCE", "build_game", "evaluate", "integer_profile", "solve_certified"]

TOLERANCE = 1e-6
"""Largest ε with which a mechanism hands out an equilibrium."""


def build_game(market: Market, *, redistributed: bool = True) -> CoopetitionGame:
    """Build the participants' game on the decoded terms.

    P carries δ̄, the participants' heterogeneity weighted by their registered local samples. An amount is limited by the
    market's maximum and by the ledger's cap on effective samples, whichever binds at the κ in force.

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
    local = np.asarray(market.local[here], dtype=np.float64)
    quality = market.quality[here]
    family = GenerationAmounts(
        local,
        quality,
        market.cost_linear[here],
        market.cost_quadratic[here],
        np.minimum(market.maximum[here], market.generated_cap[here] / quality),
        market.cost_fixed[here],
        generated_weight=market.decoded.generated_weight,
    )
    heterogeneity = market.heterogeneity[here]
    return CoopetitionGame(
        market.profitability[here],
        market.competition[np.ix_(here, here)],
        market.accuracy.with_heterogeneity(mean_heterogeneity(heterogeneity, local)),
        family,
        Redistribution.from_decoded(market.decoded, here) if redistributed else None,
        heterogeneity,
        damage=market.damage,
        private_gain=market.private_gain,
        private_base=market.private_base,
        names=[name for name, present in zip(market.names, here, strict=True) if present],
    )


def solve_certified(game: CoopetitionGame, label: str) -> Equilibrium:
    """The equilibrium by bracketing, or an error: nothing uncertified leaves a mechanism.

    Raises
    ------
    SolverError
        The algorithm did not converge.
    CertificateError
        ε exceeds :data:`TOLERANCE`.
    """
    equilibrium = solve(game)
    if not equilibrium.converged:
        raise SolverError(
            f"{label}: the fixed point stopped at a relative residual of {equilibrium.residual:.3g}",
            hint='the costs may be nearly linear; try method "best-response"',
        )
    equilibrium.certificate.require(TOLERANCE, label)
    return equilibrium


def integer_profile(market: Market, strategies: Array) -> IntegerProfile:
    """Round a continuous plan to what can be contributed and attested.

    Parameters
    ----------
    market : Market
        The round's state.
    strategies : ndarray
        g of all organizations, shape (N,), zeros for those that do not take part.
    """
    here = market.participants
    generated, raw = np.zeros(market.size, dtype=np.int64), np.zeros(market.size, dtype=np.int64)
    for n in np.flatnonzero(here):
        quality = float(market.quality[n])
        generated[n] = min(effective_samples(float(strategies[n]), quality), int(market.generated_cap[n]))
        raw[n] = raw_samples(int(generated[n]), quality)
    data = np.where(here, market.local, 0).astype(np.int64)
    return IntegerProfile(data=data, generated=generated, raw=raw, compute=np.zeros(market.size, dtype=np.int64))


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
        The participants' amounts, shape (number of participants,).
    equilibrium : Equilibrium, optional
        Where the profile comes from one of this very game.
    """

    def spread(values: Array) -> Array:
        whole = np.zeros(market.size)
        whole[market.participants] = values
        return whole

    certificate = certify(game, strategies) if equilibrium is None else equilibrium.certificate
    profile = integer_profile(market, spread(strategies))
    attested = profile.generated[market.participants] / market.quality[market.participants]
    executed = np.minimum(attested, game.family.segments.upper[:, 0])
    payoffs = certificate.payoffs
    planner = solve(game, "planner")
    planner_welfare = game.welfare(planner.strategies)
    welfare = float(payoffs.sum())
    outside = outside_options(game)
    deviations = game.deviations(strategies)
    idle = deviations.payoffs(np.zeros(game.size), deviations.level)
    return Plan(
        mechanism=name,
        participants=np.asarray(market.participants, dtype=np.bool_),
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
