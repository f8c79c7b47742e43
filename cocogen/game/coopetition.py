"""The coopetition game of TradeFL, CoCoGen and CoCoGen+: organizations that gain together and compete.

With Ω = Σ q_n, Ω_-n = Ω − q_n, Γ_n = Σ_m ρ_nm p_m and the private gain ψ_n = ψ ln(1 + q_n / base), the payoff is

    U_n = p_n (P(Ω) + ψ_n) − C_n − χ Γ_n [P(Ω) − P(Ω_-n)] − (1 − χ) Σ_m ρ_nm p_m (ψ_m − ψ_n) + R_n.

χ = 1 is TradeFL's damage (Eq. 6-7); χ = 0 competes on relative standing through ψ [ours]. CoCoGen+ plays χ = 1, ψ = 0
with a positive incentive; the conference version plays χ = 0, ψ > 0 without one.

With z_n = p_n − χ Γ_n > 0 the game has the exact weighted potential [ours, corrects TradeFL Eq. (15)]

    Φ = P(Ω) + Σ_n (1/z_n) {(p_n + (1 − χ) Γ_n) ψ_n − C_n + incentive · σ̄_n · weight_n · x_n},

z_n ΔΦ = ΔU_n for every unilateral change. The printed Eq. (15) sums r_ij / z_i instead, and its maximiser is not an
equilibrium once the incentive is positive.

Index n is the n-th organization in every array. Left out: how equilibria are found and certified (``cocogen.solvers``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem, GameError, UnstableMarket
from cocogen.game.accuracy import AccuracyFunction, check_accuracy
from cocogen.game.arrays import Array, IntArray, frozen, scalar, vector
from cocogen.game.bounds import rounded_down
from cocogen.game.competition import Competition, CompetitionLike, as_competition
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import StrategyFamily

__all__ = ["CoopetitionGame", "UnilateralDeviations", "admissible_scale"]


class CoopetitionGame:
    """N ≥ 2 organizations, their market and their strategy sets.

    Parameters
    ----------
    profitability : array_like
        p, currency per unit of accuracy and round, shape (N,), greater than 0.
    competition : Competition, ndarray or scipy.sparse matrix
        ρ, entries in [0, 1], zero diagonal, possibly asymmetric.
    accuracy : AccuracyFunction
        P, with the consortium's heterogeneity δ̄ already in it.
    family : StrategyFamily
        Strategy sets and costs.
    redistribution : Redistribution, optional
        R; default none.
    heterogeneity : array_like, optional
        δ_n in [0, 1) that holds for an organization on its own, shape (N,); default 0.
    damage : float
        χ in [0, 1].
    private_gain : float
        ψ, units of accuracy, at least 0.
    private_base : float
        Own effective samples at which the private gain is ψ ln 2, greater than 0.
    names : sequence of str, optional
        For messages; default "organization n".

    Raises
    ------
    ConfigurationError
        An array does not fit, or a parameter is out of range.
    UnstableMarket
        Some z_n ≤ 0; the message names the organization and the largest admissible competition.
    InvalidAccuracy
        P is not finite, increasing and concave over the reachable samples, or a δ_n lies outside [0, 1).
    GameError
        N = 1, or an organization may contribute fewer samples than P is stated for.
    """

    def __init__(
        self,
        profitability: ArrayLike,
        competition: CompetitionLike,
        accuracy: AccuracyFunction,
        family: StrategyFamily,
        redistribution: Redistribution | None = None,
        heterogeneity: ArrayLike = 0.0,
        *,
        damage: float = 1.0,
        private_gain: float = 0.0,
        private_base: float = 1.0,
        names: Sequence[str] | None = None,
    ) -> None:
        self.size = family.size
        self.names = None if names is None else tuple(names)
        self.family = family
        self.accuracy = accuracy
        self.competition: Competition = as_competition(competition)
        self.redistribution = Redistribution.none(self.size) if redistribution is None else redistribution
        self._check_sizes()
        self.profitability = vector("profitability", profitability, self.size, positive=True)
        self.accuracy_alone = accuracy.with_heterogeneity(vector("heterogeneity", heterogeneity, self.size))
        self.damage = scalar("damage", damage, lower=0.0, upper=1.0)
        self.private_gain = scalar("private_gain", private_gain, lower=0.0)
        self.private_base = scalar("private_base", private_base, positive=True)
        self.damage_weights = frozen(self.competition.damage_weights(self.profitability))
        self.potential_weights = frozen(self.profitability - self.damage * self.damage_weights)
        self.score_rates = frozen(self.redistribution.marginal_rates())
        self._check_market()
        self._check_samples()

    def label(self, index: int) -> str:
        """How messages call the organization."""
        return f"organization {index}" if self.names is None else f"organization {self.names[index]!r}"

    @property
    def private_weights(self) -> Array:
        """p_n + (1 − χ) Γ_n, what a unit of one's own private gain is worth, currency, shape (N,)."""
        return self.profitability + (1.0 - self.damage) * self.damage_weights

    @property
    def welfare_weights(self) -> Array:
        """What a unit of private gain is worth to all, v_n = p_n + (1 − χ)(Γ_n − p_n Σ_m ρ_mn), currency, shape (N,).

        Social welfare is concave when all are at least 0, or without private gain.
        """
        standing = self.damage_weights - self.profitability * self.competition.column_sums()
        return np.asarray(self.profitability + (1.0 - self.damage) * standing)

    def with_redistribution(self, redistribution: Redistribution) -> CoopetitionGame:
        """The same market under another redistribution; ConfigurationError when it has another size."""
        game = copy.copy(self)
        game.redistribution = redistribution
        game._check_sizes()
        game.score_rates = frozen(redistribution.marginal_rates())
        return game

    def with_score_rates(self, rates: Array) -> CoopetitionGame:
        """The market in which a unit of n's score input is paid rates_n, shape (N,), and nothing else is transferred.

        A question about incentives, not a redistribution: it balances no budget.
        """
        game = copy.copy(self)
        game.redistribution = Redistribution.none(self.size)
        game.score_rates = frozen(np.asarray(rates, dtype=np.float64))
        return game

    def private_gains(self, samples: Array) -> Array:
        """ψ_n = ψ ln(1 + q_n / base), units of accuracy, shape (N,)."""
        return self.private_gain * np.log1p(samples / self.private_base)

    def effective_samples(self, strategies: ArrayLike) -> Array:
        """q, shape (N,), effective samples."""
        return self.family.segments.effect(*self.family.locate(strategies)).samples

    def deviations(self, strategies: ArrayLike) -> UnilateralDeviations:
        """Fix a profile, to ask what each organization would earn if it alone changed its strategy."""
        return UnilateralDeviations(self, strategies)

    def payoffs(self, strategies: ArrayLike) -> Array:
        """U, shape (N,), currency.

        Raises
        ------
        ConfigurationError
            The profile is not feasible.
        """
        return self.deviations(strategies).current

    def transfers(self, strategies: ArrayLike) -> Array:
        """R, shape (N,), currency, positive when received; sums to zero up to rounding."""
        effect = self.family.segments.effect(*self.family.locate(strategies))
        return self.redistribution.transfers(effect.score_input)

    def welfare(self, strategies: ArrayLike) -> float:
        """SW = Σ U_n, currency."""
        return float(self.payoffs(strategies).sum())

    def potential(self, strategies: ArrayLike) -> float:
        """Φ, units of accuracy: z_n ΔΦ = ΔU_n for every unilateral change [ours, corrects TradeFL Eq. (15)]."""
        effect = self.family.segments.effect(*self.family.locate(strategies))
        own = self.score_rates * effect.score_input - effect.cost
        if self.private_gain > 0.0:
            own += self.private_weights * self.private_gains(effect.samples)
        return float(self.accuracy.value(effect.samples.sum()) + np.sum(own / self.potential_weights))

    def _check_sizes(self) -> None:
        if self.size < 2:
            raise GameError(
                f"a coopetition game needs at least 2 organizations, found {self.size}",
                hint="add an organization; one alone has nobody to share accuracy with",
            )
        for field, size in (("competition", self.competition.size), ("redistribution", self.redistribution.size)):
            if size != self.size:
                problem = FieldProblem(field, f"size {size}", f"size {self.size}, as the strategy family")
                raise ConfigurationError("the parts of the game disagree on N", problems=[problem])
        if self.names is not None and len(self.names) != self.size:
            problem = FieldProblem("names", f"{len(self.names)} names", f"{self.size} names")
            raise ConfigurationError("the parts of the game disagree on N", problems=[problem])
        if self.competition.largest > 1.0:
            problem = FieldProblem("competition", f"largest entry {self.competition.largest:g}", "entries in [0, 1]")
            raise ConfigurationError("competition is out of range", problems=[problem])

    def _check_market(self) -> None:
        if (self.potential_weights > 0.0).all():
            return
        n = int(np.argmin(self.potential_weights / self.profitability))
        scale = admissible_scale(self.profitability, self.competition, self.damage)
        raise UnstableMarket(
            f"{self.label(n)} loses more to its competitors than it earns: potential weight "
            f"z = {self.potential_weights[n]:g} (valid: greater than 0), profitability {self.profitability[n]:g}, "
            f"weighted competition {self.damage * self.damage_weights[n]:g}",
            hint=f"multiply the competition by less than {rounded_down(scale)} "
            f"(largest admissible entry below {rounded_down(scale * self.competition.largest)}), "
            "or raise the profitability of the organization named",
        )

    def _check_samples(self) -> None:
        segments = self.family.segments
        least = (segments.samples_base + segments.samples_slope * segments.lower).min(axis=1)
        if least.min() < self.accuracy.minimum:
            n = int(np.argmin(least))
            raise GameError(
                f"{self.label(n)} may contribute as little as {least[n]:g} effective samples; accuracy is stated "
                f"for at least {self.accuracy.minimum:g}",
                hint="register local samples for it, or choose an accuracy function that is stated from 0",
            )
        most = (segments.samples_base + segments.samples_slope * segments.upper).max(axis=1).sum()
        check_accuracy(self.accuracy, float(least.min()), float(most))


class UnilateralDeviations:
    """Payoffs when one organization alone leaves a fixed profile, for all organizations at once, in O(N) memory.

    Written from the payoff's definition, not from the potential, so that the certificate depends on nothing that a
    solver uses.

    Parameters
    ----------
    game : CoopetitionGame
        The game.
    strategies : array_like
        The profile that everyone else keeps.

    Attributes
    ----------
    position, level : ndarray
        The profile, split by its family, shape (N,).
    current : ndarray
        U at the profile, shape (N,), currency.
    segments : Segments
        The strategy sets that deviations are taken from.
    """

    def __init__(self, game: CoopetitionGame, strategies: ArrayLike) -> None:
        self._game = game
        self.segments = game.family.segments
        self.position, self.level = game.family.locate(strategies)
        effect = self.segments.effect(self.position, self.level)
        self._others = effect.samples.sum() - effect.samples
        self._without = game.accuracy.value(self._others)
        self._score_input = effect.score_input
        self._transfers = game.redistribution.transfers(effect.score_input)
        self._profitability, self._damage_weights = game.profitability, game.damage_weights
        self._score_rates = game.score_rates
        self._rivals = np.zeros(game.size)
        if game.private_gain > 0.0:
            gains = game.private_gains(effect.samples)
            self._rivals = game.competition.damage_weights(game.profitability * gains)
        self.current = frozen(self.payoffs(self.position, self.level))

    def payoffs(self, position: Array, level: IntArray) -> Array:
        """U_n when only n plays (position_n, level_n), shape (N,), currency."""
        game = self._game
        effect = self.segments.effect(position, level)
        shared = game.accuracy.value(self._others + effect.samples)
        damage = game.damage * self._damage_weights * (shared - self._without)
        transfers = self._transfers + self._score_rates * (effect.score_input - self._score_input)
        payoffs = self._profitability * shared - effect.cost - damage + transfers
        if game.private_gain > 0.0:
            own = game.private_gains(effect.samples)
            standing = (1.0 - game.damage) * (self._rivals - self._damage_weights * own)
            payoffs = payoffs + self._profitability * own - standing
        return payoffs

    def block(self, rows: slice | IntArray) -> UnilateralDeviations:
        """The same question for some organizations only, on views of the same arrays where ``rows`` is a slice."""
        part = copy.copy(self)
        part.segments = self.segments.block(rows)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(part, name, value[rows])
        return part


def admissible_scale(profitability: ArrayLike, competition: CompetitionLike, damage: float = 1.0) -> float:
    """The factor below which all competition may be multiplied with every z_n positive: min_n p_n / (χ Γ_n).

    Parameters
    ----------
    profitability : array_like
        p, shape (N,).
    competition : Competition, ndarray or scipy.sparse matrix
        ρ.
    damage : float
        χ.

    Returns
    -------
    float
        Infinite when nobody is damaged; at most 1 for an unstable market.
    """
    operator = as_competition(competition)
    p = vector("profitability", profitability, operator.size, positive=True)
    loss = damage * operator.damage_weights(p)
    harmed = loss > 0.0
    return float((p[harmed] / loss[harmed]).min()) if harmed.any() else float("inf")
