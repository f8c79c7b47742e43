from __future__ import annotations

import numpy as np
import pytest

from cocogen.data import scaling
from cocogen.data.scaling import federated_scale
from cocogen.data.sets import load


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_federated_scale_equals_the_pooled_statistics() -> None:
    members = [rng(n).normal(3.0 * n, 2.0, (20 + n, 4)).astype(np.float32) for n in range(3)]
    scale = federated_scale(members, (4,))
    pooled = np.concatenate(members).astype(np.float64)
    assert np.allclose(scale.mean, pooled.mean(axis=0))
    assert np.allclose(scale.deviation, pooled.std(axis=0))
    scaled = scale.apply(np.concatenate(members))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled.std(axis=0), 1.0, atol=1e-5)


def test_a_constant_feature_is_centred_and_not_blown_up() -> None:
    members = [np.full((5, 1), 1234.567, dtype=np.float32)] * 2
    assert np.allclose(federated_scale(members, (1,)).apply(members[0]), 0.0, atol=1e-3)


def test_images_are_standardized_by_channel_so_that_pixels_keep_their_relation() -> None:
    members = [rng(n).integers(0, 200, (10 + n, 2 * 3 * 4), dtype=np.uint8) for n in range(3)]
    images = np.concatenate(members).reshape(-1, 2, 12).astype(np.float64)
    scale = federated_scale(members, (2, 3, 4))
    assert np.allclose(scale.mean, np.repeat(images.mean(axis=(0, 2)), 12))
    assert np.allclose(scale.deviation, np.repeat(images.std(axis=(0, 2)), 12))
    scaled = scale.apply(np.concatenate(members)).reshape(-1, 2, 12)
    assert np.allclose(scaled.mean(axis=(0, 2)), 0.0, atol=1e-5)
    assert np.allclose(scaled.std(axis=(0, 2)), 1.0, atol=1e-5)


def test_the_dark_border_of_the_digits_is_not_blown_up() -> None:
    digits = load("digits")
    scaled = federated_scale([digits.features], digits.shape).apply(digits.features)
    assert np.abs(scaled).max() < 3.0
    assert np.ptp(scaled[:, 0]) == 0.0, "the corner is always dark"


def test_scaling_in_parts_equals_scaling_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [rng(n).integers(0, 255, (30, 6), dtype=np.uint8) for n in range(2)]
    whole = federated_scale(members, (6,))
    expected = whole.apply(members[0])
    monkeypatch.setattr(scaling, "_ROWS", 7)
    parts = federated_scale(members, (6,))
    assert np.array_equal(parts.mean, whole.mean)
    assert np.array_equal(parts.deviation, whole.deviation)
    assert np.array_equal(parts.apply(members[0]), expected)
