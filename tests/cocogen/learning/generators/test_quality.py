from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from cocogen.data.sets import load
from cocogen.errors import LearningError
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
    with pytest.raises(LearningError, match="1 samples of class 1"):
        QualityMeter(rng.standard_normal((20, 3)).astype(np.float32), np.repeat([0, 1], (19, 1)), 2)


def noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(1).standard_normal((count, 3)).astype(np.float32), np.tile([0, 1], count // 2)


def test_a_holdout_that_shows_that_there_is_nothing_to_learn_is_refused() -> None:
    with pytest.raises(LearningError, match="no better than chance") as caught:
        QualityMeter(*noise(20_000), 2)
    assert "generation.maximum = 0" in caught.value.hint


def test_a_small_holdout_that_shows_nothing_is_doubted_rather_than_refused() -> None:
    meter = QualityMeter(*noise(40), 2)
    assert "holdout of 40 samples tells little" in str(meter.doubt)
    assert meter.enough == math.inf


def test_a_clear_signal_is_not_doubted(meter: QualityMeter) -> None:
    assert meter.doubt is None
    assert meter.enough < 1.0


def test_samples_that_are_all_alike_are_refused() -> None:
    for width in (3, 400):
        with pytest.raises(LearningError, match="all alike"):
            QualityMeter(np.ones((40, width), dtype=np.float32), np.tile([0, 1], 20), 2)


def ranked(count: int, positives: int, seed: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, ``positives`` of the second, whose means lie ``distance`` apart in the first of four columns."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(count, dtype=np.int64)
    labels[:positives] = 1
    features = rng.standard_normal((count, 4))
    features[:, 0] += distance * labels
    return features.astype(np.float32), labels


@pytest.mark.parametrize(
    ("count", "positives", "distance"),
    [(120, 36, 1.1), (250, 60, 0.65), (500, 4, 1.2), (3000, 1500, 0.3)],
    ids=["as German credit", "as ACTG175", "as abalone19", "weak but many"],
)
def test_weak_and_rare_signals_are_measured(count: int, positives: int, distance: float) -> None:
    panel_ = np.concatenate([ranked(200, c * 200, 100 + c, distance)[0] for c in (0, 1)]), panel_labels(2, 200)
    junk = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32), panel_[1]
    values = []
    for seed in range(3):
        meter = QualityMeter(*ranked(count, positives, seed, distance), 2, 200)
        values.append([meter.measure(*samples) for samples in (panel_, junk)])
    real, nothing = np.mean(values, axis=0)
    assert real > 0.6
    assert nothing < 0.5 * real


@pytest.mark.parametrize(("count", "positives"), [(60, 20), (400, 6), (400, 394)])
def test_the_error_of_a_rank_covers_what_other_holdouts_measure(count: int, positives: int) -> None:
    scores = [ranked(count, positives, seed, 1.2) for seed in range(300)]
    areas = [roc_auc_score(labels, features[:, 0]) for features, labels in scores]
    meter = QualityMeter(*scores[0], 2)
    assert 0.9 * np.std(areas) < meter._standard_error(float(np.mean(areas))) < 1.4 * np.std(areas)


def test_blocks_hold_as_many_of_each_class_as_real_training_sets() -> None:
    meter = QualityMeter(*ranked(500, 5, 0, 1.5), 2)
    blocks = meter._blocks(panel_labels(2, 100))
    labels = panel_labels(2, 100)
    assert {tuple(np.bincount(labels[rows])) for rows in blocks} == {(100, 4)}
    assert len(np.unique(np.concatenate(blocks))) > 100 + 70


def test_equal_samples_tie_wherever_they_stand(meter: QualityMeter, table) -> None:
    features, labels = panel(table, 0.0)
    scores = meter._predict(features, labels, np.tile(table[0][:7], (33, 1)))
    assert len(np.unique(scores)) == 7


def test_samples_that_are_no_numbers_or_all_alike_are_worth_the_floor_without_a_word(
    meter: QualityMeter, table, recwarn: pytest.WarningsRecorder
) -> None:
    features, labels = panel(table, 0.0)
    for value in (np.nan, np.inf, 1e30, 0.0):
        assert meter.measure(np.full_like(features, value), labels) == QUALITY_FLOOR
    assert 0.0 < meter.measure(features * 1e4, labels) <= 1.0
    assert not recwarn.list


def test_the_number_of_threads_changes_nothing(table) -> None:
    values = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            own = QualityMeter(table[0][:70], table[1][:70], 2)
            values.append((own.reference, own.measure(*panel(table, 0.4))))
    assert values[0] == values[1]


def test_panel_labels_are_balanced_and_sorted() -> None:
    assert panel_labels(3, 2).tolist() == [0, 0, 1, 1, 2, 2]


def picture_samples(count: int, seed: int, *, noise: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Five classes of 400 features that differ in a pattern of low frequency."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 5
    waves = np.sin(np.outer(np.arange(1, 6), np.linspace(0, np.pi, 400)))
    return (waves[labels] + noise * rng.standard_normal((count, 400))).astype(np.float32), labels


@pytest.fixture(scope="module")
def wide() -> QualityMeter:
    return QualityMeter(*picture_samples(250, 0), 5)


def test_wide_samples_are_measured_on_principal_components(wide: QualityMeter) -> None:
    assert 0.6 < wide.reference < 1.0
    assert wide.measure(*picture_samples(500, 1)) > 0.8
    features, labels = picture_samples(500, 1)
    assert wide.measure(features, (labels + 1) % 5) == QUALITY_FLOOR
    noise = np.random.default_rng(2).standard_normal((500, 400)).astype(np.float32)
    assert wide.measure(noise, labels) < 0.3


def test_a_wide_measure_is_the_same_again(wide: QualityMeter) -> None:
    value = wide.measure(*picture_samples(300, 3, noise=9.0))
    again = QualityMeter(*picture_samples(250, 0), 5).measure(*picture_samples(300, 3, noise=9.0))
    assert value == again == round(value, 6)


def test_standard_error_covers_what_other_holdouts_measure() -> None:
    panel_ = picture_samples(500, 1, noise=5.0)
    meters = [QualityMeter(*picture_samples(250, seed), 5) for seed in range(20, 32)]
    values = [meter.measure(*panel_) for meter in meters]
    error = float(np.mean([meter.standard_error(value) for meter, value in zip(meters, values, strict=True)]))
    assert 0.4 * error < np.std(values, ddof=1) < 1.3 * error


def test_standard_error_shrinks_with_the_holdout() -> None:
    small, large = (QualityMeter(*picture_samples(count, 0), 5) for count in (100, 400))
    assert large.standard_error(0.8) < 0.7 * small.standard_error(0.8)


def test_classes_that_a_generator_has_not_seen_are_left_out_of_its_worth(wide: QualityMeter) -> None:
    features, labels = picture_samples(500, 1)
    known = np.array([0, 3])
    spoiled = features.copy()
    spoiled[~np.isin(labels, known)] = 7.0
    assert wide.measure(spoiled, labels, known) > 0.75
    assert wide.measure(spoiled, labels, known) == wide.measure(features, labels, known)
    assert wide.measure(spoiled, labels) < 0.6


def test_known_classes_that_are_noise_are_worth_little(wide: QualityMeter) -> None:
    features, labels = picture_samples(500, 1)
    known = np.array([0, 3])
    features[np.isin(labels, known)] = np.random.default_rng(0).standard_normal((200, 400))
    assert wide.measure(features, labels, known) < 0.4
    swapped = np.where(labels == 0, 3, np.where(labels == 3, 0, labels))
    assert wide.measure(picture_samples(500, 1)[0], swapped, known) == QUALITY_FLOOR


def test_all_classes_known_is_the_usual_measure(meter: QualityMeter, table) -> None:
    features, labels = panel(table, 0.5)
    assert meter.measure(features, labels, np.arange(2)) == meter.measure(features, labels)


@pytest.mark.parametrize("known", [0, 1])
def test_a_single_known_class_is_measured_beside_the_holdouts_other(meter: QualityMeter, table, known: int) -> None:
    features, labels = panel(table, 0.0)
    assert meter.measure(features, labels, np.array([known])) > 0.85
    other = features.copy()
    other[labels == known] = features[labels != known]
    assert meter.measure(other, labels, np.array([known])) < 0.6
