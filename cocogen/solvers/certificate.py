"""The ε-Nash certificate: how much anyone could still gain by changing its strategy alone.

Every profile that is reported as an equilibrium passes through here, whichever solver found it. The search looks at
payoffs only, with golden sections on each segment of each organization's strategy set and both of its ends. It shares
no formula with the solvers: no potential, no derivative, no best response. Payoffs are concave on a segment (P is
concave, z_n > 0, costs are convex, scores affine), so a golden section finds the best unilateral change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import CertificateError
from cocogen.game.arrays import Array, BoolArray, IntArray, frozen
from cocogen.game.coopetition import CoopetitionGame, UnilateralDeviations

__all__ = ["Certificate", "certify"]

_SECTION = (5.0**0.5 - 1.0) / 2.0  # the inverse of the golden ratio
_SECTIONS = 32  # leaves 2e-7 of a segment, whose effect on a smooth payoff is of second order
_BLOCK = 1 << 14  # organizations searched together: their arrays stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """Evidence for, or against, an equilibrium.

    Attributes
    ----------
    epsilon : float
        max_n gain_n / max(1, |U_n|), at least 0.
    gains : ndarray
        What each organization would gain from its best unilateral change, currency, shape (N,), at least 0.
    payoffs : ndarray
        U at the profile, currency, shape (N,).
    best_strategies : ndarray
        The best unilateral strategy found for each organization, in the family's format.
    worst : int
        The organization that attains ε.
    """

    epsilon: float
    gains: Array
    payoffs: Array
    best_strategies: Array
    worst: int

    def require(self, tolerance: float, label: str) -> None:
        """Raise CertificateError when ε exceeds the tolerance; ``label`` says whose profile it is."""
        if not self.epsilon <= tolerance:
            raise CertificateError(
                f"{label} is not an equilibrium: organization {self.worst} would gain {self.gains[self.worst]:.6g} by "
                f"changing its strategy (ε = {self.epsilon:.3g}, valid: at most {tolerance:g})",
                hint="use another solver, or a tighter tolerance for this one",
            )


def certify(game: CoopetitionGame, strategies: ArrayLike) -> Certificate:
    """Measure how far a profile is from a Nash equilibrium.

    Parameters
    ----------
    game : CoopetitionGame
        The game, as it is settled.
    strategies : array_like
        Any feasible profile, from any source, in the family's format.

    Returns
    -------
    Certificate
        With ε relative to payoffs, in O(N) memory.

    Raises
    ------
    ConfigurationError
        The profile is not feasible.
    """
    deviations = game.deviations(strategies)
    best_payoffs = deviations.current.copy()
    best_position, best_level = deviations.position.copy(), deviations.level.copy()
    for first in range(0, game.size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        block = deviations.block(rows)
        for index in range(block.segments.count):
            level = np.full(block.current.size, index, dtype=np.int64)
            for position, payoffs in _search(block, level, index):
                better = (payoffs > best_payoffs[rows]) & block.segments.feasible[:, index]
                best_payoffs[rows][better] = payoffs[better]
                best_position[rows][better], best_level[rows][better] = position[better], index
    gains = best_payoffs - deviations.current
    relative = gains / np.maximum(1.0, np.abs(deviations.current))
    worst = int(np.argmax(relative))
    return Certificate(
        epsilon=float(relative[worst]),
        gains=frozen(gains),
        payoffs=deviations.current,
        best_strategies=frozen(game.family.assemble(best_position, best_level)),
        worst=worst,
    )


def _search(deviations: UnilateralDeviations, level: IntArray, index: int) -> list[tuple[Array, Array]]:
    """Golden sections on segment ``index`` of every organization: candidate positions with their payoffs.

    All brackets shrink by the same factor, so a bracket is its lower end and the common fraction ``width`` of its
    segment; of its two inner points only the better payoff and its side (``rising``: the right one) are kept.
    """
    bottom, top = deviations.segments.lower[:, index], deviations.segments.upper[:, index]
    ends = [(end, deviations.payoffs(end, level)) for end in (bottom, top)]
    length = top - bottom
    low, width = bottom, 1.0
    best = deviations.payoffs(bottom + (1.0 - _SECTION) * length, level)
    at_right = deviations.payoffs(bottom + _SECTION * length, level)
    rising = at_right > best
    best = np.maximum(best, at_right)
    for _ in range(_SECTIONS):
        low = low + rising * ((1.0 - _SECTION) * width * length)
        width *= _SECTION
        payoffs = deviations.payoffs(_inner(low, width * length, rising), level)
        rising = (payoffs > best) == rising
        best = np.maximum(best, payoffs)
    return [*ends, (np.minimum(_inner(low, width * length, rising), top), best)]


def _inner(low: Array, length: Array, right: BoolArray) -> Array:
    """The right or left inner point of a bracket."""
    return low + length * ((1.0 - _SECTION) + right * (2.0 * _SECTION - 1.0))
