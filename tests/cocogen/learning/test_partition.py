from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import DatasetError
from cocogen.learning.partition import (
    dirichlet_partition,
    equal_sizes,
    federated_scale,
    heterogeneity,
    iid_partition,
    label_counts,
    label_mix,
    stratified_split,
)

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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    alpha=st.sampled_from([0.01, 0.1, 0.4, 1.0, 100.0]),
    parts=st.lists(st.integers(1, 30), min_size=1, max_size=9),
    complete=st.booleans(),
)
def test_property_dirichlet_partition_is_disjoint_and_keeps_every_size(
    seed: int, alpha: float, parts: list[int], complete: bool
) -> None:
    sizes = [size for n, size in enumerate(parts) if sum(parts[: n + 1]) < len(LABELS)] or [1]
    if complete:
        sizes.append(len(LABELS) - sum(sizes))
    owned = dirichlet_partition(LABELS, sizes, alpha, rng(seed))
    everything = np.concatenate(owned)
    assert [len(own) for own in owned] == sizes
    assert len(np.unique(everything)) == len(everything)
    assert everything.min() >= 0
    assert everything.max() < len(LABELS)
    if complete:
        assert len(everything) == len(LABELS)


def test_partition_follows_its_generator() -> None:
    first, again, other = (dirichlet_partition(LABELS, (80, 60), 0.4, rng(seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_smaller_alpha_is_more_heterogeneous() -> None:
    def mean(alpha: float) -> float:
        parts = [dirichlet_partition(LABELS, (60, 50, 40, 30), alpha, rng(seed)) for seed in range(20)]
        return float(np.mean([heterogeneity(label_counts([LABELS[p] for p in owned], 3)) for owned in parts]))

    values = [mean(alpha) for alpha in (0.05, 0.5, 5.0, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.35
    assert values[-1] < 0.05


def test_large_alpha_gives_everyone_the_mix_of_the_whole() -> None:
    owned = dirichlet_partition(LABELS, (100, 40, 20), 1e6, rng())
    for own in owned:
        assert np.allclose(np.bincount(LABELS[own], minlength=3) / len(own), [0.25, 0.6, 0.15], atol=0.06)


def test_iid_partition_keeps_sizes_and_is_disjoint() -> None:
    owned = iid_partition(LABELS, (10, 150, 40), rng())
    assert [len(own) for own in owned] == [10, 150, 40]
    assert np.array_equal(np.sort(np.concatenate(owned)), np.arange(len(LABELS)))


@pytest.mark.parametrize("sizes", [(150, 51), (10, 0), ()])
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DatasetError, match="partition sizes"):
        dirichlet_partition(LABELS, sizes, 0.4, rng())
    with pytest.raises(DatasetError, match="partition sizes"):
        iid_partition(LABELS, sizes, rng())


def test_equal_sizes_differ_by_at_most_one_and_use_everything() -> None:
    assert equal_sizes(11, 4) == (3, 3, 3, 2)


def test_heterogeneity_is_total_variation_from_the_consortium() -> None:
    counts = np.array([[10, 0], [0, 30]])
    assert np.allclose(heterogeneity(counts), [0.75, 0.25])
    assert np.allclose(heterogeneity(np.array([[5, 5], [20, 20]])), 0.0)


def test_label_mix_of_an_empty_organization_is_uniform() -> None:
    assert np.allclose(label_mix(np.array([[3, 1], [0, 0]])), [[0.75, 0.25], [0.5, 0.5]])


def test_federated_scale_equals_the_pooled_statistics() -> None:
    members = [rng(n).normal(3.0 * n, 2.0, (20 + n, 4)).astype(np.float32) for n in range(3)]
    scale = federated_scale(members)
    pooled = np.concatenate(members).astype(np.float64)
    assert np.allclose(scale.mean, pooled.mean(axis=0))
    assert np.allclose(scale.deviation, pooled.std(axis=0))
    scaled = scale.apply(np.concatenate(members))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled.std(axis=0), 1.0, atol=1e-5)


def test_a_constant_feature_is_centred_and_not_blown_up() -> None:
    members = [np.full((5, 1), 1234.567, dtype=np.float32)] * 2
    assert np.allclose(federated_scale(members).apply(members[0]), 0.0, atol=1e-3)
