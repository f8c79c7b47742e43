"""The solvers against general software, and how they scale.

Paired: the scalar fixed point against the general optimiser that one would otherwise hand the potential to. Both find
the maximiser of the same exact potential of the same CoCoGen+ games; the optimiser (scipy's L-BFGS-B, with the analytic
gradient) is given every advantage short of knowing that one scalar couples the organizations.

Paired as well: Benders with its HiGHS master against TradeFL's own master, a traversal (``traversal``).

Scaling: fixed point, Benders and sequential best responses, their certificate timed apart, each size in a process of
its own, whose peak memory is that of this size alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks import traversal
from benchmarks.harness import in_fresh_process, main, paired, resident_peak_mb
from cocogen import (
    CoopetitionGame,
    GenerationAmounts,
    PowerLaw,
    Redistribution,
    SquareRootBound,
    UniformCompetition,
    certify,
    solve,
)
from cocogen.game.data_fractions import DataFractions
from cocogen.solvers import METHODS, benders
from cocogen.solvers.equilibrium import Candidate, potential_bound
from cocogen.solvers.master import Master


def instance(organizations: int, seed: int) -> CoopetitionGame:
    """A random market with the uniform redistribution; competition falls with N so that every z_n stays positive."""
    rng = np.random.default_rng(seed)
    competition = UniformCompetition(0.2 / organizations, organizations)
    local = rng.integers(50, 500, organizations).astype(float)
    family = GenerationAmounts(
        local,
        quality=rng.uniform(0.6, 1.0, organizations),
        cost_linear=rng.uniform(0.001, 0.02, organizations),
        cost_quadratic=rng.uniform(0.0005, 0.004, organizations),
        maximum=400.0,
    )
    return CoopetitionGame(
        rng.uniform(500.0, 2500.0, organizations),
        competition,
        PowerLaw(1.0, 4.0, 0.5),
        family,
        Redistribution.uniform(competition, 2.0, local),
    )


def by_optimiser(game: CoopetitionGame) -> np.ndarray:
    """The maximiser of Φ by L-BFGS-B."""
    family, z = game.family, game.potential_weights

    def negative(g: np.ndarray) -> tuple[float, np.ndarray]:
        omega = float((family.local + family.quality * g).sum())
        gradient = game.accuracy.derivative(omega) * family.quality
        gradient = gradient + (game.score_rates * family.quality - family.cost_linear - family.cost_quadratic * g) / z
        return -game.potential(g), -gradient

    bounds = [(0.0, float(maximum)) for maximum in family.maximum]
    return minimize(negative, np.zeros(game.size), jac=True, bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-12}).x


def trading_instance(
    organizations: int, seed: int, levels: int = 5, overhead_weight: float = 0.01, incentive: float = 4e-8
) -> CoopetitionGame:
    """TradeFL's Table II with prices at which levels and data fractions differ; competition falls with N, as above."""
    rng = np.random.default_rng(seed)
    mean = 0.05 / organizations
    competition = np.triu(np.clip(rng.normal(mean, mean / 5.0, (organizations, organizations)), 0.0, 1.0), 1)
    competition += competition.T
    family = DataFractions(
        bits=rng.uniform(15.0, 25.0, organizations) * 1e9,
        samples=rng.integers(1000, 2001, organizations),
        compute_levels=np.linspace(3e9, 5e9, levels),
        cycles_per_bit=1.0,
        deadline=4.5,
        overhead_weight=overhead_weight,
    )
    return CoopetitionGame(
        rng.uniform(500.0, 2500.0, organizations),
        competition,
        SquareRootBound(1.0, 100.0),
        family,
        Redistribution.uniform(competition, incentive, np.zeros(organizations)),
    )


def against_optimiser(organizations: int, repeats: int) -> dict[str, Any]:
    """Fixed point with certificate, and L-BFGS-B, in turn."""
    game = instance(organizations, seed=organizations)
    seconds, other, ratio = paired(lambda: solve(game), lambda: by_optimiser(game), repeats)
    equilibrium = solve(game)
    return {
        "seconds": seconds,
        "baseline": "scipy L-BFGS-B on the potential",
        "baseline_seconds": other,
        "ratio": ratio,
        "epsilon_relative": equilibrium.epsilon,
        "baseline_epsilon": certify(game, by_optimiser(game)).epsilon,
        "iterations": equilibrium.iterations,
        "peak_mb": resident_peak_mb(),
    }


def scaling_of(game: CoopetitionGame, method: str, repeats: int) -> dict[str, Any]:
    """Medians of the algorithm's seconds and, apart, of its certificate's."""
    METHODS[method](game)
    seconds, certificate_seconds = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        candidate = METHODS[method](game)
        middle = time.perf_counter()
        certificate = certify(game, candidate.strategies)
        seconds.append(middle - begin)
        certificate_seconds.append(time.perf_counter() - middle)
    peak = resident_peak_mb()
    updates = {"updates": int(candidate.trace.updates[-1])} if candidate.trace.updates.size else {}
    return {
        "levels": game.family.segments.count,
        "seconds": statistics.median(seconds),
        "certificate_seconds": statistics.median(certificate_seconds),
        "epsilon_relative": certificate.epsilon,
        "resolution": certificate.resolution,
        "gap": _upper_bound(game, candidate) - game.potential(candidate.strategies),
        "iterations": candidate.iterations,
        **updates,
        "peak_mb": peak,
    }


def _upper_bound(game: CoopetitionGame, candidate: Candidate) -> float:
    tangent = potential_bound(game, candidate.strategies)
    return tangent if candidate.upper_bound is None else min(tangent, candidate.upper_bound)


def scaling_of_fixed_point(organizations: int, repeats: int) -> dict[str, Any]:
    return scaling_of(instance(organizations, seed=organizations), "fixed-point", repeats)


def scaling_of_best_response(organizations: int, repeats: int) -> dict[str, Any]:
    return scaling_of(trading_instance(organizations, seed=organizations), "best-response", repeats)


def scaling_of_coupled_best_response(organizations: int, repeats: int) -> dict[str, Any]:
    """Without an incentive, and with energy so cheap that everyone's fraction depends on the others': more sweeps."""
    game = trading_instance(organizations, seed=organizations, overhead_weight=2e-5, incentive=0.0)
    return scaling_of(game, "best-response", repeats)


def contested_instance(organizations: int, seed: int, levels: int = 5) -> CoopetitionGame:
    """Table II where no choice is clear: a faster level is dearer but lets more data meet the deadline, every level is
    an organization's own, and data earn about what they cost, by accuracy and by redistribution.
    """
    rng = np.random.default_rng(seed)
    accuracy, capacitance = SquareRootBound(1.0, 100.0), 1e-27
    bits = rng.uniform(15.0, 25.0, organizations) * 1e9
    samples = rng.integers(1000, 2001, organizations).astype(float)
    profitability = rng.uniform(500.0, 2500.0, organizations)
    compute = np.sort(rng.uniform(3e9, 5e9, (organizations, levels)), axis=1)
    worth = profitability * accuracy.derivative(0.5 * samples.sum()) * samples
    family = DataFractions(
        bits=bits,
        samples=samples,
        compute_levels=compute,
        cycles_per_bit=1.0,
        deadline=2.5,
        overhead_weight=0.5 * float(np.median(worth / (capacitance * 16e18 * bits))),
        capacitance=capacitance,
        minimum_fraction=0.3,
        compute_weight=0.0,
    )
    competition = UniformCompetition(0.1 / organizations, organizations)
    incentive = float(np.median(worth / bits) / competition.row_sums()[0])
    rule = Redistribution.uniform(competition, incentive, np.zeros(organizations))
    return CoopetitionGame(profitability, competition, accuracy, family, rule)


def scaling_of_benders(organizations: int, repeats: int) -> dict[str, Any]:
    return scaling_of(trading_instance(organizations, seed=organizations), "benders", repeats)


def scaling_of_contested_benders(organizations: int, repeats: int) -> dict[str, Any]:
    return scaling_of(contested_instance(organizations, seed=organizations), "benders", repeats)


def against_traversal(organizations: int, repeats: int) -> dict[str, Any]:
    """The whole decomposition against the published one, then the two masters alone on the same three cuts.

    The cuts are those at the Lagrangian price and at Ω 30 % below and above, and the best profile known is the primal
    at everyone's highest level, so that HiGHS has something to search.
    """
    game = contested_instance(organizations, seed=organizations)

    ours, theirs = METHODS["benders"](game), traversal.published(game)
    whole = paired(lambda: METHODS["benders"](game), lambda: traversal.published(game), repeats)
    objective = benders.Potential(game)
    master = traversal.TraversalMaster((organizations, game.family.segments.count))
    for factor in (0.7, 1.0, 1.3):
        master.add(*objective.cut(factor * objective.start()))
    level = np.full(organizations, game.family.segments.count - 1)
    value = objective.value(objective.primal(level), level)

    def highs() -> tuple[np.ndarray, float]:
        return Master.best(master, level, value, np.inf, 0.0)

    cuts, shape = master.table(), master.allowed.shape
    alone = paired(highs, lambda: traversal.in_blocks(cuts, shape), repeats)
    halves = paired(highs, lambda: traversal.by_halves(cuts, shape), repeats)
    row = {
        "levels": shape[1],
        "level_vectors": shape[1] ** organizations,
        "seconds": whole[0],
        "baseline": "published start, NumPy traversal as the master",
        "baseline_seconds": whole[1],
        "ratio": whole[2],
        "gap": _upper_bound(game, ours) - game.potential(ours.strategies),
        "potential_less_baseline": game.potential(ours.strategies) - theirs.lower,
        "iterations": ours.iterations,
        "baseline_iterations": theirs.trace.aggregate.size,
        "master_seconds": alone[0],
        "master_traversal_seconds": alone[1],
        "master_ratio": alone[2],
        "master_traversal_by_halves_seconds": halves[1],
        "master_ratio_by_halves": halves[2],
        "master_difference": abs(highs()[1] - traversal.in_blocks(cuts, shape)[1]),
        "peak_mb": resident_peak_mb(),
    }
    if organizations <= 7:
        python = paired(highs, lambda: traversal.in_python(cuts, shape), 1)
        row |= {"master_python_traversal_seconds": python[1], "master_ratio_python": python[2]}
    return row


CASES: dict[str, tuple[Callable[[int, int], dict[str, Any]], int]] = {
    "fixed-point with certificate": (against_optimiser, 1000),
    "fixed-point": (scaling_of_fixed_point, 1_000_000),
    "best-response": (scaling_of_best_response, 1000),
    "best-response without incentive": (scaling_of_coupled_best_response, 1000),
    "benders": (scaling_of_benders, 1000),
    "benders, contested": (scaling_of_contested_benders, 1000),
    "benders against traversal": (against_traversal, 10),
}
"""What is measured at each of the sizes, and the largest size at which it is."""

OWN_SIZES = {"benders against traversal": [6, 7, 8, 9, 10]}
"""Sizes of the cases that do not take the common ones: the traversal of 5^10 level vectors takes seconds."""


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for solver, (measure, largest) in CASES.items():
        if options.only and options.only not in solver:
            continue
        for organizations in OWN_SIZES.get(solver, options.sizes):
            if organizations <= largest:
                row = in_fresh_process(measure, organizations, options.repeats)
                yield {"solver": solver, "organizations": organizations, **row}


if __name__ == "__main__":
    main("equilibrium", cases, sizes=[10, 100, 1000, 10_000, 100_000, 1_000_000], repeats=5)
