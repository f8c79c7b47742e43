from __future__ import annotations

import numpy as np
import pytest

from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.learning.models.states import average
from cocogen.learning.training.local import LocalWork, Schedule

MEANS = np.array([[2.0, -1.0, 0.0, 1.0], [-1.5, 1.5, 1.0, -1.0]])
SCHEDULE = Schedule(epochs=2, batch_size=32, learning_rate=0.01, optimizer="adam")


def build() -> ConditionalVAE:
    return ConditionalVAE(shape=(4,), classes=2, latent=3, hidden=24, schedule=SCHEDULE)


def samples(counts: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1], counts)
    noise = np.random.default_rng(seed).standard_normal((len(labels), 4)) * [0.3, 0.6, 1.0, 0.2]
    return (MEANS[labels] + noise).astype(np.float32), labels.astype(np.int64)


@pytest.fixture(scope="module")
def federated():
    """Trained by two organizations, each of which lacks a class."""
    generator = build()
    state = generator.initial_state(np.random.default_rng(0))
    owned = [samples((120, 0), 1), samples((0, 120), 2)]
    for number in range(30):
        works = [LocalWork(state, x, y, np.random.default_rng([number, n])) for n, (x, y) in enumerate(owned)]
        state = average(generator.fit(works), [120, 120])
    return generator, state


@pytest.mark.parametrize("label", [0, 1])
def test_each_class_is_generated_where_it_belongs(federated, label: int) -> None:
    generator, state = federated
    drawn = generator.sample(state, np.full(400, label), np.random.default_rng(5))
    assert drawn.shape == (400, 4)
    assert drawn.dtype == np.float32
    assert np.abs(drawn.mean(axis=0) - MEANS[label]).max() < 0.45
    assert np.abs(drawn.std(axis=0) - [0.3, 0.6, 1.0, 0.2]).max() < 0.45


def test_an_organization_generates_the_class_that_it_lacks(federated) -> None:
    generator, state = federated
    only_first = samples((120, 0), 1)
    own = generator.fit([LocalWork(state, *only_first, np.random.default_rng(3))])[0]
    drawn = generator.sample(own, np.ones(300, dtype=np.int64), np.random.default_rng(5)).mean(axis=0)
    assert np.linalg.norm(drawn - MEANS[1]) < 0.35 * np.linalg.norm(drawn - MEANS[0])


def test_equal_arguments_give_equal_samples(federated) -> None:
    generator, state = federated
    labels = np.array([0, 1, 1])
    first, second, other = (generator.sample(state, labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_no_labels_give_no_samples(federated) -> None:
    generator, state = federated
    assert generator.sample(state, np.zeros(0, dtype=np.int64), np.random.default_rng(0)).shape == (0, 4)


def test_outliers_and_a_single_sample_leave_the_generator_finite() -> None:
    generator = build()
    state = generator.initial_state(np.random.default_rng(0))
    features = np.array([[1e4, -1e4, 0, 0]], dtype=np.float32)
    works = [LocalWork(state, features, np.array([1]), np.random.default_rng(n)) for n in range(4)]
    for own in generator.fit(works):
        assert own.is_finite()
        assert np.isfinite(generator.sample(own, np.array([0, 1]), np.random.default_rng(0))).all()


def pictures(counts: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright left halves (0) and bright upper halves (1), of uneven brightness, 18 × 16 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    images = np.full((len(labels), 18, 16), -0.7)
    images[labels == 0, :, :8] = 0.9
    images[labels == 1, :9, :] = 0.9
    images = images * rng.uniform(0.6, 1.4, (len(labels), 1, 1)) + 0.1 * rng.standard_normal(images.shape)
    return images.reshape(len(labels), -1).astype(np.float32), labels.astype(np.int64)


def test_a_large_image_is_generated_by_convolutions() -> None:
    schedule = Schedule(epochs=20, batch_size=8, learning_rate=0.01, optimizer="adam")
    generator = ConditionalVAE(shape=(1, 18, 16), classes=2, latent=2, hidden=32, schedule=schedule)
    state = generator.initial_state(np.random.default_rng(0))
    assert state["encoder.layers.0.weight"].ndim == 4
    x, y = pictures((60, 60), 1)
    fitted = generator.fit([LocalWork(state, x, y, np.random.default_rng(2))])[0]
    labels = np.repeat([0, 1], 40)
    drawn = generator.sample(fitted, labels, np.random.default_rng(3)).reshape(80, 18, 16)
    for label in (0, 1):
        wanted, other = (x[y == own].mean(axis=0).reshape(18, 16) for own in (label, 1 - label))
        mean = drawn[labels == label].mean(axis=0)
        assert np.abs(mean - wanted).mean() < 0.2
        assert np.abs(mean - wanted).mean() < 0.3 * np.abs(mean - other).mean()


def test_a_small_image_is_generated_by_dense_layers() -> None:
    generator = ConditionalVAE(shape=(1, 8, 8), classes=2, latent=3, hidden=24, schedule=SCHEDULE)
    layout = dict(generator.initial_state(np.random.default_rng(0)).layout)
    assert layout["encoder.0.weight"] == (24, 66)
    assert layout["decoder.2.weight"] == (64, 24)


def test_organizations_together_train_images_as_each_does_alone() -> None:
    generator = ConditionalVAE(shape=(1, 18, 16), classes=2, latent=4, hidden=16, schedule=SCHEDULE)
    state = generator.initial_state(np.random.default_rng(0))
    owned = [pictures((6, 4), 1), pictures((3, 9), 2), pictures((8, 0), 3)]
    together = generator.fit([LocalWork(state, *own, np.random.default_rng(n)) for n, own in enumerate(owned)])
    for n, own in enumerate(owned):
        alone = generator.fit([LocalWork(state, *own, np.random.default_rng(n))])[0]
        assert alone.distance(together[n]) < 1e-3 * state.distance(alone)


def test_movement_is_the_distance_of_the_parameters(federated) -> None:
    generator, state = federated
    other = generator.initial_state(np.random.default_rng(0))
    assert generator.movement(other, state) == pytest.approx(state.distance(other))
    assert generator.movement(other, state) > 1
