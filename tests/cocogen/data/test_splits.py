from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.splits import limit_samples, stratified_split
from cocogen.errors import DatasetError

LABELS = np.repeat(np.arange(3), (50, 120, 30)).astype(np.int64)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cut(fold: int, folds: int = 5, labels: np.ndarray = LABELS, fraction: float = 0.2):
    return stratified_split(
        labels, folds=folds, fold=fold, holdout_fraction=fraction, fold_rng=rng(1), holdout_rng=rng(2)
    )


def test_test_folds_tile_the_data() -> None:
    tests = np.concatenate([cut(fold).test for fold in range(5)])
    assert np.array_equal(np.sort(tests), np.arange(len(LABELS)))


def test_split_parts_are_disjoint_complete_and_stratified() -> None:
    split = cut(0)
    assert np.array_equal(np.sort(np.concatenate([split.test, split.holdout, split.pool])), np.arange(len(LABELS)))
    for part in (split.test, split.holdout, split.pool):
        shares = np.bincount(LABELS[part], minlength=3) / len(part)
        assert np.allclose(shares, [0.25, 0.6, 0.15], atol=0.03)


def test_split_refuses_what_it_cannot_stratify() -> None:
    with pytest.raises(DatasetError, match="split 5"):
        cut(5)
    with pytest.raises(DatasetError, match="rarest class has 2"):
        cut(0, labels=np.repeat([0, 1], (50, 2)).astype(np.int64))
    with pytest.raises(DatasetError, match="holdout"):
        cut(0, labels=np.repeat([0, 1], (10, 10)).astype(np.int64), fraction=0.05)


def test_an_official_test_set_is_the_test_fold_of_every_fold() -> None:
    order = rng(3).permutation(len(LABELS))
    splits = [
        stratified_split(
            LABELS[order],
            folds=5,
            fold=fold,
            holdout_fraction=0.2,
            fold_rng=rng(1),
            holdout_rng=rng(10 + fold),
            test_from=160,
        )
        for fold in range(5)
    ]
    for split in splits:
        assert np.array_equal(split.test, np.arange(160, 200))
        assert np.array_equal(np.sort(np.concatenate([split.holdout, split.pool])), np.arange(160))
        whole = np.bincount(LABELS[order][:160], minlength=3) / 160
        assert np.allclose(np.bincount(LABELS[order][split.holdout], minlength=3) / 32, whole, atol=0.03)
    assert not np.array_equal(splits[0].holdout, splits[1].holdout), "the holdout is drawn anew"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    share=st.floats(0.01, 1.5),
    test_share=st.none() | st.floats(0.0, 1.0),
)
def test_property_a_limit_is_met_exactly_and_keeps_the_mix_and_the_share_of_the_official_test_set(
    seed: int, counts: list[int], share: float, test_share: float | None
) -> None:
    labels = rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    samples = max(1, int(share * len(labels)))
    test_from = None if test_share is None else int(test_share * len(labels))
    used = limit_samples(labels, samples, rng(seed), test_from=test_from)
    assert len(used) == min(samples, len(labels))
    assert np.array_equal(used, np.unique(used))
    official = np.arange(len(labels)) >= (len(labels) if test_from is None else test_from)
    for part in (official, ~official):
        for label in range(len(counts)):
            whole = np.sum(part & (labels == label))
            kept = np.sum(part[used] & (labels[used] == label))
            assert abs(kept - whole * len(used) / len(labels)) < 1 + 1e-9


def test_a_limit_draws_from_its_generator() -> None:
    first, again, other = (limit_samples(LABELS, 50, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("rarest", "hint"), [(3, "learning.splits = 3"), (1, "merge it with another")])
def test_what_would_do_for_a_class_that_is_too_rare_is_said(rarest: int, hint: str) -> None:
    labels = np.repeat([0, 1], [40, rarest])
    with pytest.raises(DatasetError, match=f"rarest class has {rarest} samples") as caught:
        stratified_split(labels, folds=5, fold=0, holdout_fraction=0.2, fold_rng=rng(0), holdout_rng=rng(1))
    assert hint in caught.value.hint
    assert ("splits" in caught.value.hint) == (rarest > 1)
