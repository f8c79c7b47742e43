"""The ε-Nash certificate: how much anyone could still gain by changing its strategy alone.

Every profile that is reported as an equilibrium passes through here, whichever solver found it. The search looks at
payoffs only. It shares no formula with the solvers: no potential, no derivative, no best response. Payoffs are concave
on a segment (P is concave, z_n > 0, costs are convex, scores affine), so three payoffs bound all the others: beyond two
points the payoff stays below the line through them [ours]. The search narrows a bracket around the best position of
each segment until that bound leaves nothing to find; at an equilibrium two looks are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import CertificateError
from cocogen.game.arrays import Array, BoolArray, IntArray, frozen
from cocogen.game.coopetition import CoopetitionGame, UnilateralDeviations

__all__ = ["RESOLUTION", "Certificate", "certify"]

RESOLUTION = 1e-10
"""What a search may leave unfound, relative to max(1, |U_n|)."""

_FIRST_STEP = 2.0**-10  # of a segment
_LEAST_STEP = 2.0**-12  # of a bracket: a secant over less would magnify the rounding of payoffs too far
_LARGEST_STEP = 2.0**-3
_ROUNDS = 128  # two halve a bracket at the very least, so that it is a few units in the last place wide by then
_BLOCK = 1 << 14  # organizations searched together: their arrays stay in the processor's cache
_TINY = float(np.finfo(np.float64).tiny)
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """Evidence for, or against, an equilibrium.

    Attributes
    ----------
    epsilon : float
        max_n gain_n / max(1, |U_n|), at least 0.
    resolution : float
        No unilateral change whatever gains more than ``epsilon + resolution`` times max(1, |U_n|), up to the rounding
        of payoffs; at most :data:`RESOLUTION` for continuous payoffs, and infinite where payoffs overflow, since then
        nothing bounds what was not looked at.
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
    resolution: float
    gains: Array
    payoffs: Array
    best_strategies: Array
    worst: int

    def holds(self, tolerance: float) -> bool:
        """Whether nobody gains more than ``tolerance``, by what was tried or by what may be left unfound."""
        return self.epsilon <= tolerance and self.resolution <= max(RESOLUTION, tolerance - self.epsilon)

    def require(self, tolerance: float, label: str) -> None:
        """Raise CertificateError unless :meth:`holds`; ``label`` says whose profile it is."""
        if self.epsilon <= tolerance and not self.holds(tolerance):
            raise CertificateError(
                f"whether {label} is an equilibrium is not settled: changes that were not looked at may gain up to "
                f"{self.resolution:.3g} of a payoff (valid: at most {tolerance:g})",
                hint="payoffs overflow or jump: state smaller maxima and costs, or the profile in a larger unit",
            )
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
        With ε relative to payoffs, in O(N) memory. Gains are what changes that were tried achieve, so ε never
        overstates; how far it may understate is its ``resolution``.

    Raises
    ------
    ConfigurationError
        The profile is not feasible.
    """
    deviations = game.deviations(strategies)
    payoffs, ceiling = deviations.current.copy(), deviations.current.copy()
    position, level = deviations.position.copy(), deviations.level.copy()
    for first in range(0, game.size, _BLOCK):
        block = np.arange(first, min(first + _BLOCK, game.size))
        for index in range(deviations.segments.count):
            playable = deviations.segments.feasible[block, index]
            rows: slice | IntArray = slice(first, first + _BLOCK) if playable.all() else block[playable]
            found = _search(deviations.block(rows), index, payoffs[rows])
            better = found.payoffs > payoffs[rows]
            payoffs[rows] = np.where(better, found.payoffs, payoffs[rows])
            position[rows] = np.where(better, found.position, position[rows])
            level[rows] = np.where(better, index, level[rows])
            ceiling[rows] = np.maximum(ceiling[rows], found.ceiling)
    gains = payoffs - deviations.current
    scale = np.maximum(1.0, np.abs(deviations.current))
    relative = gains / scale
    worst = int(np.argmax(relative))
    left = (ceiling - payoffs) / scale
    return Certificate(
        epsilon=float(relative[worst]),
        resolution=float(np.where(np.isnan(left), np.inf, left).max(initial=0.0)),
        gains=frozen(gains),
        payoffs=deviations.current,
        best_strategies=frozen(game.family.assemble(position, level)),
        worst=worst,
    )


class _Found(NamedTuple):
    """The best position found on one segment, its payoff, and a payoff that no position there exceeds, each (N,)."""

    position: Array
    payoffs: Array
    ceiling: Array


def _search(deviations: UnilateralDeviations, index: int, floor: Array) -> _Found:
    """Look for payoffs above ``floor`` (N,) on segment ``index`` until none can be left, or the best one is found."""
    size = floor.size
    found = _Found(np.empty(size), np.empty(size), np.empty(size))
    rows, part, level = np.arange(size), deviations, np.full(size, index, dtype=np.int64)
    bracket = _Bracket(deviations, index, floor)
    for _ in range(_ROUNDS):
        bracket.narrow(part, level)
        left = bracket.unsettled()
        if not left.any():
            break
        if 2 * np.count_nonzero(left) < left.size:
            bracket.store(found, rows)
            rows, part, level = rows[left], part.block(np.flatnonzero(left)), level[left]
            bracket.keep(left)
    bracket.store(found, rows)
    # Sums of ends and steps may round to just outside.
    segments = deviations.segments
    np.clip(found.position, segments.lower[:, index], segments.upper[:, index], out=found.position)
    return found


class _Bracket:
    """Where the best position of each organization must lie, narrowed by three payoffs at a time.

    Of three equidistant points, a rising right half or a falling left half cuts the bracket at the middle one; else
    the maximiser lies between the outer two. The next three are centred on the vertex of the parabola through the
    last ones, or on the middle of the bracket when that has stopped to shrink.
    """

    def __init__(self, deviations: UnilateralDeviations, index: int, floor: Array) -> None:
        segments = deviations.segments
        self.low, self.high = segments.lower[:, index], segments.upper[:, index]
        self.centre = np.clip(deviations.position, self.low, self.high)
        self.step = _FIRST_STEP * (self.high - self.low)
        self.slack = RESOLUTION * np.maximum(1.0, np.abs(deviations.current))
        self.slow = np.zeros(floor.size, dtype=np.bool_)
        self.floor = floor
        self.best, self.payoffs = self.centre, np.full(floor.size, -np.inf)
        self.ceiling = np.full(floor.size, np.inf)

    def narrow(self, deviations: UnilateralDeviations, level: IntArray) -> None:
        low, high, step = self.low, self.high, self.step
        at_low, at_high = self.centre <= low + step, self.centre >= high - step
        middle = np.where(at_low, low + step, np.where(at_high, high - step, self.centre))
        left, right = np.where(at_low, low, middle - step), np.where(at_high, high, middle + step)
        a, b, c = (deviations.payoffs(point, level) for point in (left, middle, right))
        ceiling = _ceiling(low - middle, high - middle, step, a, b, c)
        # Payoffs that overflow bound nothing: what is not a number must not pass for settled.
        self.ceiling = np.fmin(self.ceiling, np.where(np.isnan(ceiling), np.inf, ceiling))

        rising = c > b
        falling = (a > b) & ~rising
        largest = np.where(rising, c, np.where(falling, a, b))
        better = largest > self.payoffs
        self.best = np.where(better, np.where(rising, right, np.where(falling, left, middle)), self.best)
        self.payoffs = np.where(better, largest, self.payoffs)

        self.low = np.where(rising, middle, np.where(falling, low, left))
        self.high = np.where(falling, middle, np.where(rising, high, right))
        width = self.high - self.low
        slow = width > 0.5 * (high - low)
        bend = 2.0 * b - a - c
        curved = (bend > 0.0) & ~(slow & self.slow)
        self.slow = slow & ~self.slow
        bend = np.where(curved, bend, 1.0)
        vertex = middle + 0.5 * step * (c - a) / bend
        self.centre = np.where(curved, np.clip(vertex, self.low, self.high), self.low + 0.5 * width)
        finer = np.where(curved, step * np.sqrt(0.25 * self.slack / bend), width)
        self.step = np.clip(finer, _LEAST_STEP * width, _LARGEST_STEP * width)

    def unsettled(self) -> BoolArray:
        """Who may still gain more than has been found, on a bracket that can still be narrowed."""
        hidden = self.ceiling > np.maximum(self.payoffs, self.floor) + self.slack
        wide = self.high - self.low > 16.0 * _EPS * np.maximum(np.abs(self.low), np.abs(self.high))
        return np.asarray(hidden & wide)

    def keep(self, rows: BoolArray) -> None:
        for name, value in vars(self).items():
            setattr(self, name, value[rows])

    def store(self, found: _Found, rows: IntArray) -> None:
        found.position[rows], found.payoffs[rows], found.ceiling[rows] = self.best, self.payoffs, self.ceiling


def _ceiling(low: Array, high: Array, step: Array, a: Array, b: Array, c: Array) -> Array:
    """A bound on a concave function over [low, high] from its values a, b, c at −step, 0 and step within.

    Left of −step and right of 0 it lies below the line through a and b, elsewhere below the line through b and c; and
    lines are largest at the ends.
    """
    per_length = 1.0 / np.maximum(step, _TINY)
    left = b + low * ((b - a) * per_length)
    right = b + high * ((c - b) * per_length)
    between = 2.0 * b - np.minimum(a, c)
    return np.asarray(np.maximum(np.maximum(left, right), np.maximum(between, np.maximum(np.maximum(a, b), c))))
