from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.heterogeneity import heterogeneity, label_counts
from cocogen.data.partition import (
    dirichlet_partition,
    equal_sizes,
    iid_partition,
    quantity_sizes,
    shard_partition,
    whole_shares,
)
from cocogen.errors import DatasetError

LABELS = np.repeat(np.arange(3), (50, 120, 30)).astype(np.int64)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


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


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    organizations=st.integers(1, 20),
    shards_each=st.integers(1, 5),
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=6),
)
def test_property_shards_own_every_sample_once_and_hold_few_classes(
    seed: int, organizations: int, shards_each: int, counts: list[int]
) -> None:
    labels = rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    shards = organizations * shards_each
    if len(labels) < shards:
        with pytest.raises(DatasetError, match="shards"):
            shard_partition(labels, organizations, shards_each, rng(seed))
        return
    owned = shard_partition(labels, organizations, shards_each, rng(seed))
    assert len(owned) == organizations
    assert np.array_equal(np.sort(np.concatenate(owned)), np.arange(len(labels)))
    least, most = len(labels) // shards, -(-len(labels) // shards)
    assert all(shards_each * least <= len(own) <= shards_each * most for own in owned)
    if sum(count > 0 for count in counts) > 1 and min(count for count in counts if count) >= most:
        assert all(len(np.unique(labels[own])) <= 2 * shards_each for own in owned)


def test_shards_are_dealt_at_random_and_cut_at_random_within_a_class() -> None:
    first, again, other = (shard_partition(LABELS, 4, 2, rng(seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    runs = [np.diff(own).max() for own in shard_partition(np.zeros(200, dtype=np.int64), 2, 1, rng())]
    assert min(runs) > 1, "one class: a shard is a random half, not the first or last"


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    organizations=st.integers(1, 30),
    alpha=st.sampled_from([0.01, 0.3, 1.0, 50.0]),
    minimum=st.integers(1, 20),
    spare=st.integers(0, 500),
)
def test_property_quantity_sizes_use_everything_and_keep_the_minimum(
    seed: int, organizations: int, alpha: float, minimum: int, spare: int
) -> None:
    available = organizations * minimum + spare
    sizes = quantity_sizes(available, organizations, alpha, minimum, rng(seed))
    assert len(sizes) == organizations
    assert sum(sizes) == available
    assert min(sizes) >= minimum
    with pytest.raises(DatasetError, match=f"{organizations} organizations with at least {minimum}"):
        quantity_sizes(organizations * minimum - 1, organizations, alpha, minimum, rng(seed))


def test_smaller_alpha_makes_sizes_more_unequal() -> None:
    spread = [
        np.mean([np.std(quantity_sizes(2000, 10, alpha, 5, rng(seed))) for seed in range(20)])
        for alpha in (0.1, 1.0, 10.0)
    ]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] > 5 * spread[-1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), parts=st.lists(st.integers(1, 30), min_size=1, max_size=7))
def test_property_label_mass_of_the_partition_and_the_rest_is_that_of_the_whole(seed: int, parts: list[int]) -> None:
    sizes = [size for n, size in enumerate(parts) if sum(parts[: n + 1]) <= len(LABELS)]
    for owned in (dirichlet_partition(LABELS, sizes, 0.2, rng(seed)), iid_partition(LABELS, sizes, rng(seed))):
        counts = label_counts([LABELS[own] for own in owned], 3)
        rest = np.bincount(LABELS, minlength=3) - counts.sum(axis=0)
        assert counts.sum(axis=1).tolist() == sizes
        assert rest.min() >= 0
        assert rest.sum() == len(LABELS) - sum(sizes)


def test_whole_shares_round_the_largest_remainders_up() -> None:
    assert whole_shares(np.array([1.0, 1.0, 2.0]), 6).tolist() == [2, 1, 3]
    assert whole_shares(np.array([0.0, 3.0]), 5).tolist() == [0, 5]
    assert whole_shares(np.array([5, 5, 5]), 15).tolist() == [5, 5, 5]
