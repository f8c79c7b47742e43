"""Random markets for the experiments: what the papers give, and what we had to add where they are silent.

One generator per seed draws a market; sweeps then change one parameter of it and keep every draw, so that all points of
a sweep are paired. Left out: markets from terms files (``cocogen.operations.registration``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cocogen.game.accuracy import AccuracyFunction, PowerLaw, SquareRootBound
from cocogen.game.arrays import Array
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame, admissible_scale
from cocogen.game.data_fractions import DataFractions
from cocogen.game.redistribution import Redistribution
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.resources import GenerationResources

__all__ = ["CoCoGenMarket", "TradeFLMarket", "cocogen_market", "tradefl_market"]

_MARGIN = 0.95  # largest share of the admissible competition that a draw may use: keeps every z_n positive


@dataclass(frozen=True, slots=True, eq=False)
class TradeFLMarket:
    """TradeFL's Table II market: N organizations choose a data fraction and a compute level.

    Arrays of shape (N,), float64; ``competition`` of shape (N, N) is ρ, already scaled so that every z_n > 0.
    Defaults are Table II where it says something; ``cycles_per_bit``, times, energies, ``epochs``, ``deadline`` and
    ``overhead_weight`` are ours.
    """

    profitability: Array
    competition: Array
    bits: Array
    samples: Array
    cycles_per_bit: Array
    communication_energy: Array
    compute_levels: Array = field(default_factory=lambda: np.linspace(3e9, 5e9, 5))
    communication_time: float = 0.5
    deadline: float = 5.0
    overhead_weight: float = 0.1
    capacitance: float = 1e-27
    minimum_fraction: float = 0.01
    compute_weight: float = 1.0
    epochs: float = 50.0

    @property
    def size(self) -> int:
        """N."""
        return int(self.samples.size)

    def competition_at(self, share: float) -> Array:
        """ρ scaled to ``share`` (in [0, 1)) of the largest competition under which every z_n is positive."""
        return share * admissible_scale(self.profitability, self.competition) * self.competition

    def game(
        self, incentive: float, *, overhead_weight: float | None = None, competition: Array | None = None
    ) -> CoopetitionGame:
        """The game at an incentive (currency per bit of score difference), with TradeFL's uniform redistribution.

        Offsets are 0 and weights 1, as published; ``overhead_weight`` (ϖ, currency per joule) and ``competition``
        replace the market's own.
        """
        operator = DenseCompetition(self.competition if competition is None else competition)
        family = DataFractions(
            self.bits,
            self.samples,
            self.compute_levels,
            self.cycles_per_bit,
            self.deadline,
            communication_time=self.communication_time,
            communication_energy=self.communication_energy,
            overhead_weight=self.overhead_weight if overhead_weight is None else overhead_weight,
            capacitance=self.capacitance,
            minimum_fraction=self.minimum_fraction,
            compute_weight=self.compute_weight,
        )
        redistribution = Redistribution(operator.scaled(incentive), 1.0, 0.0)
        return CoopetitionGame(self.profitability, operator, SquareRootBound(1.0, self.epochs), family, redistribution)


def tradefl_market(rng: np.random.Generator, size: int = 10, mean_competition: float = 0.05) -> TradeFLMarket:
    """Draw a Table II market.

    p ~ U[500, 2500], s ~ U[15, 25]·10⁹ bits, |S| ~ U{1000 … 2000} samples, ρ_nm ~ N(μ, μ/5) clipped to [0, 1] and
    multiplied by one factor ≤ 1 so that every z_n > 0. Ours: η ~ U[0.8, 1.2] cycles per bit, E ~ U[0.1, 0.5] J.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    size : int
        N, at least 2.
    mean_competition : float
        μ.
    """
    profitability = rng.uniform(500.0, 2500.0, size)
    bits = rng.uniform(15e9, 25e9, size)
    samples = rng.integers(1000, 2001, size).astype(np.float64)
    cycles_per_bit = rng.uniform(0.8, 1.2, size)
    energy = rng.uniform(0.1, 0.5, size)
    competition = np.clip(rng.normal(mean_competition, mean_competition / 5.0, (size, size)), 0.0, 1.0)
    return TradeFLMarket(profitability, _stable(profitability, competition), bits, samples, cycles_per_bit, energy)


@dataclass(frozen=True, slots=True, eq=False)
class CoCoGenMarket:
    """A CoCoGen+ market [ours; the papers' parameters are not public]: N organizations choose generation amounts.

    Arrays of shape (N,), float64 (``local``: int64); ``competition`` of shape (N, N) is ρ, scaled so that every
    z_n > 0; ``heterogeneity`` is δ.
    """

    profitability: Array
    competition: Array
    local: Array
    quality: Array
    cost_linear: Array
    cost_quadratic: Array
    heterogeneity: Array
    maximum: float = 400.0
    accuracy: AccuracyFunction = field(default_factory=lambda: PowerLaw(1.0, 4.0, 0.5))

    @property
    def size(self) -> int:
        """N."""
        return int(self.local.size)

    def competition_at(self, share: float) -> Array:
        """ρ scaled to ``share`` (in [0, 1)) of the largest competition under which every z_n is positive."""
        return share * admissible_scale(self.profitability, self.competition) * self.competition

    def market(
        self,
        incentive: float = 0.0,
        *,
        competition: Array | None = None,
        heterogeneity: Array | None = None,
        accuracy: AccuracyFunction | None = None,
        cost_factor: float = 1.0,
        damage: float = 1.0,
        private_gain: float = 0.0,
    ) -> Market:
        """One round's state at an incentive (currency per effective sample), under the published uniform rule.

        Weights are 1 and offsets −local. Rates are floats: nothing is rounded to a ledger's integers here.
        ``cost_factor`` multiplies both generation costs; other arguments replace the market's own values.
        """
        competition = self.competition if competition is None else competition
        maximum = np.full(self.size, self.maximum)
        return Market(
            names=tuple(f"o{n}" for n in range(self.size)),
            profitability=self.profitability,
            competition=competition,
            accuracy=self.accuracy if accuracy is None else accuracy,
            heterogeneity=self.heterogeneity if heterogeneity is None else heterogeneity,
            resources=GenerationResources(
                local=self.local.astype(np.int64),
                quality=self.quality,
                cost_linear=cost_factor * self.cost_linear,
                cost_quadratic=cost_factor * self.cost_quadratic,
                cost_fixed=np.zeros(self.size),
                maximum=maximum,
                data_cap=self.local.astype(np.int64),
                generated_cap=maximum.astype(np.int64),
            ),
            decoded=self.decode(competition)(incentive),
            participants=np.ones(self.size, dtype=np.bool_),
            damage=damage,
            private_gain=private_gain,
            private_base=float(self.local.mean()),
        )

    def decode(self, competition: Array | None = None) -> Callable[[float], DecodedTerms]:
        """What the terms become at an incentive, without the ledger's rounding."""
        matrix = self.competition if competition is None else competition
        sigma = 0.5 * (matrix + matrix.T)

        def decoded(incentive: float) -> DecodedTerms:
            return DecodedTerms(
                rates=incentive * sigma,
                score_weights=np.ones(self.size),
                score_offsets=-self.local.astype(np.float64),
                generated_weight=1.0,
                compute_weight=0.0,
                wei_per_unit=10**18,
                liabilities=(0,) * self.size,
                terms_hash=bytes(32),
            )

        return decoded


def cocogen_market(rng: np.random.Generator, size: int = 8, mean_competition: float = 0.03) -> CoCoGenMarket:
    """Draw a CoCoGen+ market [ours].

    p ~ U[500, 2500], ρ_nm = ρ_mn ~ N(μ, μ/5) clipped and scaled as for TradeFL, local ~ U{50 … 300} samples (few
    enough that generation pays without any incentive), κ ~ U[0.6, 1], c1 ~ U[0.005, 0.05] currency per sample,
    c2 ~ log-uniform on [2·10⁻⁴, 2·10⁻³], δ ~ U[0.1, 0.3] (where it spreads wider, organizations with even labels lose
    by joining, and often no uniform incentive is rational).

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    size : int
        N, at least 2.
    mean_competition : float
        μ.
    """
    profitability = rng.uniform(500.0, 2500.0, size)
    drawn = np.clip(rng.normal(mean_competition, mean_competition / 5.0, (size, size)), 0.0, 1.0)
    upper = np.triu(drawn, 1)
    return CoCoGenMarket(
        profitability=profitability,
        competition=_stable(profitability, upper + upper.T),
        local=rng.integers(50, 301, size).astype(np.float64),
        quality=rng.uniform(0.6, 1.0, size),
        cost_linear=rng.uniform(0.005, 0.05, size),
        cost_quadratic=np.exp(rng.uniform(np.log(2e-4), np.log(2e-3), size)),
        heterogeneity=rng.uniform(0.1, 0.3, size),
    )


def _stable(profitability: Array, competition: Array) -> Array:
    np.fill_diagonal(competition, 0.0)
    return min(1.0, _MARGIN * admissible_scale(profitability, competition)) * competition
