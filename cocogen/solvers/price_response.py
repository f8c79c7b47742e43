"""What everyone would do if a shared sample were worth a fixed price: the inner problem of the scalar solvers.

At price μ (accuracy per sample, P'(Ω) at an equilibrium) organization n maximises

    z_n μ q + s_n x − C(t) + w_n ψ ln(1 + q / base),   s_n = incentive · σ̄_n · weight_n,  w_n = p_n + (1 − χ) Γ_n

over each of its segments. Without private gain the stationary position is (z_n μ q' + s_n x' − c1) / c2 (the KKT
condition of CoCoGen+); with it, stationarity is a quadratic equation in t whose larger root is taken [ours], so that
both cases are closed forms and a million organizations are one vectorised expression.
"""

from __future__ import annotations

import numpy as np

from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame

__all__ = ["PriceResponse"]


class PriceResponse:
    """The best positions of a game's organizations at any price.

    Parameters
    ----------
    game : CoopetitionGame
        The game; its coefficients are gathered once.
    """

    def __init__(self, game: CoopetitionGame) -> None:
        segments = game.family.segments
        self._segments = segments
        self._per_price = game.potential_weights[:, None] * segments.samples_slope
        self._fixed = game.score_rates[:, None] * segments.score_slope - segments.cost_slope
        self._curvature = segments.cost_curvature
        self._linear = game.private_gain == 0.0 and bool((self._curvature > 0.0).all())
        if self._linear:
            self._per_price = self._per_price / self._curvature
            self._fixed = self._fixed / self._curvature
        else:
            self._base = game.private_base + segments.samples_base
            self._private = game.private_gain * game.private_weights[:, None] * segments.samples_slope

    def __call__(self, price: float) -> Array:
        """Positions, shape (N, L), one for each segment of each organization."""
        marginal = self._fixed + self._per_price * price
        positions = marginal if self._linear else self._quadratic_root(marginal)
        return np.clip(positions, self._segments.lower, self._segments.upper, out=positions)

    def samples(self, price: float) -> float:
        """T, the effective samples of all organizations at a price, where each has one segment only."""
        positions = self(price)[:, 0]
        return float((self._segments.samples_base[:, 0] + self._segments.samples_slope[:, 0] * positions).sum())

    def _quadratic_root(self, marginal: Array) -> Array:
        """Larger root of (marginal − c2 t)(base + q0 + q' t) + w ψ q' = 0, in the form that does not cancel."""
        a = self._curvature * self._segments.samples_slope
        b = marginal * self._segments.samples_slope - self._curvature * self._base
        c = marginal * self._base + self._private
        # The discriminant b² + 4ac, written as a sum of squares.
        root = np.hypot(
            marginal * self._segments.samples_slope + self._curvature * self._base, 2.0 * np.sqrt(a * self._private)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(b < 0.0, 2.0 * c / (root - b), np.where(a > 0.0, (b + root) / (2.0 * a), np.inf))
