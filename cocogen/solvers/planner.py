"""The planner's optimum g°: the profile with the largest social welfare, the yardstick of welfare efficiency.

Transfers cancel in SW = Σ U_n, which leaves

    SW = Σ z_n P(Ω) + χ Σ Γ_n P(Ω − q_n) + Σ v_n ψ_n − Σ C_n,   v_n = p_n + (1 − χ)(Γ_n − p_n Σ_m ρ_mn),

concave when every v_n ≥ 0 (or ψ = 0). Its Hessian is a diagonal plus a matrix of rank two, so a projected Newton step
costs O(N) by the Woodbury identity, for any N [ours].

References
----------
.. [1] D. P. Bertsekas, Projected Newton methods for optimization problems with simple constraints, SIAM J. Control
   and Optimization 20 (1982).
"""

from __future__ import annotations

import numpy as np

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, BoolArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.equilibrium import Candidate, Trace

__all__ = ["planner_optimum"]

_ARMIJO = 1e-4
_EPS = float(np.finfo(np.float64).eps)


def planner_optimum(game: CoopetitionGame, *, tolerance: float = 1e-10, maximum_iterations: int = 200) -> Candidate:
    """Maximise social welfare over all profiles.

    Parameters
    ----------
    game : CoopetitionGame
        One segment for each organization, strictly convex costs.
    tolerance : float
        Stop when the projected Newton step moves no position by more than ``tolerance`` times max(1, its magnitude).
    maximum_iterations : int
        Give up after as many; the result then says ``converged = False``.

    Returns
    -------
    Candidate
        ``residual`` is the largest relative move of the last Newton step.

    Raises
    ------
    SolverError
        The game is outside this solver's domain, or welfare is not concave; the message names the organization.
    """
    problem = _Welfare(game)
    low, high = game.family.segments.lower[:, 0], game.family.segments.upper[:, 0]
    t = low.copy()
    value = problem.value(t)
    aggregate, moves = [problem.omega(t)], [np.inf]
    for _ in range(maximum_iterations):
        gradient = problem.gradient(t)
        near = np.minimum(1e-6 * (high - low), np.abs(np.clip(t + gradient, low, high) - t))
        held = ((t <= low + near) & (gradient <= 0.0)) | ((t >= high - near) & (gradient >= 0.0))
        direction = problem.newton_direction(t, gradient, ~held)
        step, best, best_value = 1.0, t, value
        while step > _EPS:
            moved = np.clip(t + step * direction, low, high)
            gained = problem.value(moved) - value
            # Rounding hides gains below this; a full Newton step so close to the optimum is then taken on trust.
            if gained >= _ARMIJO * float(gradient @ (moved - t)) - 16.0 * _EPS * problem.scale(t):
                best, best_value = moved, value + gained
                break
            step *= 0.5
        moves.append(float((np.abs(best - t) / np.maximum(1.0, np.abs(t))).max()))
        t, value = best, best_value
        aggregate.append(problem.omega(t))
        if moves[-1] <= tolerance:
            break
    return Candidate(
        method="planner",
        strategies=game.family.assemble(t, np.zeros(game.size, dtype=np.int64)),
        iterations=len(moves) - 1,
        converged=moves[-1] <= tolerance and step > _EPS,
        residual=moves[-1],
        trace=Trace(aggregate=np.array(aggregate), residual=np.array(moves)),
    )


class _Welfare:
    """SW without constants and transfers, as a function of the positions, shape (N,)."""

    def __init__(self, game: CoopetitionGame) -> None:
        segments = game.family.segments
        if segments.count != 1 or not bool((segments.cost_curvature > 0.0).all()):
            raise SolverError(
                f"the planner needs strictly convex costs and one segment an organization (found {segments.count})",
                hint="compare with another yardstick than the planner's optimum",
            )
        self._accuracy = game.accuracy
        self._shared = float(game.potential_weights.sum())
        self._damage = game.damage * game.damage_weights
        standing = game.damage_weights - game.profitability * game.competition.column_sums()
        self._private = game.private_gain * (game.profitability + (1.0 - game.damage) * standing)
        if (self._private < 0.0).any():
            n = int(np.argmin(self._private))
            raise SolverError(
                f"social welfare is not concave: a unit of private gain of {game.label(n)} costs its competitors more "
                f"than it earns ({self._private[n]:g}, valid: at least 0)",
                hint="lower the competition that others feel from it, or the private gain",
            )
        self._private_base = game.private_base
        self._q0, self._q1 = segments.samples_base[:, 0], segments.samples_slope[:, 0]
        self._c1, self._c2 = segments.cost_slope[:, 0], segments.cost_curvature[:, 0]

    def omega(self, t: Array) -> float:
        return float((self._q0 + self._q1 * t).sum())

    def value(self, t: Array) -> float:
        return float(self._terms(t).sum())

    def scale(self, t: Array) -> float:
        """Magnitude of the summands, which sets the rounding error of :meth:`value`."""
        return float(np.abs(self._terms(t)).sum())

    def _terms(self, t: Array) -> Array:
        q = self._q0 + self._q1 * t
        omega = q.sum()
        private = self._private * np.log1p(q / self._private_base)
        own = self._damage * self._accuracy.value(omega - q) + private - (self._c1 + 0.5 * self._c2 * t) * t
        return np.append(own, self._shared * self._accuracy.value(omega))

    def gradient(self, t: Array) -> Array:
        q = self._q0 + self._q1 * t
        omega = q.sum()
        kept = self._damage * self._accuracy.derivative(omega - q)
        price = self._shared * self._accuracy.derivative(omega) + kept.sum()
        marginal = price - kept + self._private / (self._private_base + q)
        return np.asarray(self._q1 * marginal - self._c1 - self._c2 * t)

    def newton_direction(self, t: Array, gradient: Array, free: BoolArray) -> Array:
        """Ascent direction: −H⁻¹ ∇ on the free positions, the diagonally scaled gradient on those held at an end.

        With h_n = χ Γ_n P''(Ω − q_n) and c = Σz P''(Ω) + Σh, −H = D + V M Vᵀ, V = [q', q' h], M = [[−c, 1], [1, 0]].
        """
        q = self._q0 + self._q1 * t
        omega = q.sum()
        h = self._damage * self._accuracy.second_derivative(omega - q)
        c = float(self._shared * self._accuracy.second_derivative(omega) + h.sum())
        diagonal = self._c2 + self._q1**2 * (self._private / (self._private_base + q) ** 2 - h)
        v = np.stack([self._q1, self._q1 * h], axis=1)[free]
        scaled = v / diagonal[free, None]
        core = np.array([[0.0, 1.0], [1.0, c]]) + v.T @ scaled
        direction = gradient / diagonal
        direction[free] -= scaled @ np.linalg.solve(core, scaled.T @ gradient[free])
        return direction
