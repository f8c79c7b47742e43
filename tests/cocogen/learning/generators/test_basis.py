from __future__ import annotations

import numpy as np
import pytest

from cocogen.learning.generators.basis import Basis


@pytest.mark.parametrize("shape", [(5,), (200,), (1, 8, 8), (3, 12, 7)])
def test_coordinates_are_orthonormal_and_lead_back(shape: tuple[int, ...]) -> None:
    basis = Basis(shape)
    features = np.random.default_rng(0).standard_normal((6, basis.width)).astype(np.float32)
    coordinates = basis.forward(features)
    assert coordinates.shape == (6, int(np.prod(shape)))
    assert np.allclose(np.linalg.norm(coordinates, axis=1), np.linalg.norm(features, axis=1), rtol=1e-6)
    assert np.allclose(coordinates @ coordinates.T, features @ features.T, atol=1e-4)
    assert np.allclose(basis.inverse(coordinates), features, atol=1e-6)


def test_an_image_begins_with_the_means_of_its_channels() -> None:
    image = np.repeat([1.0, -2.0, 3.0], 16 * 16).astype(np.float32)[None]
    coordinates = Basis((3, 16, 16)).forward(image)[0]
    assert np.allclose(coordinates[:3], np.array([1.0, -2.0, 3.0]) * 16)
    assert np.allclose(coordinates[3:], 0.0, atol=1e-5)


def test_smooth_images_lie_in_the_block() -> None:
    rows, columns = np.meshgrid(np.linspace(0, 1, 28), np.linspace(0, 1, 28), indexing="ij")
    smooth = np.exp(-((rows - 0.4) ** 2 + (columns - 0.6) ** 2) / 0.08).astype(np.float32).reshape(1, -1)
    basis = Basis((1, 28, 28))
    coordinates = basis.forward(smooth)[0]
    assert basis.block == 64
    assert np.square(coordinates[:64]).sum() > 0.99 * np.square(coordinates).sum()


def test_narrow_tables_are_correlated_and_wide_ones_are_not() -> None:
    assert [Basis((width,)).block for width in (30, 128, 129)] == [30, 128, 0]


def test_without_samples_there_are_no_coordinates() -> None:
    basis = Basis((1, 8, 8))
    assert basis.inverse(basis.forward(np.zeros((0, 64), dtype=np.float32))).shape == (0, 64)
