"""Aggregation that a few bad updates cannot steer: clipped norms and the coordinate-wise trimmed mean.

Both are options of the terms, off by default, because each costs honest rounds something (docs/contributions.md has
what was measured). They come after the attester's checks: what can be detected is rejected and named; what cannot is
bounded here. Left out: the checks (:mod:`cocogen.evidence.attester`), and the average itself
(:func:`cocogen.learning.models.states.average`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.models.states import ModelState

__all__ = ["clip_updates", "trimmed_mean"]

_COLUMNS = 65_536


def clip_updates(states: Sequence[ModelState], bases: Sequence[ModelState], multiple: float) -> list[ModelState]:
    """Shorten every update that is longer than ``multiple`` medians to that length; its direction stays.

    θ_n becomes base_n + min(1, multiple · median_m ‖θ_m - base_m‖ / ‖θ_n - base_n‖)(θ_n - base_n). A multiple of the
    median is the same rule for every model and every round, while a norm in absolute terms would have to follow both;
    as long as fewer than half of the organizations lie about it, the median is that of an honest norm [1]_. An update
    within the limit is returned as it is, to the bit.

    Raises
    ------
    LearningError
        When ``multiple`` is not a finite number above 0.

    References
    ----------
    .. [1] The clipping of aggregation defences such as Z. Sun et al., "Can You Really Backdoor Federated Learning?",
       2019, there with a fixed norm; the median is ours.
    """
    if not (math.isfinite(multiple) and multiple > 0):
        raise LearningError(f"updates cannot be clipped to {multiple} medians", hint="give a finite number above 0")
    if not states:
        return []
    norms = [state.distance(base) for state, base in zip(states, bases, strict=True)]
    limit = multiple * float(np.median(norms))
    return [
        state if norm <= limit else _shortened(state, base, limit / norm)
        for state, base, norm in zip(states, bases, norms, strict=True)
    ]


def trimmed_mean(states: Sequence[ModelState], weights: Sequence[int], trim: float) -> ModelState:
    """In every coordinate drop the k smallest and the k largest values and average the others [1]_, weighted.

    k = min(⌈``trim`` · n⌉, ⌊(n - 1)/2⌋) of the n organizations with a positive weight; those without take no part.
    Organizations are trimmed by their number, not by their weight, so nobody escapes by being large: with at most k
    liars every coordinate lies between two honest values. Those that stay count by weight, as in FedAvg: the paper has
    equal samples everywhere, where both are the same [ours]. Equal values are ordered by organization and sums are in
    float64, so that equal inputs give equal bytes.

    Raises
    ------
    LearningError
        When no weight is positive, or ``trim`` is not in (0, 0.5).

    References
    ----------
    .. [1] D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal
       Statistical Rates", ICML 2018, Definition 2.
    """
    if not 0 < trim < 0.5:
        raise LearningError(f"a share of {trim} cannot be trimmed at either end", hint="trim more than 0, below 0.5")
    present = [(state, weight) for state, weight in zip(states, weights, strict=True) if weight > 0]
    if not present:
        raise LearningError("no organization has a positive weight", hint="aggregate at least one contribution")
    count = len(present)
    # 0.07 · 100 is a little above 7.
    cut = min(math.ceil(trim * count - 1e-9), (count - 1) // 2)
    own = np.array([weight for _, weight in present], dtype=np.float64)
    arrays = {}
    for name, first in present[0][0].items():
        stacked = np.stack([state[name].ravel() for state, _ in present])
        # Columns at a time: a large layer of many organizations need not be in memory twice in float64.
        parts = [_middle(stacked[:, at : at + _COLUMNS], own, cut) for at in range(0, stacked.shape[1], _COLUMNS)]
        arrays[name] = np.concatenate(parts).reshape(first.shape) if parts else first
    return ModelState(arrays)


def _middle(values: NDArray[np.float32], weights: NDArray[np.float64], cut: int) -> NDArray[np.float32]:
    """The weighted mean of what is left of each column (n, width) without its ``cut`` smallest and largest."""
    order = np.argsort(values, axis=0, kind="stable")[cut : len(values) - cut]
    chosen = np.take_along_axis(values, order, axis=0).astype(np.float64)
    shares = weights[order]
    mean: NDArray[np.float64] = (chosen * shares).sum(axis=0) / shares.sum(axis=0)
    return mean.astype(np.float32)


def _shortened(state: ModelState, base: ModelState, factor: float) -> ModelState:
    return ModelState(
        {
            name: (base[name].astype(np.float64) + factor * (state[name].astype(np.float64) - base[name])).astype(
                np.float32
            )
            for name in state
        }
    )
