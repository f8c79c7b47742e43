"""Who owns which sample: a test fold nobody trains on, the attester's holdout, and the organizations' own data.

Label skew is Dirichlet, quantity skew is prescribed and kept exactly. Also here: what the split does to the
organizations' label mixes, and the standardization that they can agree on without showing each other a sample.
Left out: randomness (passed in) and the choice of the split (:mod:`cocogen.learning.task`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import DatasetError

__all__ = [
    "Scale",
    "Split",
    "dirichlet_partition",
    "equal_sizes",
    "federated_scale",
    "heterogeneity",
    "iid_partition",
    "label_counts",
    "label_mix",
    "stratified_split",
]

_SINKHORN_TOLERANCE = 1e-9
_SINKHORN_ITERATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint sorted sample indices, int64: ``test`` fold, attester's ``holdout``, and ``pool`` for the members."""

    test: NDArray[np.int64]
    holdout: NDArray[np.int64]
    pool: NDArray[np.int64]


def stratified_split(
    labels: NDArray[np.int64],
    *,
    folds: int,
    fold: int,
    holdout_fraction: float,
    fold_rng: np.random.Generator,
    holdout_rng: np.random.Generator,
) -> Split:
    """Test fold ``fold`` of ``folds``, then ``holdout_fraction`` of the rest, each with the class mix of the whole.

    Raises
    ------
    DatasetError
        When the fold does not exist or a class is too rare to be in every part.
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    if not 0 <= fold < folds:
        raise DatasetError(f"split {fold} does not exist", hint=f"choose one of 0 to {folds - 1}, or raise splits")
    rarest = int(np.bincount(labels).min())
    if rarest < folds:
        raise DatasetError(
            f"the rarest class has {rarest} samples, fewer than the {folds} splits", hint="lower learning.splits"
        )
    cut = StratifiedKFold(folds, shuffle=True, random_state=_legacy_seed(fold_rng))
    rest, test = list(cut.split(np.zeros(len(labels)), labels))[fold]
    try:
        pool, holdout = train_test_split(
            rest, test_size=holdout_fraction, stratify=labels[rest], random_state=_legacy_seed(holdout_rng)
        )
    except ValueError as error:
        raise DatasetError(
            f"a holdout of {holdout_fraction:g} of {len(rest)} samples cannot hold every class: {error}",
            hint="move learning.holdout_fraction towards 0.5",
        ) from error
    return Split(*(np.sort(part).astype(np.int64) for part in (test, holdout, pool)))


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


def label_counts(labels: Sequence[NDArray[np.int64]], classes: int) -> NDArray[np.int64]:
    """Samples of each class and organization, shape (N, C)."""
    return np.stack([np.bincount(own, minlength=classes) for own in labels]).astype(np.int64)


def label_mix(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Label distribution of each organization, shape (N, C), rows sum to 1 (an empty row counts as uniform)."""
    totals = counts.sum(axis=1, keepdims=True)
    mix: NDArray[np.float64] = np.where(totals > 0, counts / np.maximum(totals, 1), 1.0 / counts.shape[1])
    return mix


def heterogeneity(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """δ_n in [0, 1]: total variation between own label distribution and the consortium's, shape (N,) [ours]."""
    consortium = counts.sum(axis=0) / counts.sum()
    distance: NDArray[np.float64] = 0.5 * np.abs(label_mix(counts) - consortium).sum(axis=1)
    return distance


@dataclass(frozen=True, slots=True)
class Scale:
    """Per-feature ``mean`` and ``deviation`` (positive), shape (d,), float64."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardized features, shape (n, d), float32."""
        return ((features - self.mean) / self.deviation).astype(np.float32)


def federated_scale(members: Sequence[NDArray[np.float32]]) -> Scale:
    """Mean and deviation from what each member would disclose: its count, sums and sums of squares per feature.

    Neither the test fold nor the attester's holdout takes part. A constant feature gets deviation 1.
    """
    count = sum(len(own) for own in members)
    total = np.sum([own.sum(axis=0, dtype=np.float64) for own in members], axis=0)
    squares = np.sum([np.square(own, dtype=np.float64).sum(axis=0) for own in members], axis=0)
    mean = total / count
    variance = squares / count - mean**2
    # Below this the difference of the two terms is rounding noise, not spread.
    spread = variance > 1e-10 * np.maximum(squares / count, 1e-300)
    return Scale(mean, np.sqrt(np.where(spread, variance, 1.0)))


def _legacy_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


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
