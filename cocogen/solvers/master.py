"""The master problem of the Benders decomposition: which levels can still beat the best profile found?

    maximise η  subject to  η ≤ constant_k + Σ_n worth_k[n, level_n]  for every cut k, level_n allowed

is a mixed-integer linear programme with one binary variable for each organization and level, solved by HiGHS. TradeFL
enumerates its m^N points instead. Levels that one cut alone already proves too poor are left out, which is what keeps
a thousand organizations small [ours]; everything is measured from the best profile found and scaled to the gap that is
left, so that the absolute tolerances of HiGHS mean a fraction of it. Left out: where cuts come from (``benders``).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np

from cocogen.errors import SolverError
from cocogen.game.arrays import Array, BoolArray, IntArray

__all__ = ["Master"]

_TIME_LIMIT = 120.0  # seconds of one master problem; what is harder is said, not waited for
_GAP = 1e3  # the remaining gap in the units that HiGHS sees; it stops within 1e-6 of the optimum


class Master:
    """The cuts so far, and the best point under them.

    Parameters
    ----------
    shape : tuple of int
        (N, L).
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.allowed: BoolArray = np.ones(shape, dtype=np.bool_)
        self._constants: list[float] = []
        self._worths: list[Array] = []

    @property
    def cuts(self) -> int:
        """Optimality cuts."""
        return len(self._constants)

    def add(self, constant: float, worth: Array) -> None:
        """Take in an optimality cut: a float, and a table of shape (N, L)."""
        self._constants.append(constant)
        self._worths.append(worth)

    def exclude(self, organizations: IntArray, feasible: BoolArray) -> None:
        """Take in feasibility cuts: these organizations may play their feasible levels only, shape (k, L)."""
        self.allowed[organizations] &= feasible

    def first(self) -> tuple[IntArray, float]:
        """The best levels under the newest cut alone, with its value: an upper bound."""
        worth = np.where(self.allowed, self._worths[-1], -np.inf)
        return np.argmax(worth, axis=1), self._constants[-1] + float(worth.max(axis=1).sum())

    def best(self, level: IntArray, value: float, bound: float, tolerance: float) -> tuple[IntArray, float]:
        """The best levels under all cuts.

        Parameters
        ----------
        level, value
            The best profile found, shape (N,), and its objective.
        bound : float
            An upper bound that is known already.
        tolerance : float
            An upper bound within as much of ``value`` settles the matter, whatever the levels.

        Returns
        -------
        level : ndarray
            Shape (N,).
        bound : float
            No levels that are allowed have a larger objective.

        Raises
        ------
        SolverError
            HiGHS did not finish.
        """
        rows = np.arange(level.size)
        relative = np.stack([np.where(self.allowed, w - w[rows, level][:, None], -np.inf) for w in self._worths])
        at_best = np.array(self._constants) + np.array([w[rows, level].sum() for w in self._worths]) - value
        most = relative.max(axis=2)  # at least 0: the best profile's own level is allowed
        reach = np.maximum(at_best, 0.0) + most.sum(axis=1)
        gap = min(float(reach.min()), bound - value)
        if gap <= tolerance:
            return level, value + gap
        # A level stays open if, with everyone else at their best, no cut alone puts it below the best profile.
        open_levels = ((reach[:, None] - most)[:, :, None] + relative >= 0.0).all(axis=0)
        open_levels[rows, level] = False
        where = np.nonzero(open_levels)
        if where[0].size == 0:
            return level, value + max(float(at_best.min()), 0.0)
        proposal, proven = _highs(relative, at_best, level, open_levels, gap)
        reached = float((at_best + relative[:, rows, proposal].sum(axis=1)).min())
        return proposal, value + min(max(proven, reached, 0.0), gap)


def _highs(
    relative: Array, at_best: Array, level: IntArray, open_levels: BoolArray, gap: float
) -> tuple[IntArray, float]:
    """Maximise min_k (at_best_k + Σ relative_kn[level_n]) over the open levels, starting from ``level``.

    Organizations that no cut tells apart are one group, of which so many take a level: exchanging two of them would
    give the same point again, and the search would prove the same thing for each [ours].

    Returns
    -------
    level : ndarray
        Shape (N,).
    bound : float
        The proven upper bound.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, hstack, vstack

    kinds: dict[bytes, list[int]] = {}
    for n in np.flatnonzero(open_levels.any(axis=1)):
        key = level[n].tobytes() + open_levels[n].tobytes() + relative[:, n, open_levels[n]].tobytes()
        kinds.setdefault(key, []).append(int(n))
    groups = list(kinds.values())
    columns = [(g, int(index)) for g, group in enumerate(groups) for index in np.flatnonzero(open_levels[group[0]])]
    group_of = np.array([g for g, _ in columns])
    gains = relative[:, [groups[g][0] for g in group_of], [index for _, index in columns]]
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    cuts, count = gains.shape
    scale = _GAP / gap
    one_of = csr_array((np.ones(count), (group_of, np.arange(count))))
    matrix = vstack(
        [
            hstack([csr_array(np.ones((cuts, 1))), csr_array(-scale * gains)]),
            hstack([csr_array((len(groups), 1)), one_of]),
        ],
        format="csr",
    )
    with _native_output_on_stderr():
        result = milp(
            np.concatenate([[-1.0], np.zeros(count)]),
            integrality=np.concatenate([[0], np.ones(count)]),
            bounds=Bounds(np.concatenate([[-np.inf], np.zeros(count)]), np.concatenate([[_GAP], sizes[group_of]])),
            constraints=LinearConstraint(matrix, ub=np.concatenate([scale * at_best, sizes])),
            options={"mip_rel_gap": 0.0, "time_limit": _TIME_LIMIT},
        )
    if result.status != 0 or result.x is None or result.mip_dual_bound is None:
        raise SolverError(
            f"the master problem with {cuts} cuts and {count} open levels was not solved: {result.message}",
            hint='use method "best-response"',
        )
    proposal = level.copy()
    taken = [0] * len(groups)
    for (g, index), number in zip(columns, np.rint(result.x[1:]).astype(int), strict=True):
        proposal[groups[g][taken[g] : taken[g] + number]] = index
        taken[g] += int(number)
    return proposal, -float(result.mip_dual_bound) / scale


@contextlib.contextmanager
def _native_output_on_stderr() -> Iterator[None]:
    """HiGHS prints some messages past Python; on standard output they would end up in somebody's JSON."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # no standard output to protect
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
