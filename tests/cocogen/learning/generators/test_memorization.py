from __future__ import annotations

import numpy as np
import pytest

from cocogen.data.samples import Samples
from cocogen.errors import LearningError
from cocogen.learning.generators.memorization import memorization
from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.training.local import LocalWork

WIDTH = 12


def real(count: int, seed: int, *, shift: float = 0.0) -> Samples:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    features = rng.standard_normal((count, WIDTH)) + 2.0 * labels[:, None] + shift
    return Samples(features.astype(np.float32), labels)


TRAIN, REFERENCE = real(150, 1), real(220, 2)


def copied(count: int, noise: float, seed: int = 3) -> Samples:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(TRAIN.labels), count)
    features = TRAIN.features[rows] + noise * rng.standard_normal((count, WIDTH))
    return Samples(features.astype(np.float32), TRAIN.labels[rows])


def together(*parts: Samples) -> Samples:
    return Samples(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


def test_a_generator_that_returns_training_samples_is_flagged() -> None:
    found = memorization(copied(60, 0.0), TRAIN, REFERENCE)
    assert found.flagged
    assert (found.copies, found.closer, found.excess) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_a_generator_that_hides_its_copies_under_noise_is_flagged(noise: float) -> None:
    found = memorization(copied(60, noise), TRAIN, REFERENCE)
    assert found.flagged
    assert found.copies == 0.0
    assert found.excess > 0.9


def test_a_single_exact_copy_is_flagged() -> None:
    found = memorization(together(real(99, 4), copied(1, 0.0)), TRAIN, REFERENCE)
    assert found.flagged
    assert found.copies == pytest.approx(0.01)


def test_excess_is_about_the_share_of_copies() -> None:
    found = memorization(together(real(200, 5), copied(200, 0.1)), TRAIN, REFERENCE)
    assert found.excess == pytest.approx(0.5, abs=3 * found.standard_error)
    assert found.flagged


@pytest.mark.parametrize("seed", range(5))
def test_fresh_real_samples_are_not_flagged(seed: int) -> None:
    found = memorization(real(200, 10 + seed), TRAIN, REFERENCE)
    assert not found.flagged
    assert abs(found.excess) < 3.5 * found.standard_error


def test_an_honest_generator_is_not_flagged() -> None:
    generator = GaussianMixture(shape=(WIDTH,), classes=2)
    work = LocalWork(
        generator.initial_state(np.random.default_rng(0)), TRAIN.features, TRAIN.labels, np.random.default_rng(0)
    )
    labels = np.repeat([0, 1], 100)
    drawn = generator.sample(generator.fit([work])[0], labels, np.random.default_rng(1))
    assert not memorization(Samples(drawn, labels), TRAIN, REFERENCE).flagged


def test_a_generator_with_too_little_spread_is_close_to_everything_but_not_flagged() -> None:
    drawn = real(200, 6)
    narrow = Samples((0.3 * (drawn.features - 2.0 * drawn.labels[:, None]) + 2.0 * drawn.labels[:, None]).astype(
        np.float32), drawn.labels)  # fmt: skip
    found = memorization(narrow, TRAIN, REFERENCE)
    assert found.closer > 0.9
    assert not found.flagged


def test_samples_of_shifted_data_that_keep_their_distance_are_not_flagged() -> None:
    train = real(150, 1, shift=4.0)
    wide = real(200, 7, shift=4.0)
    away = Samples(wide.features + np.float32(1.0) * np.sign(wide.features - 4.0), wide.labels)
    found = memorization(away, train, REFERENCE)
    assert found.excess > 0.9
    assert not found.flagged


def test_label_mixes_do_not_matter() -> None:
    mostly = real(300, 8)
    keep = (mostly.labels == 0) | (np.arange(300) % 10 == 0)
    skewed = Samples(mostly.features[keep], mostly.labels[keep])
    assert not memorization(real(200, 9), skewed, REFERENCE).flagged
    assert abs(memorization(real(400, 9), skewed, REFERENCE).excess) < 0.2


def test_data_that_repeat_themselves_excuse_as_many_copies() -> None:
    train = together(REFERENCE, TRAIN)
    assert not memorization(REFERENCE, train, REFERENCE).flagged


def test_classes_without_training_samples_cannot_be_copied() -> None:
    first = TRAIN.labels == 0
    only = Samples(TRAIN.features[first], TRAIN.labels[first])
    drawn = real(100, 11)
    assert memorization(drawn, only, REFERENCE).samples == int((drawn.labels == 0).sum())
    nothing = memorization(Samples(drawn.features, np.full(100, 5)), TRAIN, REFERENCE)
    assert (nothing.samples, nothing.flagged, nothing.excess) == (0, False, 0.0)


def test_without_reference_only_copies_are_flagged() -> None:
    nobody = Samples(np.zeros((0, WIDTH), dtype=np.float32), np.zeros(0, dtype=np.int64))
    assert memorization(copied(20, 0.0), TRAIN, nobody).flagged
    noisy = memorization(copied(20, 0.1), TRAIN, nobody)
    assert (noisy.closer, noisy.excess, noisy.flagged) == (1.0, 0.0, False)


def test_the_only_training_sample_of_a_class_is_protected() -> None:
    lonely = Samples(TRAIN.features[:1], TRAIN.labels[:1])
    noise = np.random.default_rng(0).standard_normal((30, WIDTH)).astype(np.float32) * np.float32(0.1)
    assert memorization(Samples(lonely.features + noise, np.repeat(lonely.labels, 30)), lonely, REFERENCE).flagged


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    drawn = real(10, 12)
    drawn.features[3, 4] = value
    with pytest.raises(LearningError, match="12 finite features"):
        memorization(drawn, TRAIN, REFERENCE)


@pytest.mark.parametrize(("rows", "width"), [(10, 11), (9, 12)])
def test_samples_of_other_data_are_refused(rows: int, width: int) -> None:
    drawn = real(10, 12)
    wrong = Samples(drawn.features[:rows, :width], drawn.labels)
    with pytest.raises(LearningError, match=rf"shape \({rows}, {width}\) for 10 labels"):
        memorization(wrong, TRAIN, REFERENCE)
