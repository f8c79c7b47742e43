"""Which rows of a site are trained on and which are kept for validation: drawn once, known to the site alone.

Rows of one group (a patient's) lie on one side, and every class is shared out in the same proportion as far as groups
allow. The draw takes raw words of a bit generator, whose streams NumPy promises to keep (NEP 19): a site that comes
back after an update of NumPy finds its rows where they were.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.secret import derived_key

__all__ = ["site_rng", "split"]

_PURPOSE = "cocogen: training and validation"


def site_rng(secret: bytes) -> np.random.Generator:
    """The generator of a site's split: the same at every start, and nobody's without the secret."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(derived_key(secret, _PURPOSE), "big")))


def split(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and validation rows, both int64 and ascending; together every row once.

    ``labels``: (n,), class indices from 0. ``groups``: (n,), or None where every row is by itself. ``fraction``: of the
    rows to keep for validation, in [0, 1).

    Groups that hold the same numbers of rows of each class are alike: of k such ⌊fraction · k⌋ are drawn. Then one more
    of each kind is taken, large ones first, where it brings the classes' shares closer to ``fraction`` (least squares,
    each class relative to its size). A class with any rows keeps some to train on.

    Raises
    ------
    ValueError
        ``fraction`` lies outside its range, or lengths differ.
    """
    count = len(labels)
    if not 0.0 <= fraction < 1.0 or (groups is not None and len(groups) != count):
        raise ValueError(f"a fraction of {fraction} or groups that are not {count}")
    if not count or not fraction:
        return np.arange(count, dtype=np.int64), np.zeros(0, dtype=np.int64)
    group = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0])
    ends = np.r_[starts[1:], count]
    classes = int(labels.max()) + 1

    # Sums of a random word for each class tell kinds of groups apart without a table of groups × classes.
    words = _words(rng, classes)
    kind = np.unique(np.add.reduceat(words[labels[order]], starts), return_inverse=True)[1].reshape(-1)
    shuffled = np.argsort(_words(rng, len(starts)), kind="stable")
    by_kind = shuffled[np.argsort(kind[shuffled], kind="stable")]
    alike = np.bincount(kind)
    rank = np.arange(len(by_kind)) - np.repeat(np.cumsum(alike) - alike, alike)
    quota = np.floor(fraction * alike).astype(np.int64)[kind[by_kind]]
    kept = np.zeros(len(starts), dtype=bool)
    kept[by_kind[rank < quota]] = True

    totals = np.bincount(labels, minlength=classes)
    short = fraction * totals - np.bincount(labels[kept[group]], minlength=classes)
    left = totals - np.bincount(labels[kept[group]], minlength=classes)
    weight = 1.0 / np.maximum(totals, 1)
    candidates = by_kind[rank == quota]
    candidates = candidates[np.argsort(-(ends - starts)[candidates], kind="stable")]
    for candidate in candidates:
        inside, own = np.unique(labels[order[starts[candidate] : ends[candidate]]], return_counts=True)
        gain = float(np.sum(weight[inside] * own * (2.0 * short[inside] - own)))
        if gain > 0.0 and np.all(left[inside] > own):
            kept[candidate] = True
            short[inside] -= own
            left[inside] -= own
    held = kept[group]
    return np.flatnonzero(~held).astype(np.int64), np.flatnonzero(held).astype(np.int64)


def _words(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    return np.atleast_1d(rng.bit_generator.random_raw(count)).astype(np.uint64)
