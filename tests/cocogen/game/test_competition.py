from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.game.competition import DenseCompetition, SparseCompetition, UniformCompetition, as_competition


def _matrix(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0.0, 1.0, (size, size)) * (rng.uniform(size=(size, size)) < 0.6)
    np.fill_diagonal(matrix, 0.0)
    return matrix


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 9))
def test_property_operators_follow_their_definitions(seed, size):
    rho = _matrix(seed, size)
    rng = np.random.default_rng(seed)
    p, x = rng.uniform(1.0, 9.0, size), rng.normal(0.0, 100.0, size)
    sigma = [[(rho[n, m] + rho[m, n]) / 2 for m in range(size)] for n in range(size)]
    damage = [sum(rho[n, m] * p[m] for m in range(size)) for n in range(size)]
    laplacian = [sum(sigma[n][m] * (x[n] - x[m]) for m in range(size)) for n in range(size)]
    for operator in (DenseCompetition(rho), SparseCompetition(scipy.sparse.csr_array(rho))):
        assert operator.size == size
        assert operator.largest == rho.max()
        np.testing.assert_allclose(operator.damage_weights(p), damage, rtol=1e-13)
        np.testing.assert_allclose(operator.column_sums(), [sum(rho[:, m]) for m in range(size)], rtol=1e-13)
        np.testing.assert_allclose(operator.row_sums(), [sum(row) for row in sigma], rtol=1e-13)
        np.testing.assert_allclose(operator.laplacian(x), laplacian, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(operator.symmetric(), sigma, rtol=1e-15)
        np.testing.assert_allclose(operator.scaled(2.5).laplacian(x), 2.5 * np.array(laplacian), rtol=1e-11, atol=1e-11)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 9))
def test_property_uniform_competition_is_the_full_matrix(seed, size):
    rng = np.random.default_rng(seed)
    uniform, full = UniformCompetition(0.07, size), DenseCompetition(0.07 * (1 - np.eye(size)))
    p, x = rng.uniform(1.0, 9.0, size), rng.normal(0.0, 100.0, size)
    assert uniform.largest == full.largest
    np.testing.assert_allclose(uniform.damage_weights(p), full.damage_weights(p), rtol=1e-12)
    np.testing.assert_allclose(uniform.column_sums(), full.column_sums(), rtol=1e-12)
    np.testing.assert_allclose(uniform.row_sums(), full.row_sums(), rtol=1e-12)
    np.testing.assert_array_equal(uniform.symmetric(), full.symmetric())
    np.testing.assert_allclose(uniform.laplacian(x), full.laplacian(x), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(uniform.scaled(3.0).row_sums(), 3.0 * full.row_sums(), rtol=1e-12)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 40), offset=st.floats(-1e9, 1e9))
def test_property_laplacian_sums_to_zero_and_ignores_a_common_offset(seed, size, offset):
    rho = _matrix(seed, size)
    x = np.random.default_rng(seed).normal(0.0, 100.0, size)
    operator = DenseCompetition(rho)
    transfers, shifted = operator.laplacian(x), operator.laplacian(x + offset)
    np.testing.assert_allclose(shifted, transfers, atol=1e-4)
    for moved in (transfers, shifted):
        assert abs(moved.sum()) <= 1e-12 * (1.0 + np.abs(moved).sum())


def test_as_competition_recognises_each_kind():
    operator = UniformCompetition(0.1, 3)
    assert as_competition(operator) is operator
    assert isinstance(as_competition(np.zeros((2, 2))), DenseCompetition)
    assert isinstance(as_competition(scipy.sparse.coo_matrix((3, 3))), SparseCompetition)


def test_an_empty_sparse_matrix_is_zero_competition():
    operator = SparseCompetition(scipy.sparse.csr_array((3, 3)))
    assert operator.largest == 0.0
    np.testing.assert_array_equal(operator.laplacian(np.array([1.0, 2.0, 3.0])), np.zeros(3))


def _with(row: int, column: int, value: float) -> np.ndarray:
    matrix = np.full((3, 3), 0.1)
    np.fill_diagonal(matrix, 0.0)
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize("kind", [DenseCompetition, lambda m: SparseCompetition(scipy.sparse.csr_array(m))])
@pytest.mark.parametrize(
    ("row", "column", "value"), [(0, 2, np.nan), (1, 0, -0.1), (2, 1, np.inf), (2, 2, 0.3), (1, 1, -1.0)]
)
def test_a_malformed_entry_is_named(kind, row, column, value):
    with pytest.raises(ConfigurationError, match=rf"competition\[{row}, {column}\]"):
        kind(_with(row, column, value))


@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 2)])
def test_a_matrix_must_be_square(shape):
    with pytest.raises(ConfigurationError, match="square"):
        DenseCompetition(np.zeros(shape))


def test_a_sparse_matrix_must_be_square():
    with pytest.raises(ConfigurationError, match="square"):
        SparseCompetition(scipy.sparse.csr_array((2, 3)))


@pytest.mark.parametrize("arguments", [(-0.1, 3), (np.nan, 3), (0.1, 0)])
def test_uniform_competition_checks_its_arguments(arguments):
    with pytest.raises(ConfigurationError):
        UniformCompetition(*arguments)


def test_a_negative_factor_is_refused():
    with pytest.raises(ConfigurationError, match="factor"):
        DenseCompetition(np.zeros((2, 2))).scaled(-1.0)


def test_a_matrix_cannot_be_changed_after_it_was_checked():
    operator = DenseCompetition(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="read-only"):
        operator.matrix[0, 1] = 5.0
