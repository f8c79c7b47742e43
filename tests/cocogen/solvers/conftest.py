"""Random games with several segments: TradeFL's Table II, binding deadlines, and segments of every kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cocogen.game.accuracy import PowerLaw, Saturating, SquareRootBound
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import Segments


def table_ii_game(
    seed: int,
    *,
    size: int = 10,
    levels: int = 3,
    incentive: float = 5e-9,
    mean_competition: float = 0.005,
    overhead_weight: float = 1e-2,
    deadline: float = 1e9,
    cycles_per_bit: float = 1.0,
    epochs: float = 100.0,
) -> CoopetitionGame:
    """A game with a symmetric ρ; without a deadline in reach unless one is given."""
    rng = np.random.default_rng(seed)
    bits, samples = rng.uniform(15.0, 25.0, size) * 1e9, rng.integers(1000, 2001, size)
    drawn = np.triu(np.clip(rng.normal(mean_competition, mean_competition / 5.0, (size, size)), 0.0, 1.0), 1)
    competition = drawn + drawn.T
    family = DataFractions(
        bits,
        samples,
        np.linspace(3e9, 5e9, levels),
        cycles_per_bit,
        deadline,
        overhead_weight=overhead_weight,
    )
    redistribution = Redistribution.uniform(competition, incentive, np.zeros(size))
    profitability = rng.uniform(500.0, 2500.0, size)
    return CoopetitionGame(profitability, competition, SquareRootBound(1.0, epochs), family, redistribution)


@pytest.fixture(scope="session")
def make_tradefl() -> Callable[..., CoopetitionGame]:
    return table_ii_game


def deadline_game(
    seed: int, *, size: int = 4, levels: int = 3, binding: bool = True, twins: bool = False, dear: float = 1.0
) -> CoopetitionGame:
    """A TradeFL game with an asymmetric ρ whose costs are near what data are worth, so that choices are mixed.

    ``binding``: the deadline rules out levels and cuts data fractions. ``twins``: identical organizations. ``dear``
    multiplies the costs; the number of organizations makes them comparable to what data are worth to all.
    """
    rng = np.random.default_rng(seed)
    count = 1 if twins else size
    profitability, bits, samples = (
        np.broadcast_to(rng.uniform(*limits, count), size) for limits in ((500, 2500), (15e9, 25e9), (1000, 2000))
    )
    compute = np.broadcast_to(np.sort(rng.uniform(3e9, 5e9, (count, levels)), axis=1), (size, levels))
    competition = rng.uniform(0.0, 0.9 / size) * (np.ones((size, size)) if twins else rng.uniform(0.5, 1, (size, size)))
    np.fill_diagonal(competition, 0.0)
    competition *= min(1.0, 0.9 / (competition @ profitability / profitability).max())
    accuracy = SquareRootBound(1.0, 20.0)
    worth = 0.7 * profitability * accuracy.derivative(samples.sum() * rng.uniform(0.1, 1.0)) * samples
    energy_price = float(np.median(worth / (1e-27 * 16e18 * bits))) * rng.uniform(0.5, 2.0) * dear
    incentive = rng.choice([0.0, 1.0]) * rng.uniform(0.0, 2.0) * np.median(worth / bits) / competition.sum(1).mean()
    slowest = float((0.3 * bits / compute[:, -1]).max())
    family = DataFractions(
        bits,
        samples,
        compute,
        1.0,
        slowest * rng.uniform(1.001, 1.3) if binding else 20.0,
        communication_energy=0.3,
        overhead_weight=energy_price,
        minimum_fraction=0.3 if binding else rng.choice([0.01, 0.3]),
        compute_weight=float(rng.choice([0.0, 1.0, 10.0])),
    )
    redistribution = Redistribution(DenseCompetition(competition).scaled(float(incentive)), 1.0, 0.0)
    return CoopetitionGame(profitability, competition, accuracy, family, redistribution)


class TableFamily:
    """Any segments; a profile is (N, 2): position and level."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.size = len(segments.lower)

    def locate(self, strategies):
        profile = np.asarray(strategies, dtype=np.float64)
        return profile[:, 0], profile[:, 1].astype(np.int64)

    def assemble(self, position, level):
        return np.stack([position, level], axis=1)


def segments_game(
    seed: int,
    *,
    size: int = 4,
    levels: int = 3,
    damage: float = 1.0,
    private_gain: float = 0.0,
    accuracy: str = "power-law",
    dear: float = 1.0,
) -> CoopetitionGame:
    """Unordered segments of every kind: linear and curved costs, infeasible ones, overlapping ones."""
    rng = np.random.default_rng(seed)
    shape = (size, levels)
    feasible = rng.random(shape) < 0.8
    feasible[np.arange(size), rng.integers(0, levels, size)] = True
    lower = rng.uniform(0.0, 10.0, shape)
    segments = Segments(
        lower=lower,
        upper=np.where(feasible, lower + rng.uniform(0.0, 400.0, shape), lower),
        samples_base=rng.uniform(50.0, 400.0, shape),
        samples_slope=rng.uniform(0.3, 1.0, shape),
        score_base=rng.uniform(0.0, 100.0, shape),
        score_slope=rng.uniform(0.2, 1.0, shape),
        cost_base=rng.uniform(0.0, 10.0, shape),
        cost_slope=dear * rng.uniform(0.0, 0.4, shape),
        cost_curvature=dear * rng.choice([0.0, 1e-6, 1e-3], shape),
        feasible=feasible,
    )
    competition = rng.uniform(0.0, 0.19 / (size - 1), (size, size))
    np.fill_diagonal(competition, 0.0)
    accuracies = {"power-law": PowerLaw(1.0, 4.0, 0.5), "saturating": Saturating(0.9, 1500.0)}
    return CoopetitionGame(
        rng.uniform(500.0, 2500.0, size),
        competition,
        accuracies[accuracy],
        TableFamily(segments),
        Redistribution(DenseCompetition(competition).scaled(rng.choice([0.0, 0.5])), rng.uniform(0.2, 3.0, size), 0.0),
        damage=damage,
        private_gain=private_gain,
        private_base=200.0,
    )


@pytest.fixture(scope="session")
def make_deadline() -> Callable[..., CoopetitionGame]:
    return deadline_game


@pytest.fixture(scope="session")
def make_segments() -> Callable[..., CoopetitionGame]:
    return segments_game
