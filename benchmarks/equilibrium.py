"""The scalar fixed point against the general optimiser that one would otherwise hand the potential to.

Both find the maximiser of the same exact potential of the same CoCoGen+ games; the optimiser (scipy's L-BFGS-B, with
the analytic gradient) is given every advantage short of knowing that one scalar couples the organizations.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.harness import main, paired, peak_mb
from cocogen import CoopetitionGame, GenerationAmounts, PowerLaw, Redistribution, UniformCompetition, certify, solve


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


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for organizations in options.sizes:
        if options.only and options.only not in "fixed-point":
            continue
        game = instance(organizations, seed=organizations)
        seconds, other, ratio = paired(lambda g=game: solve(g), lambda g=game: by_optimiser(g), options.repeats)
        equilibrium = solve(game)
        yield {
            "solver": "fixed-point with certificate",
            "organizations": organizations,
            "seconds": seconds,
            "baseline": "scipy L-BFGS-B on the potential",
            "baseline_seconds": other,
            "ratio": ratio,
            "epsilon_relative": equilibrium.epsilon,
            "baseline_epsilon": certify(game, by_optimiser(game)).epsilon,
            "iterations": equilibrium.iterations,
            "peak_mb": peak_mb(),
        }


if __name__ == "__main__":
    main("equilibrium", cases, sizes=[10, 100, 1000], repeats=5)
