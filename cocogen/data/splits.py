"""Which samples are used at all, and which of them are the test fold, the attester's holdout and the members' pool.

Left out: how the pool is shared (:mod:`cocogen.data.partition`), and randomness, which is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.partition import whole_shares
from cocogen.errors import DatasetError

__all__ = ["Split", "limit_samples", "stratified_split"]


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint sorted sample indices, int64: ``test`` fold, attester's ``holdout``, and ``pool`` for the members."""

    test: NDArray[np.int64]
    holdout: NDArray[np.int64]
    pool: NDArray[np.int64]


def limit_samples(
    labels: NDArray[np.int64], samples: int, rng: np.random.Generator, *, test_from: int | None = None
) -> NDArray[np.int64]:
    """Sorted indices of ``samples`` samples, all when there are not more, that keep the mix of classes.

    An official test set (from index ``test_from`` on) keeps its share of the whole and its own mix of classes, each to
    within one sample a class.
    """
    if samples >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    official = np.arange(len(labels)) >= (len(labels) if test_from is None else test_from)
    _, stratum, counts = np.unique(2 * labels + official, return_inverse=True, return_counts=True)
    wanted = whole_shares(counts, samples)
    order = rng.permutation(len(labels))
    order = order[np.argsort(stratum[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    return np.sort(
        np.concatenate([order[start : start + take] for start, take in zip(starts, wanted, strict=True)])
    ).astype(np.int64)


def stratified_split(
    labels: NDArray[np.int64],
    *,
    folds: int,
    fold: int,
    holdout_fraction: float,
    fold_rng: np.random.Generator,
    holdout_rng: np.random.Generator,
    test_from: int | None = None,
) -> Split:
    """Test fold ``fold`` of ``folds``, then ``holdout_fraction`` of the rest, each with the class mix of the whole.

    An official test set (from index ``test_from`` on) is the test fold of every ``fold``, as published accuracies
    are measured on it; the folds then differ only by what the caller draws anew for each: holdout and partition.

    Raises
    ------
    DatasetError
        When the fold does not exist or a class is too rare to be in every part.
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    if not 0 <= fold < folds:
        raise DatasetError(f"split {fold} does not exist", hint=f"choose one of 0 to {folds - 1}, or raise splits")
    if test_from is not None:
        rest, test = np.arange(test_from), np.arange(test_from, len(labels))
    else:
        rarest = int(np.bincount(labels).min())
        if rarest < folds:
            instead = "merge it with another, or leave it out"
            raise DatasetError(
                f"the rarest class has {rarest} samples, fewer than the {folds} splits",
                hint=f"set learning.splits = {rarest}, or {instead}" if rarest > 1 else instead,
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


def _legacy_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
