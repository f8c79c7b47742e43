from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cocogen.data.holdings import Holdings
from cocogen.data.scaling import Scale
from cocogen.data.sets import DataFolders, Dataset
from cocogen.data.sources.split import SplitSource
from cocogen.errors import DatasetError, LearningError
from cocogen.streams import Streams
from cocogen.terms.sections import Learning, Partition

ORGANIZATIONS = 5


def share(dataset: str = "digits", split: int = 0, folders: DataFolders | None = None, **terms: Any) -> Holdings:
    kinds = {"kind", "alpha", "sizes", "shards_each", "minimum", "noise"}
    partition = Partition(**{name: terms.pop(name) for name in kinds & terms.keys()})
    learning = Learning(dataset=dataset, partition=partition, **terms)
    return Holdings.of(SplitSource(learning, ORGANIZATIONS, Streams(3, split), folders))


def rows(*parts: np.ndarray) -> set[bytes]:
    return {row.tobytes() for part in parts for row in part}


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A set of 300 distinct images with an official test set of 60."""
    rng = np.random.default_rng(0)
    dataset = Dataset(
        name="official",
        features=rng.integers(0, 256, (300, 2 * 3 * 4), dtype=np.uint8),
        labels=np.tile(np.arange(3), 100).astype(np.int64),
        classes=("a", "b", "c"),
        shape=(2, 3, 4),
        test_from=240,
    )
    monkeypatch.setattr("cocogen.data.sources.split.load", lambda name, folders: dataset)
    return dataset


@pytest.mark.parametrize("kind", ["dirichlet", "iid", "shards", "quantity"])
def test_every_sample_has_exactly_one_holder_whatever_the_partition(kind: str, official: Dataset) -> None:
    holdings = share(kind=kind)
    parts = [own.features for own in holdings.own] + [holdings.test.features, holdings.holdout.features]
    assert sum(len(part) for part in parts) == len(official.labels)
    assert len(rows(*parts)) == len(official.labels)
    assert holdings.counts.sum() + np.bincount(holdings.holdout.labels).sum() == 240
    assert (holdings.shape, holdings.counts.shape) == ((2, 3, 4), (5, 3))
    assert [len(own.labels) for own in holdings.own] == holdings.counts.sum(axis=1).tolist()


def test_an_official_test_set_stays_the_test_set_of_every_split(official: Dataset) -> None:
    first, second = (share(split=split) for split in (0, 1))
    assert np.array_equal(first.test.labels, official.labels[240:])
    assert np.array_equal(second.test.labels, official.labels[240:])
    assert np.allclose(np.corrcoef(first.test.features[:, 5], official.features[240:, 5])[0, 1], 1.0), (
        "standardized, but in order"
    )
    assert rows(first.holdout.features) != rows(second.holdout.features)


def test_a_limit_keeps_the_share_of_the_official_test_set(official: Dataset) -> None:
    holdings = share(samples=150)
    assert len(holdings.test.labels) == 30
    assert holdings.counts.sum() + len(holdings.holdout.labels) == 120
    assert np.bincount(holdings.test.labels).tolist() == [10, 10, 10]


def test_the_same_samples_are_left_in_every_split_so_that_folds_tile_them(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.arange(600, dtype=np.float32)[:, None]
    numbered = Dataset("numbered", features, np.tile(np.arange(3), 200).astype(np.int64), ("a", "b", "c"), (1,))
    monkeypatch.setattr("cocogen.data.sources.split.load", lambda name, folders: numbered)
    monkeypatch.setattr(
        "cocogen.data.sources.split.federated_scale", lambda members, shape: Scale(np.zeros(1), np.ones(1))
    )
    splits = [share(samples=300, splits=2, split=split) for split in (0, 1)]
    used = [rows(*(own.features for own in found.own), found.test.features, found.holdout.features) for found in splits]
    assert used[0] == used[1]
    assert rows(splits[0].test.features) | rows(splits[1].test.features) == used[0]
    assert len(used[0]) == 300


def test_members_together_have_mean_0_and_deviation_1_in_every_channel(official: Dataset) -> None:
    pooled = np.concatenate([own.features for own in share().own]).reshape(-1, 2, 12)
    assert pooled.dtype == np.float32
    assert np.allclose(pooled.mean(axis=(0, 2)), 0.0, atol=1e-5)
    assert np.allclose(pooled.std(axis=(0, 2)), 1.0, atol=1e-5)


def test_shards_leave_an_organization_few_classes_and_quantity_few_samples() -> None:
    assert (share(kind="shards", shards_each=2).counts > 0).sum(axis=1).max() <= 4
    sizes = share(kind="quantity", alpha=0.2, minimum=30).counts.sum(axis=1)
    assert sizes.min() >= 30
    assert sizes.max() > 3 * sizes.min()


def test_feature_shift_adds_noise_that_grows_with_the_organization_and_spares_the_test() -> None:
    clean, noisy = share(kind="iid"), share(kind="feature-shift", noise=0.8)
    levels = []
    for before, after in zip(clean.own, noisy.own, strict=True):
        assert np.array_equal(before.labels, after.labels)
        assert after.features.dtype == np.float32
        levels.append(float((after.features - before.features).std()))
    assert np.allclose(levels, [0.0, 0.2, 0.4, 0.6, 0.8], atol=0.01)
    assert np.array_equal(clean.test.features, noisy.test.features)
    assert np.array_equal(clean.holdout.features, noisy.holdout.features)
    again = share(kind="feature-shift", noise=0.8)
    assert np.array_equal(noisy.own[2].features, again.own[2].features), "drawn once and for all"


def test_sizes_must_be_one_for_each_organization() -> None:
    with pytest.raises(LearningError, match="3 partition sizes for 5 organizations"):
        share(sizes=(10, 10, 10))


def test_a_set_of_ones_own_is_found_beside_the_terms(tmp_path: Path) -> None:
    labels = np.tile(np.arange(2), 60).astype(np.int64)
    features = np.random.default_rng(1).normal(labels[:, None], 1.0, (120, 3)).astype(np.float32)
    np.savez(tmp_path / "own.npz", features=features, labels=labels)
    assert share("own.npz", folders=DataFolders(tmp_path)).counts.sum() > 60
    with pytest.raises(DatasetError, match="no data set at"):
        share("own.npz", folders=DataFolders(tmp_path / "elsewhere"))
