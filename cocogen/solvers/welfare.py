"""Social welfare at fixed levels: values, derivatives, and its maximiser.

Transfers cancel in SW = Σ U_n, which leaves

    SW = Σ z_n P(Ω) + χ Σ Γ_n P(Ω − q_n) + Σ v_n ψ_n − Σ C_n,   v_n = p_n + (1 − χ)(Γ_n − p_n Σ_m ρ_mn),

concave when every v_n ≥ 0 (or ψ = 0). Steps are of two kinds. The *separable step* expands what n's competitors keep,
P(Ω − q_n), to second order in q_n and the rest to first: organizations are then coupled by Ω alone, and ``crossing``
solves the model exactly, ends and linear costs included; its solution is an ascent direction, which a line search
follows. The *Newton step* takes those for granted that sit at an end. Its Hessian is a diagonal plus a matrix of rank
two, so it costs O(N) by the Woodbury identity. The separable step comes first; Newton's is then preferred wherever it
gains what it promises [ours].

References
----------
.. [1] D. P. Bertsekas, Projected Newton methods for optimization problems with simple constraints, SIAM J. Control
   and Optimization 20 (1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, BoolArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.strategies import Segments
from cocogen.solvers.crossing import best_positions
from cocogen.solvers.price_response import PriceResponse

__all__ = ["Ascent", "WelfareFunction", "is_concave", "maximise", "require_concave"]

_ARMIJO = 1e-4
_EPS = float(np.finfo(np.float64).eps)
_REGULARISATION = 1e-10  # of the coupling's curvature, where an organization has none of its own


def is_concave(game: CoopetitionGame) -> bool:
    """Whether social welfare is concave at fixed levels: ψ = 0, or every v_n ≥ 0."""
    return game.private_gain == 0.0 or bool((game.welfare_weights >= 0.0).all())


def require_concave(game: CoopetitionGame) -> None:
    """Raise SolverError, naming the organization with the smallest v_n, where welfare is not concave."""
    if is_concave(game):
        return
    weights = game.welfare_weights
    n = int(np.argmin(weights))
    raise SolverError(
        f"social welfare is not concave: a unit of private gain of {game.label(n)} costs its competitors more "
        f"than it earns ({weights[n]:g}, valid: at least 0)",
        hint="lower the competition that others feel from it, or the private gain",
    )


class WelfareFunction:
    """SW as a function of the positions, shape (N,), where each organization has one segment.

    Parameters
    ----------
    game : CoopetitionGame
        The market.
    segments : Segments
        One for each organization, shape (N, 1).
    """

    def __init__(self, game: CoopetitionGame, segments: Segments) -> None:
        self.accuracy, self.segments = game.accuracy, segments
        self.shared = float(game.potential_weights.sum())
        self.damage = game.damage * game.damage_weights
        self.private, self.private_base = game.private_gain * game.welfare_weights, game.private_base
        self.low, self.high = segments.lower[:, 0], segments.upper[:, 0]
        self._q0, self.slope = segments.samples_base[:, 0], segments.samples_slope[:, 0]
        self._c0 = segments.cost_base[:, 0]
        self._c1, self._c2 = segments.cost_slope[:, 0], segments.cost_curvature[:, 0]

    def samples(self, t: Array) -> Array:
        """q, shape (N,)."""
        return self._q0 + self.slope * t

    def terms(self, t: Array) -> Array:
        """Summands of SW, shape (N + 1,): their magnitudes set the rounding error of the sum."""
        q = self.samples(t)
        omega = q.sum()
        own = self.damage * self.accuracy.value(omega - q) - self._c0 - (self._c1 + 0.5 * self._c2 * t) * t
        if self.private.any():
            own += self.private * np.log1p(q / self.private_base)
        return np.append(own, self.shared * self.accuracy.value(omega))

    def gradient(self, t: Array) -> Array:
        """∂SW/∂t, shape (N,)."""
        q = self.samples(t)
        omega = q.sum()
        kept = self.damage * self.accuracy.derivative(omega - q)
        price = self.shared * self.accuracy.derivative(omega) + kept.sum()
        marginal = price - kept + self.private / (self.private_base + q)
        return np.asarray(self.slope * marginal - self._c1 - self._c2 * t)

    def shortfall(self, t: Array, gradient: Array) -> float:
        """What the tangent promises at most, currency: no feasible positions have a welfare larger by more."""
        return float(np.maximum(gradient * (self.high - t), gradient * (self.low - t)).sum())

    def separable_maximiser(self, t: Array) -> Array:
        """Maximise the model around ``t`` in which Ω alone couples organizations; it shares SW's gradient there."""
        q = self.samples(t)
        omega = q.sum()
        kept = self.damage * self.accuracy.derivative(omega - q)
        bend = -self.damage * self.accuracy.second_derivative(omega - q) * self.slope**2
        slope = float(self.accuracy.derivative(omega))
        everyone = self.shared + (float(kept.sum()) / slope if slope > 0.0 else 0.0)
        model = replace(
            self.segments,
            cost_slope=(self._c1 + self.slope * kept - bend * t)[:, None],
            cost_curvature=(self._c2 + bend)[:, None],
        )
        weights, none = np.full(t.size, everyone), np.zeros(t.size)
        return best_positions(self.accuracy, PriceResponse(model, weights, none, self.private, self.private_base))[0]

    def newton_maximiser(self, t: Array, gradient: Array) -> Array:
        """Where the quadratic model is maximal among positions that are not held at an end, clipped.

        With h_n = χ Γ_n P''(Ω − q_n) and c = Σz P''(Ω) + Σh, −H = D + V M Vᵀ, V = [q', q' h], M = [[−c, 1], [1, 0]].
        """
        near = np.minimum(1e-6 * (self.high - self.low), np.abs(np.clip(t + gradient, self.low, self.high) - t))
        held = ((t <= self.low + near) & (gradient <= 0.0)) | ((t >= self.high - near) & (gradient >= 0.0))
        return np.clip(t + self._newton_direction(t, gradient, ~held), self.low, self.high)

    def _newton_direction(self, t: Array, gradient: Array, free: BoolArray) -> Array:
        q = self.samples(t)
        omega = q.sum()
        h = self.damage * self.accuracy.second_derivative(omega - q)
        c = float(self.shared * self.accuracy.second_derivative(omega) + h.sum())
        diagonal = self._c2 + self.slope**2 * (
            self.private / (self.private_base + q) ** 2 - h + _REGULARISATION * abs(c)
        )
        v = np.stack([self.slope, self.slope * h], axis=1)[free]
        scaled = v / diagonal[free, None]
        core = np.array([[0.0, 1.0], [1.0, c]]) + v.T @ scaled
        direction = gradient / diagonal
        direction[free] -= scaled @ np.linalg.solve(core, scaled.T @ gradient[free])
        return direction


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Where :func:`maximise` came to, with Ω, SW, its upper bound and the relative move of each step, shape (K,)."""

    position: Array
    converged: bool
    aggregate: Array
    value: Array
    bound: Array
    moves: Array


def maximise(welfare: WelfareFunction, tolerance: float, maximum_iterations: int) -> Ascent:
    """Ascend to the maximum of a concave welfare.

    It stops when a step moves no position by more than ``tolerance`` times max(1, its magnitude), or when the tangent
    promises no more than rounding errors.
    """
    t = welfare.low.copy()
    rows: list[tuple[float, float, float, float]] = []
    move, converged = np.inf, False
    while True:
        terms, gradient = welfare.terms(t), welfare.gradient(t)
        value, rounding = float(terms.sum()), _EPS * float(np.abs(terms).sum())
        shortfall = welfare.shortfall(t, gradient)
        rows.append((float(welfare.samples(t).sum()), value, value + shortfall, move))
        converged = move <= tolerance or shortfall <= rounding
        if converged or len(rows) > maximum_iterations:
            break
        reached = _step(welfare, t, gradient, value, 16.0 * rounding, newton=len(rows) > 1)
        move = float((np.abs(reached - t) / np.maximum(1.0, np.abs(t))).max())
        t = reached
    aggregate, values, bound, moves = (np.array(column) for column in zip(*rows, strict=True))
    return Ascent(t, converged, aggregate, values, bound, moves)


def _step(welfare: WelfareFunction, t: Array, gradient: Array, value: float, rounding: float, newton: bool) -> Array:
    """Newton's step where it is asked for and gains, the separable one elsewhere."""

    def gains(reached: Array) -> bool:
        # Rounding hides small gains; a full Newton step so close to the optimum is then taken on trust.
        promised = float(gradient @ (reached - t))
        return promised >= 0.0 and float(welfare.terms(reached).sum()) - value >= _ARMIJO * promised - rounding

    if newton:
        reached = welfare.newton_maximiser(t, gradient)
        if gains(reached):
            return reached
    direction = welfare.separable_maximiser(t) - t
    step = 1.0
    while step > _EPS and not gains(t + step * direction):
        step *= 0.5
    return np.clip(t + step * direction, welfare.low, welfare.high)
