"""TradeFL's own master: look at every one of the m^N level vectors (its Algorithm 1, "traversal").

Three ways to do so, all with the same cuts: a plain Python loop; NumPy on blocks of level vectors; and NumPy by halves,
the sums over the first half of the organizations added to those over the second, the fastest traversal we know.
"""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np

from cocogen import CoopetitionGame
from cocogen.solvers import benders
from cocogen.solvers.benders import Decomposition, Potential
from cocogen.solvers.master import Master

BLOCK = 1 << 20  # level vectors held at once

Table = list[tuple[float, np.ndarray]]
Best = tuple[np.ndarray, float]


def in_python(cuts: Table, shape: tuple[int, int]) -> Best:
    """Every level vector in a loop."""
    tables = [(constant, worth.tolist()) for constant, worth in cuts]
    best, best_value = (0,) * shape[0], -np.inf
    for level in itertools.product(range(shape[1]), repeat=shape[0]):
        value = min(c + sum(row[i] for row, i in zip(worth, level, strict=True)) for c, worth in tables)
        if value > best_value:
            best, best_value = level, value
    return np.array(best), best_value


def in_blocks(cuts: Table, shape: tuple[int, int]) -> Best:
    """Blocks of level vectors, one gather for each organization and cut."""
    size, levels = shape
    best, best_value = np.zeros(size, dtype=np.int64), -np.inf
    for first in range(0, levels**size, BLOCK):
        index = np.arange(first, min(first + BLOCK, levels**size))
        digits = np.unravel_index(index, (levels,) * size)
        value = np.full(index.size, np.inf)
        for constant, worth in cuts:
            total = np.full(index.size, constant)
            for row, digit in zip(worth, digits, strict=True):
                total += row[digit]
            np.minimum(value, total, out=value)
        top = int(np.argmax(value))
        if value[top] > best_value:
            best, best_value = np.array([digit[top] for digit in digits]), float(value[top])
    return best, best_value


def by_halves(cuts: Table, shape: tuple[int, int]) -> Best:
    """The sums of both halves, then every pair of them, in blocks of the first half."""
    size, levels = shape
    middle = size // 2

    def sums(worth: np.ndarray) -> np.ndarray:
        total = np.zeros(1)
        for row in worth:
            total = (total[:, None] + row[None, :]).ravel()
        return total

    left = [constant + sums(worth[:middle]) for constant, worth in cuts]
    right = [sums(worth[middle:]) for _, worth in cuts]
    best, best_value = 0, -np.inf
    step = max(1, BLOCK // right[0].size)
    for first in range(0, left[0].size, step):
        value = left[0][first : first + step, None] + right[0]
        for a, b in zip(left[1:], right[1:], strict=True):
            np.minimum(value, a[first : first + step, None] + b, out=value)
        top = int(np.argmax(value))
        if value.flat[top] > best_value:
            best, best_value = first * right[0].size + top, float(value.flat[top])
    return np.array(np.unravel_index(best, (levels,) * size)), best_value


class TraversalMaster(Master):
    """The decomposition's master, solved by a traversal in blocks. For games in which every level is feasible."""

    def first(self) -> Best:
        return in_blocks(self.table(), self.allowed.shape)

    def best(self, level: np.ndarray, value: float, bound: float, tolerance: float) -> Best:  # noqa: ARG002
        proposal, reached = in_blocks(self.table(), self.allowed.shape)
        return proposal, min(max(reached, value), bound)

    def table(self) -> Table:
        """The cuts so far."""
        return list(zip(self._constants, self._worths, strict=True))


class PublishedStart(Potential):
    """The potential with TradeFL's first cut: at everyone's highest level, not at the Lagrangian price."""

    def start(self) -> np.ndarray:
        level = np.full(self.segments.lower.shape[0], self.segments.count - 1)
        return self.segments.effect(self.primal(level), level).samples


def published(game: CoopetitionGame) -> Decomposition:
    """TradeFL's CGBD, but for the exact primal."""
    with mock.patch.object(benders, "Master", TraversalMaster):
        return benders.decompose(PublishedStart(game), 1e-12, 1000)
