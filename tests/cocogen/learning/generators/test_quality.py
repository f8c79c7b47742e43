from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import LearningError
from cocogen.learning.datasets import load
from cocogen.learning.generators.quality import QUALITY_FLOOR, QualityMeter, panel_labels


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    data = load("diagnostic")
    features = (data.features - data.features.mean(axis=0)) / data.features.std(axis=0)
    order = np.random.default_rng(0).permutation(len(features))
    return features[order].astype(np.float32), data.labels[order]


@pytest.fixture(scope="module")
def meter(table) -> QualityMeter:
    return QualityMeter(table[0][:70], table[1][:70], 2)


def panel(table, share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A balanced panel of real cases, of which ``share`` are replaced by noise."""
    labels = panel_labels(2, 80)
    rng = np.random.default_rng(seed)
    features, owners = table[0][70:], table[1][70:]
    rows = np.concatenate([rng.choice(np.flatnonzero(owners == c), 80, replace=False) for c in range(2)])
    drawn = features[rows].copy()
    noisy = rng.random(160) < share
    drawn[noisy] = rng.standard_normal((int(noisy.sum()), 30))
    return drawn, labels


def test_real_samples_are_worth_about_one(meter: QualityMeter, table) -> None:
    assert 0.85 <= meter.measure(*panel(table, 0.0)) <= 1.0


def test_noise_is_worth_far_less_than_real_samples(meter: QualityMeter, table) -> None:
    noise = np.mean([meter.measure(*panel(table, 1.0, seed)) for seed in range(6)])
    assert noise < 0.35
    assert noise < meter.measure(*panel(table, 0.0)) - 0.5


def test_swapped_labels_are_worth_the_floor(meter: QualityMeter, table) -> None:
    features, labels = panel(table, 0.0)
    assert meter.measure(features, 1 - labels) == QUALITY_FLOOR


def test_measure_is_deterministic_and_rounded(meter: QualityMeter, table) -> None:
    value = meter.measure(*panel(table, 0.6))
    assert value == meter.measure(*panel(table, 0.6)) == round(value, 6)
    assert QUALITY_FLOOR <= value <= 1.0


def test_reference_is_the_accuracy_of_real_data(meter: QualityMeter) -> None:
    assert 0.85 < meter.reference <= 1.0


def test_a_holdout_without_a_class_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(LearningError, match="1 samples of a class"):
        QualityMeter(rng.standard_normal((20, 3)).astype(np.float32), np.repeat([0, 1], (19, 1)), 2)


def test_a_holdout_that_tells_nothing_apart_is_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(LearningError, match="above chance"):
        QualityMeter(rng.standard_normal((40, 3)).astype(np.float32), np.tile([0, 1], 20), 2)


def test_panel_labels_are_balanced_and_sorted() -> None:
    assert panel_labels(3, 2).tolist() == [0, 0, 1, 1, 2, 2]
