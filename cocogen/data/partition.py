"""How the samples of one data set are shared among organizations: label skew, quantity skew, or neither.

Every function returns, for each organization, sorted positions into ``labels`` (n,) int64; no sample has two owners.
Sizes that the terms prescribe are kept exactly. Left out: skew of features, which moves no sample
(:mod:`cocogen.data.feature_shift`), and randomness, which is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import DatasetError

__all__ = [
    "dirichlet_partition",
    "equal_sizes",
    "iid_partition",
    "quantity_sizes",
    "shard_partition",
    "whole_shares",
]

_SINKHORN_TOLERANCE = 1e-9
_SINKHORN_ITERATIONS = 10_000


def equal_sizes(available: int, organizations: int) -> tuple[int, ...]:
    """``available`` samples shared as equally as possible; the first organizations hold the remainder."""
    quotient, remainder = divmod(available, organizations)
    return tuple(quotient + (n < remainder) for n in range(organizations))


def dirichlet_partition(
    labels: NDArray[np.int64], sizes: Sequence[int], alpha: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    """Disjoint positions into ``labels``, organization n getting exactly ``sizes[n]``, with Dirichlet label skew.

    Each organization draws a label mix from Dirichlet(``alpha`` · C · consortium mix), so that a small ``alpha``
    leaves it with few classes and a large one with the consortium's mix. The drawn mixes are then scaled, by
    iterative proportional fitting, to the sizes and to the samples that each class really has, and rounded to
    integers that keep both [ours: the usual samplers keep only one of them]. Samples beyond Σ sizes stay unassigned,
    with the mix of the whole.

    Raises
    ------
    DatasetError
        When the sizes do not fit the samples, or a size is not positive.
    """
    available = np.bincount(labels)
    unassigned = _check_sizes(sizes, int(available.sum()))
    mix = available / available.sum()
    concentration = np.maximum(alpha * len(mix) * mix, 1e-12)
    drawn = rng.dirichlet(concentration, size=len(sizes)) * np.asarray(sizes, dtype=np.float64)[:, None]
    expected = np.vstack([drawn, unassigned * mix])
    rows = np.array([*sizes, unassigned], dtype=np.int64)
    counts = _round_table(_fit_margins(expected, rows, available), rows, available)[:-1]

    shuffled = [rng.permutation(np.flatnonzero(labels == c)) for c in range(len(available))]
    ends = counts.cumsum(axis=0)
    return tuple(
        np.sort(np.concatenate([s[end[c] - count[c] : end[c]] for c, s in enumerate(shuffled)])).astype(np.int64)
        for count, end in zip(counts, ends, strict=True)
    )


def iid_partition(
    labels: NDArray[np.int64], sizes: Sequence[int], rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    """Disjoint positions drawn uniformly, organization n getting exactly ``sizes[n]``; DatasetError as above."""
    _check_sizes(sizes, len(labels))
    order = rng.permutation(len(labels))
    ends = np.cumsum(sizes)
    return tuple(np.sort(order[end - size : end]).astype(np.int64) for size, end in zip(sizes, ends, strict=True))


def shard_partition(
    labels: NDArray[np.int64], organizations: int, shards_each: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    """Sorted by label, cut into N · ``shards_each`` shards, each organization dealt ``shards_each`` of them [1]_.

    Shards differ by at most one sample and all are dealt, so that every sample has an owner. With many samples a shard
    has one or two classes. Samples of a class are in random order before the cut.

    .. [1] H. B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017.

    Raises
    ------
    DatasetError
        When there are fewer samples than shards.
    """
    shards = organizations * shards_each
    if len(labels) < shards:
        raise DatasetError(
            f"{len(labels):,} samples cannot be cut into {organizations} · {shards_each} = {shards:,} shards",
            hint="lower learning.partition.shards_each",
        )
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    cut = np.array_split(order, shards)
    dealt = rng.permutation(shards).reshape(organizations, shards_each)
    return tuple(np.sort(np.concatenate([cut[shard] for shard in hand])).astype(np.int64) for hand in dealt)


def quantity_sizes(
    available: int, organizations: int, alpha: float, minimum: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """Sizes that sum to ``available``: ``minimum`` for everyone, the rest shared by a draw from Dirichlet(``alpha``).

    Quantity skew [1]_; a smaller ``alpha`` leaves most samples with few organizations. The published sampler draws
    again until the smallest organization is large enough, which may never end; a floor needs one draw [ours].

    .. [1] Q. Li et al., "Federated Learning on Non-IID Data Silos: An Experimental Study", 2022.

    Raises
    ------
    DatasetError
        When ``available`` samples are not enough for the minimum.
    """
    if available < organizations * minimum:
        raise DatasetError(
            f"{available:,} samples are not enough for {organizations} organizations with at least {minimum:,} each",
            hint="lower learning.partition.minimum",
        )
    shares = rng.dirichlet(np.full(organizations, alpha))
    return tuple((minimum + whole_shares(shares, available - organizations * minimum)).tolist())


def whole_shares(weights: NDArray[np.float64] | NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """``total`` in whole shares, int64, that follow ``weights`` (not all zero); the largest remainders round up."""
    exact = total * weights / weights.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    missing = total - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    return shares


def _check_sizes(sizes: Sequence[int], available: int) -> int:
    if not sizes or min(sizes) < 1:
        raise DatasetError(f"partition sizes {list(sizes)} must be positive", hint="give every organization a sample")
    if sum(sizes) > available:
        raise DatasetError(
            f"partition sizes {list(sizes)} need {sum(sizes)} samples, but only {available} are there for the "
            "organizations",
            hint="lower learning.partition.sizes, or leave them out for equal shares",
        )
    return available - sum(sizes)


def _fit_margins(
    table: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    # A floor of a thousandth of a sample keeps every margin reachable, and quickly, however sparse the draw.
    table = np.maximum(table, 1e-3)
    table[rows == 0] = 0.0
    for _ in range(_SINKHORN_ITERATIONS):
        table = table * (columns / np.maximum(table.sum(axis=0), 1e-300))
        sums = table.sum(axis=1)
        if np.abs(sums - rows).max() <= _SINKHORN_TOLERANCE * rows.max():
            break
        table = table * (rows / np.maximum(sums, 1e-300))[:, None]
    return table


def _round_table(table: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integers next to ``table`` that keep its margins: a transportation problem, whose vertices are integral."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, eye_array, kron, vstack

    floor = np.floor(table + 1e-7)
    n, c = table.shape
    sums = csr_array(vstack([kron(eye_array(n), np.ones((1, c))), kron(np.ones((1, n)), eye_array(c))]))
    missing = np.concatenate([rows - floor.sum(axis=1), columns - floor.sum(axis=0)])
    # The part that was cut off is the gain of rounding up, so that the largest remainders come first.
    solution = milp(
        -(table - floor).ravel(),
        constraints=LinearConstraint(sums, missing, missing),
        bounds=Bounds(-np.minimum(floor, 1.0).ravel(), 2.0),
    )
    if solution.x is None:
        raise DatasetError("the label mixes cannot be rounded to whole samples", hint="choose another seed")
    return np.asarray(floor + np.rint(solution.x).reshape(n, c), dtype=np.int64)
