"""CoCoGen+'s equilibrium as one scalar equation: T(Ω) = Ω.

T(Ω) adds up what everyone contributes at the price P'(Ω). P' falls, so T does not rise and the fixed point is unique.
Bracketing always converges, and costs one vectorised pass over the organizations for each evaluation, which is what
carries it to a million of them. The damped iteration is the one published with CoCoGen+ (arXiv 2604.14886); it needs
strictly convex costs, because with linear ones T jumps. Both need one segment for each organization: with several the
potential is not concave, and a crossing need not be an equilibrium.
"""

from __future__ import annotations

import numpy as np

from cocogen.errors import ConfigurationError, FieldProblem, SolverError
from cocogen.game.arrays import Array
from cocogen.game.bounds import rounded_down
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.crossing import best_positions, reachable
from cocogen.solvers.equilibrium import Candidate, Trace
from cocogen.solvers.price_response import PriceResponse

__all__ = ["bracketing", "contraction_bound", "damped_iteration"]

_GRID = 65
_TINY = 1e-200  # samples; nobody may have anything, where accuracy is stated from 0


def bracketing(game: CoopetitionGame) -> Candidate:
    """Solve T(Ω) = Ω by Brent's method between the least and the most that can be contributed.

    Linear costs make T jump where an organization is indifferent; it then contributes what meets Ω exactly [ours].

    Parameters
    ----------
    game : CoopetitionGame
        One segment for each organization.

    Returns
    -------
    Candidate
        ``residual`` is |Ω' − Ω| / Ω, Ω' what the reported profile adds up to; ``trace`` has one entry for each
        evaluation of T.

    Raises
    ------
    SolverError
        The game is outside this solver's domain.
    """
    _require_one_segment(game)
    position, found = best_positions(game.accuracy, PriceResponse.of(game))
    return _candidate("fixed-point", game, position, found.omega, found.visited, tolerance=1e-9)


def damped_iteration(
    game: CoopetitionGame, damping: float | None = None, *, tolerance: float = 1e-13, maximum_iterations: int = 100_000
) -> Candidate:
    """Iterate Ω ← (1 − θ) Ω + θ T(Ω), as published.

    Parameters
    ----------
    game : CoopetitionGame
        One segment for each organization, strictly convex costs.
    damping : float, optional
        θ in (0, 2 / (1 + L)), where L bounds |T'|; default 2 / (2 + L), the best constant when T' may lie anywhere in
        [−L, 0].
    tolerance : float
        Stop when |T(Ω) − Ω| ≤ tolerance · Ω.
    maximum_iterations : int
        Give up after as many; the result then says ``converged = False``.

    Returns
    -------
    Candidate
        ``trace`` has one entry for each iteration.

    Raises
    ------
    ConfigurationError
        θ is outside its range.
    SolverError
        The game is outside this solver's domain.
    """
    _require_one_segment(game)
    if not bool((game.family.segments.cost_curvature > 0.0).all()):
        raise SolverError(
            "the damped iteration needs strictly convex costs; with linear ones the aggregate map jumps",
            hint='use method "fixed-point", which brackets the jump',
        )
    respond, (low, high) = PriceResponse.of(game), reachable(game.family.segments)
    bound = contraction_bound(game)
    theta = 2.0 / (2.0 + bound) if damping is None else float(damping)
    if not 0.0 < theta < 2.0 / (1.0 + bound):
        valid = f"greater than 0, less than 2 / (1 + L) = {rounded_down(2 / (1 + bound))}"
        problem = FieldProblem("damping", repr(theta), valid)
        raise ConfigurationError("the damped iteration would not converge", problems=[problem])
    omega = low
    visited: list[tuple[float, float]] = []
    for _ in range(maximum_iterations):
        positions = respond(float(game.accuracy.derivative(omega)))
        excess = float(respond.samples(positions).sum()) - omega
        visited.append((omega, excess))
        if abs(excess) <= tolerance * max(omega, _TINY):
            break
        # θ > 1 may overshoot the range in which the bound L holds.
        omega = min(max(omega + theta * excess, low), high)
    position = respond(float(game.accuracy.derivative(omega)))[:, 0]
    return _candidate("damped", game, position, omega, visited, tolerance=max(1e-9, 10.0 * tolerance))


def contraction_bound(game: CoopetitionGame) -> float:
    """L, a bound on |T'(Ω)| = Σ z κ² |P''(Ω)| / c2 over the reachable Ω (dimensionless).

    P'' is looked at on a geometric grid; for the accuracy functions here |P''| falls, so the first point attains it.
    Private gain only makes responses flatter.
    """
    segments = game.family.segments
    low, high = reachable(segments)
    grid = np.geomspace(max(low, 1e-12 * high, _TINY), max(high, 2.0 * _TINY), _GRID)
    sensitivity = (game.potential_weights * segments.samples_slope[:, 0] ** 2 / segments.cost_curvature[:, 0]).sum()
    return float(sensitivity * np.abs(game.accuracy.second_derivative(grid)).max())


def _require_one_segment(game: CoopetitionGame) -> None:
    count = game.family.segments.count
    if count != 1:
        raise SolverError(
            f"the fixed point needs one segment for each organization (found {count})",
            hint='use method "benders", which chooses among them, or "best-response"',
        )


def _candidate(
    method: str,
    game: CoopetitionGame,
    position: Array,
    omega: float,
    visited: list[tuple[float, float]],
    tolerance: float,
) -> Candidate:
    strategies = game.family.assemble(position, np.zeros(game.size, dtype=np.int64))
    reached = float(game.effective_samples(strategies).sum())
    residual = abs(reached - omega) / max(omega, _TINY)
    aggregate, excess = (np.array(column) for column in zip(*visited, strict=True))
    steps: Array = np.abs(excess) / np.maximum(aggregate, _TINY)
    return Candidate(
        method=method,
        strategies=strategies,
        iterations=len(visited),
        converged=residual <= tolerance,
        residual=residual,
        trace=Trace(aggregate=aggregate, residual=steps),
    )
