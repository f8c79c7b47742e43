from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.models.states import ModelState, average
from cocogen.learning.training.local import LocalWork

MEANS = np.array([[2.0, -1.0, 0.0, 1.0], [-1.5, 1.5, 1.0, -1.0], [0.0, 0.0, -2.0, 0.5]])


def build(**changes) -> GaussianMixture:
    return GaussianMixture(**{"shape": (4,), "classes": 3, **changes})


def start(generator: GaussianMixture, seed: int = 0) -> ModelState:
    return generator.initial_state(np.random.default_rng(seed))


def samples(counts: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(3), counts)
    mixing = np.array([[0.5, 0.3, 0, 0], [0, 0.6, 0, 0], [0, 0, 1.0, 0.4], [0, 0, 0, 0.2]])
    noise = np.random.default_rng(seed).standard_normal((len(labels), 4)) @ mixing
    return (MEANS[labels] + noise).astype(np.float32), labels.astype(np.int64)


def fit(generator: GaussianMixture, state: ModelState, data: tuple[np.ndarray, np.ndarray]) -> ModelState:
    return generator.fit([LocalWork(state, *data, np.random.default_rng(9))])[0]


def union(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def assert_close(one: ModelState, other: ModelState) -> None:
    assert one.layout == other.layout
    for name in one:
        assert np.allclose(one[name], other[name], rtol=1e-4, atol=1e-4), name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.tuples(*[st.integers(0, 12)] * 3).filter(any), min_size=2, max_size=5),
    components=st.integers(1, 3),
    shape=st.sampled_from([(4,), (1, 2, 2)]),
    rounds=st.integers(1, 3),
)
def test_property_averaging_the_organizations_is_fitting_their_union(counts, components, shape, rounds) -> None:
    generator = build(components=components, shape=shape)
    owned = [samples(own, seed) for seed, own in enumerate(counts)]
    federated = central = start(generator)
    for _ in range(rounds):
        fitted = generator.fit([LocalWork(federated, *own, np.random.default_rng(0)) for own in owned])
        federated, central = average(fitted, [len(y) for _, y in owned]), fit(generator, central, union(owned))
        assert_close(federated, central)


def test_one_component_is_fitted_at_once() -> None:
    generator = build()
    data = samples((40, 30, 20), 1)
    once = fit(generator, start(generator), data)
    assert_close(fit(generator, once, data), once)
    assert once["weight"][:, 0] == pytest.approx([4 / 9, 3 / 9, 2 / 9])
    assert np.allclose(once["first"][1, 0] / once["weight"][1, 0], data[0][40:70].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_each_class_is_generated_with_its_mean_and_covariance(label: int) -> None:
    generator = build()
    data = samples((400, 400, 400), 1)
    drawn = generator.sample(fit(generator, start(generator), data), np.full(4_000, label), np.random.default_rng(5))
    real = data[0][data[1] == label]
    assert drawn.shape == (4_000, 4)
    assert drawn.dtype == np.float32
    assert np.allclose(drawn.mean(axis=0), real.mean(axis=0), atol=0.06)
    assert np.allclose(np.cov(drawn.T), np.cov(real.T), atol=0.1)


def test_an_organization_generates_the_class_that_it_lacks() -> None:
    generator = build()
    shared = fit(generator, start(generator), samples((100, 100, 100), 1))
    own = fit(generator, shared, samples((60, 0, 0), 2))
    drawn = generator.sample(own, np.full(500, 1), np.random.default_rng(0))
    assert np.abs(drawn.mean(axis=0) - MEANS[1]).max() < 0.2
    alone = fit(generator, start(generator), samples((60, 0, 0), 2))
    drawn = generator.sample(alone, np.full(500, 1), np.random.default_rng(0))
    assert np.abs(drawn.mean(axis=0) - MEANS[0]).max() < 0.3


def test_components_find_the_groups_of_a_class() -> None:
    rng = np.random.default_rng(3)
    groups = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    features = (groups[np.arange(600) % 3] + 0.2 * rng.standard_normal((600, 2))).astype(np.float32)
    generator = GaussianMixture(shape=(2,), classes=1, components=3)
    state = start(generator)
    for _ in range(60):
        state = fit(generator, state, (features, np.zeros(600, dtype=np.int64)))
    drawn = generator.sample(state, np.zeros(600, dtype=np.int64), np.random.default_rng(1))
    nearest = np.linalg.norm(drawn[:, None] - groups, axis=2)
    assert (nearest.min(axis=1) < 1.0).mean() > 0.98
    assert np.bincount(nearest.argmin(axis=1), minlength=3).min() > 150
    single = GaussianMixture(shape=(2,), classes=1)
    blurred = single.sample(fit(single, start(single), (features, np.zeros(600, dtype=np.int64))),
                            np.zeros(600, dtype=np.int64), np.random.default_rng(1))  # fmt: skip
    assert (np.linalg.norm(blurred[:, None] - groups, axis=2).min(axis=1) < 1.0).mean() < 0.7


def test_no_epochs_and_no_samples_leave_the_base() -> None:
    base = fit(build(), start(build()), samples((9, 9, 9), 1))
    assert fit(build(epochs=0), base, samples((9, 0, 0), 2)).digest() == base.digest()
    assert fit(build(), base, samples((0, 0, 0), 2)).digest() == base.digest()


def test_more_epochs_follow_the_own_samples_further() -> None:
    base = fit(build(), start(build()), samples((50, 50, 50), 1))
    own = samples((50, 0, 0), 2)
    shares = [fit(build(epochs=epochs), base, own)["weight"][0, 0] for epochs in (1, 2, 3)]
    assert shares == pytest.approx([1 - 2 / 3 / 2**epochs for epochs in (1, 2, 3)])


def test_equal_arguments_give_equal_samples() -> None:
    generator = build(components=2)
    state = fit(generator, start(generator), samples((20, 20, 20), 1))
    labels = np.array([0, 1, 2, 1])
    first, second, other = (generator.sample(state, labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_untrained_and_empty_requests_are_answered() -> None:
    generator = build()
    assert generator.sample(start(generator), np.zeros(0, dtype=np.int64), np.random.default_rng(0)).shape == (0, 4)
    drawn = generator.sample(start(generator), np.ones(2_000, dtype=np.int64), np.random.default_rng(0))
    assert np.abs(drawn.std(axis=0) - 1).max() < 0.1


def test_images_keep_their_smoothness() -> None:
    rng = np.random.default_rng(0)
    waves = np.sin(np.linspace(0, 3, 28) * rng.uniform(0.5, 1.5, (300, 1)))
    images = (waves[:, :, None] * waves[:, None, :]).reshape(300, -1).astype(np.float32)
    generator = GaussianMixture(shape=(1, 28, 28), classes=1)
    state = fit(generator, start(generator), (images, np.zeros(300, dtype=np.int64)))
    drawn = generator.sample(state, np.zeros(50, dtype=np.int64), rng).reshape(50, 28, 28)
    assert np.abs(np.diff(drawn, axis=1)).mean() < 0.3 * np.abs(drawn).mean()


def movement(own: tuple[np.ndarray, np.ndarray], *, scale: float = 1.0, epochs: int = 1) -> float:
    generator = build(epochs=epochs)
    base = fit(generator, start(generator), samples((60, 60, 60), 1))
    state = fit(generator, base, own)
    liar = ModelState({name: base[name] + np.float32(scale) * (state[name] - base[name]) for name in base})
    return generator.movement(base, liar)


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("counts", [(40, 40, 40), (80, 0, 0), (0, 1, 0), (3, 0, 70)])
def test_honest_organizations_move_alike_whatever_their_labels(counts: tuple[int, ...], epochs: int) -> None:
    own = samples(counts, 2)
    assert movement(own, epochs=epochs) == pytest.approx(np.sqrt(np.square(own[0]).mean()), rel=1e-3)


@pytest.mark.parametrize("scale", [-1.0, 3.0, 10.0])
def test_scaled_moments_belong_to_no_samples(scale: float) -> None:
    assert movement(samples((80, 0, 0), 2), scale=scale) == math.inf


def test_outsized_samples_move_as_far_as_they_are_large() -> None:
    features, labels = samples((40, 40, 40), 2)
    assert movement((20 * features, labels)) == pytest.approx(20 * movement((features, labels)), rel=1e-3)


@pytest.mark.parametrize("name", ["weight", "first", "second", "square", "direction"])
def test_altered_parameters_belong_to_no_samples(name: str) -> None:
    generator = GaussianMixture(shape=(1, 9, 9), classes=2)
    rng = np.random.default_rng(0)
    data = rng.standard_normal((30, 81)).astype(np.float32), np.arange(30) % 2
    base = fit(generator, start(generator), data)
    altered = base[name].copy()
    altered.flat[0] -= 50
    assert generator.movement(base, ModelState({**base, name: altered})) == math.inf
    assert generator.movement(base, base) == 0.0
