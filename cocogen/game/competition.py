"""Who competes with whom: the matrix ρ as an operator, so that a million organizations need no dense matrix.

ρ_nm in [0, 1] is the share of organization m's profitability that n loses when m gains (TradeFL Eq. 6-7); ρ may be
asymmetric. The redistribution uses σ = (ρ + ρᵀ)/2 [ours: with an asymmetric ρ the published rule does not balance],
so :meth:`Competition.row_sums` and :meth:`Competition.laplacian` always act on σ. The operator incentive · σ of a
redistribution is of the same kind, which is why only the game, not the operator, limits entries to 1.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array, frozen, scalar

__all__ = [
    "Competition",
    "CompetitionLike",
    "DenseCompetition",
    "SparseCompetition",
    "UniformCompetition",
    "as_competition",
]


class Competition(Protocol):
    """Non-negative pair weights ρ with a zero diagonal; index n is the n-th organization."""

    @property
    def size(self) -> int:
        """N."""
        ...

    @property
    def largest(self) -> float:
        """The largest entry."""
        ...

    def damage_weights(self, profitability: Array) -> Array:
        """Γ_n = Σ_m ρ_nm p_m, shape (N,), in units of p."""
        ...

    def column_sums(self) -> Array:
        """Σ_n ρ_nm, shape (N,)."""
        ...

    def row_sums(self) -> Array:
        """σ̄_n = Σ_m σ_nm, shape (N,)."""
        ...

    def laplacian(self, scores: Array) -> Array:
        """Σ_m σ_nm (X_n − X_m), shape (N,): the graph Laplacian of σ applied to X; its sum is zero."""
        ...

    def symmetric(self) -> Array:
        """σ as a dense matrix, shape (N, N): for designs of redistributions, not for a million organizations."""
        ...

    def scaled(self, factor: float) -> Competition:
        """The operator factor · ρ, factor ≥ 0."""
        ...


class DenseCompetition:
    """A full matrix ρ, shape (N, N).

    Raises
    ------
    ConfigurationError
        Not square, not finite, negative, or a non-zero diagonal; the problem names the entry.

    Examples
    --------
    >>> DenseCompetition([[0.0, 0.1], [0.3, 0.0]]).laplacian(np.array([2.0, 1.0]))
    array([ 0.2, -0.2])
    """

    def __init__(self, matrix: ArrayLike) -> None:
        values = np.array(matrix, dtype=np.float64)
        if values.ndim != 2 or values.shape[0] != values.shape[1]:
            raise _problem("competition", f"shape {values.shape}", "a square matrix, one row for each organization")
        _check_entries(values, *np.unravel_index(int(np.argmax(_wrong(values))), values.shape))
        diagonal = np.diagonal(values)
        if diagonal.any():
            n = int(np.argmax(diagonal != 0.0))
            raise _problem(f"competition[{n}, {n}]", repr(float(diagonal[n])), "0: nobody competes with itself")
        self.matrix = frozen(values)
        self._symmetric = values if np.array_equal(values, values.T) else 0.5 * (values + values.T)

    @property
    def size(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def largest(self) -> float:
        return float(self.matrix.max(initial=0.0))

    def damage_weights(self, profitability: Array) -> Array:
        return np.asarray(self.matrix @ profitability)

    def column_sums(self) -> Array:
        return np.asarray(self.matrix.sum(axis=0))

    def row_sums(self) -> Array:
        return np.asarray(self._symmetric.sum(axis=1))

    def laplacian(self, scores: Array) -> Array:
        centred = scores - scores.mean()
        return np.asarray(self.row_sums() * centred - self._symmetric @ centred)

    def symmetric(self) -> Array:
        return self._symmetric.copy()

    def scaled(self, factor: float) -> DenseCompetition:
        return DenseCompetition(_factor(factor) * self.matrix)


class SparseCompetition:
    """A sparse ρ, any scipy.sparse matrix or array of shape (N, N); same errors as the dense one."""

    def __init__(self, matrix: Any) -> None:
        rows = matrix.tocsr().astype(np.float64)
        if rows.ndim != 2 or rows.shape[0] != rows.shape[1]:
            raise _problem("competition", f"shape {rows.shape}", "a square matrix, one row for each organization")
        rows.sum_duplicates()
        wrong = _wrong(rows.data)
        if wrong.any():
            entry = int(np.argmax(wrong))
            row = int(np.searchsorted(rows.indptr, entry, side="right")) - 1
            raise _entry_problem(row, int(rows.indices[entry]), float(rows.data[entry]))
        diagonal = rows.diagonal()
        if diagonal.any():
            n = int(np.argmax(diagonal != 0.0))
            raise _problem(f"competition[{n}, {n}]", repr(float(diagonal[n])), "0: nobody competes with itself")
        self.matrix = rows
        self._symmetric = (0.5 * (rows + rows.T)).tocsr()

    @property
    def size(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def largest(self) -> float:
        return float(self.matrix.data.max(initial=0.0))

    def damage_weights(self, profitability: Array) -> Array:
        return np.asarray(self.matrix @ profitability)

    def column_sums(self) -> Array:
        return np.asarray(self.matrix.sum(axis=0), dtype=np.float64).ravel()

    def row_sums(self) -> Array:
        return np.asarray(self._symmetric.sum(axis=1), dtype=np.float64).ravel()

    def laplacian(self, scores: Array) -> Array:
        centred = scores - scores.mean()
        return np.asarray(self.row_sums() * centred - self._symmetric @ centred)

    def symmetric(self) -> Array:
        return np.asarray(self._symmetric.toarray())

    def scaled(self, factor: float) -> SparseCompetition:
        return SparseCompetition(self.matrix * _factor(factor))


class UniformCompetition:
    """Every pair competes with the same intensity: ρ = intensity · (11ᵀ − I), all operations in O(N).

    Parameters
    ----------
    intensity : float
        The one entry, at least 0.
    size : int
        N, at least 1.
    """

    def __init__(self, intensity: float, size: int) -> None:
        if size < 1:
            raise _problem("size", repr(size), "at least 1 organization")
        self.intensity = scalar("competition", intensity, lower=0.0)
        self._size = int(size)

    @property
    def size(self) -> int:
        return self._size

    @property
    def largest(self) -> float:
        return self.intensity if self._size > 1 else 0.0

    def damage_weights(self, profitability: Array) -> Array:
        return np.asarray(self.intensity * (profitability.sum() - profitability))

    def column_sums(self) -> Array:
        return self.row_sums()

    def row_sums(self) -> Array:
        return np.full(self._size, self.intensity * (self._size - 1))

    def laplacian(self, scores: Array) -> Array:
        return np.asarray(self.intensity * self._size * (scores - scores.mean()))

    def symmetric(self) -> Array:
        return self.intensity * (1.0 - np.eye(self._size))

    def scaled(self, factor: float) -> UniformCompetition:
        return UniformCompetition(_factor(factor) * self.intensity, self._size)


CompetitionLike: TypeAlias = Any
"""A :class:`Competition`, a dense array of shape (N, N), or a scipy.sparse matrix."""


def as_competition(value: CompetitionLike) -> Competition:
    """Wrap a matrix; operators pass through."""
    if hasattr(value, "laplacian"):
        operator: Competition = value
        return operator
    if hasattr(value, "tocsr"):
        return SparseCompetition(value)
    return DenseCompetition(value)


def _wrong(values: Array) -> np.ndarray:
    return ~np.isfinite(values) | (values < 0.0)


def _check_entries(values: Array, row: np.intp, column: np.intp) -> None:
    if values.size and _wrong(values[row, column]):
        raise _entry_problem(int(row), int(column), float(values[row, column]))


def _entry_problem(row: int, column: int, value: float) -> ConfigurationError:
    return _problem(f"competition[{row}, {column}]", repr(value), "a finite number, at least 0")


def _factor(factor: float) -> float:
    return scalar("factor", factor, lower=0.0)


def _problem(field: str, value: str, valid: str) -> ConfigurationError:
    return ConfigurationError("the competition matrix is malformed", problems=[FieldProblem(field, value, valid)])
