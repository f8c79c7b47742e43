"""What an organization can choose: the one protocol that solvers, certificate and reports see.

Every strategy set here is a finite union of segments. On segment l of organization n a position t ∈ [lower, upper]
gives q = samples_base + samples_slope · t effective samples, the score input
x = score_base + score_slope · t, and costs cost_base + cost_slope · t + ½ cost_curvature · t². Generation amounts
need one segment; a data fraction with a discrete compute level (``data_fractions``) needs one for each level. So no
algorithm asks which family it plays. Left out: payoffs, which depend on the market (``coopetition``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, EmptyStrategySet, FieldProblem
from cocogen.game.arrays import Array, BoolArray, IntArray, frozen, scalar, vector
from cocogen.game.bounds import rounded_down

__all__ = ["Effect", "GenerationAmounts", "Segments", "StrategyFamily"]


class Effect(NamedTuple):
    """What a strategy profile does, each shape (N,), float64: effective samples q, score input x, cost (currency)."""

    samples: Array
    score_input: Array
    cost: Array


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The strategy sets of all organizations, every array of shape (N, L), float64; L segments each.

    ``lower`` ≤ ``upper`` are positions; slopes are per unit of position, ``samples_slope`` > 0; ``cost_curvature`` ≥ 0.
    ``feasible`` (bool): a segment that is not may not be played (a deadline rules it out); its numbers are placeholders
    with lower = upper. Every organization has at least one feasible segment.
    """

    lower: Array
    upper: Array
    samples_base: Array
    samples_slope: Array
    score_base: Array
    score_slope: Array
    cost_base: Array
    cost_slope: Array
    cost_curvature: Array
    feasible: BoolArray

    @property
    def count(self) -> int:
        """L."""
        return int(self.lower.shape[1])

    def block(self, rows: slice | IntArray) -> Segments:
        """The segments of some organizations, as views where ``rows`` is a slice."""
        return Segments(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    def pick(self, table: Array, level: IntArray) -> Array:
        """Take each organization's entry of a table of shape (N, L) at its level, shape (N,)."""
        if self.count == 1:
            return table[:, 0]
        return table[np.arange(table.shape[0]), level]

    def at(self, levels: IntArray) -> Segments:
        """Fix levels: column b of the result is the one segment of each organization at ``levels[:, b]``, (N, B)."""
        return Segments(*(np.take_along_axis(getattr(self, entry.name), levels, axis=1) for entry in fields(self)))

    def effect(self, position: Array, level: IntArray) -> Effect:
        """Evaluate one position and level per organization."""
        return Effect(
            self.pick(self.samples_base, level) + self.pick(self.samples_slope, level) * position,
            self.pick(self.score_base, level) + self.pick(self.score_slope, level) * position,
            self.pick(self.cost_base, level)
            + (self.pick(self.cost_slope, level) + 0.5 * self.pick(self.cost_curvature, level) * position) * position,
        )


class StrategyFamily(Protocol):
    """The strategy sets of N organizations, and how a profile is written as an array whose first axis is N."""

    @property
    def size(self) -> int:
        """N."""
        ...

    @property
    def segments(self) -> Segments: ...

    def locate(self, strategies: ArrayLike) -> tuple[Array, IntArray]:
        """Split a profile into positions (N,) and levels (N,); ConfigurationError when it is not feasible."""
        ...

    def assemble(self, position: Array, level: IntArray) -> Array:
        """The profile that :meth:`locate` would split into these positions and levels."""
        ...


class GenerationAmounts:
    """CoCoGen+: organization n generates g_n ∈ [0, maximum_n] synthetic samples beside all its local data.

    q_n = local_n + κ_n g_n, x_n = local_n + generated_weight · κ_n g_n, C_n = c1_n g + ½ c2_n g² + fixed_n.
    A profile is the array g, shape (N,), float64, in samples.

    Parameters
    ----------
    local : array_like
        Registered local samples, shape (N,), at least 0.
    quality : array_like
        κ, shape (N,) or one for all, in (0, 1].
    cost_linear, cost_quadratic, cost_fixed : array_like
        c1 ≥ 0 (currency per sample), c2 > 0 (currency per sample²; strict convexity makes the equilibrium unique), and
        a cost that is paid whatever is generated (currency, at least 0); shape (N,) or one for all.
    maximum : array_like
        Most samples generated in a round, shape (N,) or one for all, at least 0.
    generated_weight : float
        Score of an effective synthetic sample relative to a real one, at least 0.

    Raises
    ------
    ConfigurationError
        A parameter is out of range.
    EmptyStrategySet
        A maximum is negative.
    """

    def __init__(
        self,
        local: ArrayLike,
        quality: ArrayLike,
        cost_linear: ArrayLike,
        cost_quadratic: ArrayLike,
        maximum: ArrayLike,
        cost_fixed: ArrayLike = 0.0,
        generated_weight: float = 1.0,
    ) -> None:
        size = int(np.size(np.asarray(local)))
        self.local = vector("local", np.atleast_1d(np.asarray(local, dtype=np.float64)), size, lower=0.0)
        self.quality = vector("quality", quality, size, upper=1.0, positive=True)
        self.cost_linear = vector("cost_linear", cost_linear, size, lower=0.0)
        self.cost_quadratic = vector("cost_quadratic", cost_quadratic, size, positive=True)
        self.cost_fixed = vector("cost_fixed", cost_fixed, size, lower=0.0)
        self.maximum = vector("maximum", maximum, size)
        self.generated_weight = scalar("generated_weight", generated_weight, lower=0.0)
        if (self.maximum < 0.0).any():
            n = int(np.argmax(self.maximum < 0.0))
            raise EmptyStrategySet(
                f"organization {n} has no feasible generation amount: maximum = {self.maximum[n]:g}, valid: at least 0",
                hint="set its maximum to 0 if it shall not generate",
            )
        self._segments = Segments(
            lower=frozen(np.zeros((size, 1))),
            upper=self.maximum[:, None],
            samples_base=self.local[:, None],
            samples_slope=self.quality[:, None],
            score_base=self.local[:, None],
            score_slope=frozen((self.generated_weight * self.quality)[:, None]),
            cost_base=self.cost_fixed[:, None],
            cost_slope=self.cost_linear[:, None],
            cost_curvature=self.cost_quadratic[:, None],
            feasible=np.ones((size, 1), dtype=np.bool_),
        )
        self._levels = np.zeros(size, dtype=np.int64)
        self._levels.flags.writeable = False

    @property
    def size(self) -> int:
        return int(self.local.size)

    @property
    def segments(self) -> Segments:
        return self._segments

    def locate(self, strategies: ArrayLike) -> tuple[Array, IntArray]:
        """See :class:`StrategyFamily`: positions are the amounts themselves, every level is 0."""
        amounts = np.asarray(strategies, dtype=np.float64)
        if amounts.shape != (self.size,):
            problem = FieldProblem("strategies", f"shape {amounts.shape}", f"shape ({self.size},)")
            raise ConfigurationError("a profile needs one amount for each organization", problems=[problem])
        feasible = (amounts >= 0.0) & (amounts <= self.maximum)
        if not feasible.all():
            n = int(np.argmin(feasible))
            problem = FieldProblem(
                f"strategies[{n}]", repr(float(amounts[n])), f"from 0 to {rounded_down(self.maximum[n])}"
            )
            raise ConfigurationError("a generation amount is not feasible", problems=[problem])
        return amounts, self._levels

    def assemble(self, position: Array, level: IntArray) -> Array:  # noqa: ARG002 - the protocol's signature
        """See :class:`StrategyFamily`; there is one level."""
        return position
