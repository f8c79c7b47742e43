from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from cocogen.learning.generators.gaussians import Gaussian, gaussians

SPREAD = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.25]])


def gaussian() -> Gaussian:
    values, vectors = np.linalg.eigh(SPREAD[:2, :2])
    return Gaussian(np.array([1.0, -1.0, 3.0]), values, vectors, np.array([0.25]))


def moments(parts: list[np.ndarray], block: int) -> tuple[np.ndarray, ...]:
    """Those of one component for each array of samples (n, d)."""
    total = sum(map(len, parts))
    weight = np.array([[len(part) / total] for part in parts])
    first = np.stack([part.sum(axis=0) / total for part in parts])[:, None]
    second = np.stack([part[:, :block].T @ part[:, :block] / total for part in parts])[:, None]
    square = np.stack([np.square(part[:, block:]).sum(axis=0) / total for part in parts])[:, None]
    return weight, first, second, square


def test_placed_samples_have_mean_and_covariance() -> None:
    samples = gaussian().place(np.random.default_rng(0).standard_normal((40_000, 3)))
    assert np.allclose(samples.mean(axis=0), [1.0, -1.0, 3.0], atol=0.03)
    assert np.allclose(np.cov(samples.T), SPREAD, atol=0.05)


def test_densities_are_those_of_the_normal_distribution() -> None:
    samples = np.random.default_rng(1).standard_normal((5, 3))
    expected = multivariate_normal([1.0, -1.0, 3.0], SPREAD).logpdf(samples) + 1.5 * np.log(2 * np.pi)
    assert np.allclose(gaussian().log_density(samples), expected)


def test_places_do_not_depend_on_the_signs_and_order_of_eigenvectors() -> None:
    one = gaussian()
    other = Gaussian(one.mean, one.values[::-1], -one.vectors[:, ::-1], one.rest)
    normal = np.random.default_rng(2).standard_normal((7, 3))
    assert np.allclose(one.place(normal), other.place(normal))


def test_means_are_those_of_the_samples_and_covariances_shrink_towards_the_pooled_one() -> None:
    rng = np.random.default_rng(3)
    wide, narrow = rng.standard_normal((300, 4)) * 2 + 1, rng.standard_normal((100, 4)) * 0.5
    fitted = gaussians(*moments([wide, narrow], 3))
    assert np.allclose(fitted[0][0].mean, wide.mean(axis=0))
    assert np.allclose(fitted[1][0].mean, narrow.mean(axis=0))
    own = [np.cov(part.T, bias=True) for part in (wide, narrow)]
    pooled = 0.75 * own[0] + 0.25 * own[1]
    for gaussian_, covariance in zip((fitted[0][0], fitted[1][0]), own, strict=True):
        expected = 0.8 * covariance + 0.2 * pooled
        assert np.allclose((gaussian_.vectors * gaussian_.values) @ gaussian_.vectors.T, expected[:3, :3])
        assert np.allclose(gaussian_.rest, expected[3, 3])


def test_a_class_without_samples_is_one_gaussian_over_everything() -> None:
    samples = np.random.default_rng(4).standard_normal((200, 3)) + 5
    weight, first, second, square = moments([samples[:50], samples[50:], samples[:0]], 2)
    missing = gaussians(weight, first, second, square)[2][0]
    assert np.allclose(missing.mean, samples.mean(axis=0))
    assert np.allclose(np.sort(missing.values), np.linalg.eigvalsh(np.cov(samples[:, :2].T, bias=True)))


def test_nothing_seen_is_standard_normal() -> None:
    blank = gaussians(np.zeros((2, 1)), np.zeros((2, 1, 3)), np.zeros((2, 1, 2, 2)), np.zeros((2, 1, 1)))[1][0]
    normal = np.random.default_rng(5).standard_normal((4, 3))
    assert np.allclose(blank.place(normal), normal)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-20, 1.0, 1e6, 1e18]))
def test_property_any_finite_moments_give_finite_samples(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    shapes = ((3, 2), (3, 2, 4), (3, 2, 2, 2), (3, 2, 2))
    hostile = [rng.standard_normal(shape) * scale * rng.integers(0, 2, shape) for shape in shapes]
    for row in gaussians(*hostile):
        for one in row:
            assert (one.values > 0).all()
            assert (one.rest > 0).all()
            assert np.isfinite(one.place(rng.standard_normal((3, 4)))).all()


def test_one_sample_leaves_a_positive_spread() -> None:
    lonely = gaussians(*moments([np.ones((1, 3))], 2))[0][0]
    assert lonely.values == pytest.approx([1e-3, 1e-3])
    assert lonely.rest == pytest.approx([1e-3])
