"""What everyone would do if a shared sample were worth a fixed price: the inner problem of the scalar solvers.

At price μ (accuracy per sample, P'(Ω) at an equilibrium) organization n maximises

    z_n μ q + s_n x − C(t) + w_n ψ ln(1 + q / base),   s_n = incentive · σ̄_n · weight_n,  w_n = p_n + (1 − χ) Γ_n

over each of its segments. Without private gain the stationary position is (z_n μ q' + s_n x' − c1) / c2 (the KKT
condition of CoCoGen+); with it, stationarity is a quadratic equation in t whose larger root is taken [ours], so that
both cases are closed forms and a million organizations are one vectorised expression. Linear costs are the limit
c2 → 0: the response jumps from one end of the segment to the other. The planner asks the same question with its own
coefficients, which is why they are arguments.
"""

from __future__ import annotations

import numpy as np

from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.strategies import Segments

__all__ = ["PriceResponse"]


class PriceResponse:
    """The best positions of all organizations at any price.

    Parameters
    ----------
    segments : Segments
        Strategy sets, shape (N, L) each.
    weights : ndarray
        Currency per unit of price and sample, shape (N,): z_n where the price is accuracy per sample.
    score_rates : ndarray
        s_n, currency per unit of x, shape (N,).
    private : ndarray
        ψ w_n, currency, shape (N,), at least 0.
    private_base : float
        Samples at which the private gain is ψ ln 2.
    """

    def __init__(
        self, segments: Segments, weights: Array, score_rates: Array, private: Array, private_base: float
    ) -> None:
        self.segments = segments
        self._weights, self._score_rates = weights[:, None], score_rates[:, None]
        self._private, self._private_base = private[:, None], private_base
        self._private_gains = bool(private.any())
        self._curvature = segments.cost_curvature
        self._per_price = self._weights * segments.samples_slope
        self._fixed = self._score_rates * segments.score_slope - segments.cost_slope
        self._linear = not self._private_gains and bool((self._curvature > 0.0).all())
        if self._linear:
            self._per_price = self._per_price / self._curvature
            self._fixed = self._fixed / self._curvature

    @classmethod
    def of(cls, game: CoopetitionGame, segments: Segments | None = None) -> PriceResponse:
        """The organizations' own response, in the game's strategy sets or in others of the same organizations."""
        return cls(
            game.family.segments if segments is None else segments,
            game.potential_weights,
            game.score_rates,
            game.private_gain * game.private_weights,
            game.private_base,
        )

    def __call__(self, price: float | Array) -> Array:
        """Positions, shape (N, L), one for each segment, at one price or at prices that broadcast against (N, L)."""
        marginal = self._fixed + self._per_price * price
        positions = marginal if self._linear else self._quadratic_root(marginal)
        return np.clip(positions, self.segments.lower, self.segments.upper, out=positions)

    def own(self, positions: Array) -> Array:
        """What no price changes, s x − C + ψ w ln(1 + q / base), at positions (N, L), currency."""
        segments = self.segments
        own = self._score_rates * (segments.score_base + segments.score_slope * positions) - segments.cost_base
        own -= (segments.cost_slope + 0.5 * self._curvature * positions) * positions
        if self._private_gains:
            own += self._private * np.log1p(self.samples(positions) / self._private_base)
        return own

    def worth(self, price: float | Array) -> Array:
        """The maximum on every segment, currency, shape (N, L); infeasible segments hold their placeholder's value."""
        positions = self(price)
        return self._weights * price * self.samples(positions) + self.own(positions)

    def samples(self, positions: Array) -> Array:
        """Effective samples at positions (N, L)."""
        return np.asarray(self.segments.samples_base + self.segments.samples_slope * positions)

    def best_samples(self, price: float) -> Array:
        """Effective samples on everyone's best feasible segment, shape (N,)."""
        positions = self(price)
        samples = self.samples(positions)
        worth = self._weights * price * samples + self.own(positions)
        return self.segments.pick(samples, np.argmax(np.where(self.segments.feasible, worth, -np.inf), axis=1))

    def _quadratic_root(self, marginal: Array) -> Array:
        """Larger root of (marginal − c2 t)(base + q0 + q' t) + w ψ q' = 0, in the form that does not cancel."""
        slope, private = self.segments.samples_slope, self._private * self.segments.samples_slope
        base = self._private_base + self.segments.samples_base
        a = self._curvature * slope
        b = marginal * slope - self._curvature * base
        c = marginal * base + private
        # The discriminant b² + 4ac, written as a sum of squares.
        root = np.hypot(marginal * slope + self._curvature * base, 2.0 * np.sqrt(a * private))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(b < 0.0, 2.0 * c / (root - b), np.where(a > 0.0, (b + root) / (2.0 * a), np.inf))
