"""What shared data are worth: accuracy as a function of the effective samples Ω of all organizations together.

Every game needs an increasing and concave P(Ω); that makes the potential concave and the equilibrium unique. Ω counts
samples, never bits. Functions fitted to measured accuracies are in :mod:`cocogen.game.calibrated`; they satisfy the
protocol below.

References
----------
.. [1] TradeFL, ICDCS 2023, footnote 7 (the square-root bound).
.. [2] CoCoGen+, arXiv 2604.14886 (the effect of heterogeneity; the functional form here is ours).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import GameError, InvalidAccuracy
from cocogen.game.arrays import Array

__all__ = [
    "AccuracyFunction",
    "PowerLaw",
    "Saturating",
    "SquareRootBound",
    "check_accuracy",
    "check_heterogeneity",
    "mean_heterogeneity",
]

_CHECK_POINTS = 257


class AccuracyFunction(Protocol):
    """P(Ω), accuracy gained from Ω effective samples; all methods are vectorised and return float64.

    ``minimum`` is the least Ω (samples) for which the function is stated; it must be increasing and concave from
    there on.
    """

    @property
    def minimum(self) -> float: ...

    def value(self, omega: ArrayLike) -> Array:
        """P(Ω), in units of accuracy."""
        ...

    def derivative(self, omega: ArrayLike) -> Array:
        """P'(Ω), accuracy per sample."""
        ...

    def second_derivative(self, omega: ArrayLike) -> Array:
        """P''(Ω), accuracy per sample squared."""
        ...

    def with_heterogeneity(self, heterogeneity: float | Array) -> AccuracyFunction:
        """The same function at label heterogeneity δ in [0, 1); an array of shape (N,) broadcasts against Ω (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class SquareRootBound:
    """TradeFL's bound P(Ω) = A0 − 1/√(Ω G) − 1/G (footnote 7), stated for Ω ≥ 1.

    The paper's A(0) is infinite, so A0 is a finite constant here [ours]. The bound does not know label
    heterogeneity: :meth:`with_heterogeneity` returns it unchanged.

    Parameters
    ----------
    ceiling : float
        A0, units of accuracy.
    epochs : float
        G, global training epochs, greater than 0.

    Raises
    ------
    InvalidAccuracy
        When a parameter is not finite or out of range.
    """

    ceiling: float = 1.0
    epochs: float = 100.0

    def __post_init__(self) -> None:
        _finite("ceiling", self.ceiling)
        _positive("epochs", self.epochs)

    @property
    def minimum(self) -> float:
        return 1.0

    def value(self, omega: ArrayLike) -> Array:
        return self.ceiling - 1.0 / np.sqrt(np.asarray(omega, dtype=np.float64) * self.epochs) - 1.0 / self.epochs

    def derivative(self, omega: ArrayLike) -> Array:
        samples = np.asarray(omega, dtype=np.float64)
        return 0.5 / (samples * np.sqrt(samples * self.epochs))

    def second_derivative(self, omega: ArrayLike) -> Array:
        samples = np.asarray(omega, dtype=np.float64)
        return -0.75 / (samples * samples * np.sqrt(samples * self.epochs))

    def with_heterogeneity(self, heterogeneity: float | Array) -> SquareRootBound:
        check_heterogeneity(heterogeneity)
        return self


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """P(Ω) = (1 − δ̄)(A0 − a Ω^−b), stated for Ω ≥ 1 [ours: the form that shows the published effect of δ̄].

    Parameters
    ----------
    ceiling : float
        A0, units of accuracy.
    scale : float
        a, greater than 0.
    exponent : float
        b, greater than 0.
    heterogeneity : float or ndarray
        δ̄ in [0, 1); an array of shape (N,) broadcasts against Ω.

    Raises
    ------
    InvalidAccuracy
        When a parameter is not finite or out of range.

    Examples
    --------
    >>> float(PowerLaw(1.0, 4.0, 0.5, heterogeneity=0.5).value(1024.0))
    0.4375
    """

    ceiling: float = 1.0
    scale: float = 4.0
    exponent: float = 0.5
    heterogeneity: float | Array = 0.0

    def __post_init__(self) -> None:
        _finite("ceiling", self.ceiling)
        _positive("scale", self.scale)
        _positive("exponent", self.exponent)
        check_heterogeneity(self.heterogeneity)

    @property
    def minimum(self) -> float:
        return 1.0

    def value(self, omega: ArrayLike) -> Array:
        return (1.0 - self.heterogeneity) * (self.ceiling - self.scale * self._power(omega, -self.exponent))

    def derivative(self, omega: ArrayLike) -> Array:
        slope = self.scale * self.exponent
        return (1.0 - self.heterogeneity) * slope * self._power(omega, -self.exponent - 1.0)

    def second_derivative(self, omega: ArrayLike) -> Array:
        curvature = self.scale * self.exponent * (self.exponent + 1.0)
        return (self.heterogeneity - 1.0) * curvature * self._power(omega, -self.exponent - 2.0)

    def with_heterogeneity(self, heterogeneity: float | Array) -> PowerLaw:
        return replace(self, heterogeneity=heterogeneity)

    @staticmethod
    def _power(omega: ArrayLike, exponent: float) -> Array:
        return np.power(np.asarray(omega, dtype=np.float64), exponent)


@dataclass(frozen=True, eq=False)
class Saturating:
    """P(Ω) = A0 (1 − e^(−Ω/scale)), stated for Ω ≥ 0 [ours]; it does not know label heterogeneity.

    Parameters
    ----------
    ceiling : float
        A0, units of accuracy, greater than 0.
    scale : float
        Samples at which 1 − 1/e of the ceiling is reached, greater than 0.

    Raises
    ------
    InvalidAccuracy
        When a parameter is not finite or out of range.
    """

    ceiling: float = 1.0
    scale: float = 1000.0

    def __post_init__(self) -> None:
        _positive("ceiling", self.ceiling)
        _positive("scale", self.scale)

    @property
    def minimum(self) -> float:
        return 0.0

    def value(self, omega: ArrayLike) -> Array:
        return -self.ceiling * np.expm1(-np.asarray(omega, dtype=np.float64) / self.scale)

    def derivative(self, omega: ArrayLike) -> Array:
        return self.ceiling / self.scale * np.exp(-np.asarray(omega, dtype=np.float64) / self.scale)

    def second_derivative(self, omega: ArrayLike) -> Array:
        return -self.ceiling / self.scale**2 * np.exp(-np.asarray(omega, dtype=np.float64) / self.scale)

    def with_heterogeneity(self, heterogeneity: float | Array) -> Saturating:
        check_heterogeneity(heterogeneity)
        return self


def check_accuracy(accuracy: AccuracyFunction, lower: float, upper: float) -> None:
    """Refuse a function that is not finite, increasing and concave on [lower, upper] samples.

    Values, first and second derivatives are looked at on a geometric grid, and the derivatives against the values, so
    that a wrong derivative is caught as well as a wrong shape.

    Raises
    ------
    InvalidAccuracy
        Naming the first Ω at which a condition fails.
    """
    grid = np.geomspace(max(lower, 1e-9), max(upper, lower * (1.0 + 1e-6), 1e-6), _CHECK_POINTS)
    value, slope, curvature = (
        np.broadcast_to(np.asarray(f(grid), dtype=np.float64), grid.shape)
        for f in (accuracy.value, accuracy.derivative, accuracy.second_derivative)
    )
    _refuse(grid, ~(np.isfinite(value) & np.isfinite(slope) & np.isfinite(curvature)), "finite", value)
    _refuse(grid, slope < 0.0, "increasing (P' ≥ 0)", slope)
    _refuse(grid[:1], slope[:1] <= 0.0, "increasing (P' > 0 where it starts)", slope)
    _refuse(grid, curvature > 0.0, "concave (P'' ≤ 0)", curvature)
    # For concave functions a secant's slope lies between the end slopes; rounding of the values is allowed for.
    rise = np.diff(value)
    rounding = 8.0 * np.finfo(np.float64).eps * (np.abs(value[1:]) + np.abs(value[:-1]))
    run = np.diff(grid)
    outside = (rise > slope[:-1] * run * (1 + 1e-9) + rounding) | (rise < slope[1:] * run * (1 - 1e-9) - rounding)
    _refuse(grid[1:], outside, "concave, with a derivative that fits its values", slope[1:])


def mean_heterogeneity(heterogeneity: ArrayLike, local: ArrayLike) -> float:
    """δ̄, the mean of the organizations' heterogeneity weighted by their registered local samples.

    It is constant within a round: weighted by strategies it would destroy the potential [ours].

    Parameters
    ----------
    heterogeneity : array_like
        δ_n, total variation between an organization's label distribution and the consortium's, shape (N,).
    local : array_like
        Registered local samples, shape (N,).

    Raises
    ------
    GameError
        Nobody registers any.
    """
    weights = np.asarray(local, dtype=np.float64)
    if not weights.sum() > 0.0:
        raise GameError("nobody registers a local sample", hint="register the local samples of each organization")
    return float(np.average(np.asarray(heterogeneity, dtype=np.float64), weights=weights))


def _refuse(grid: Array, wrong: np.ndarray, condition: str, shown: Array) -> None:
    if wrong.any():
        n = int(np.argmax(wrong))
        raise InvalidAccuracy(
            f"the accuracy function is not {condition} at Ω = {grid[n]:.6g} samples (found {shown[n]:.6g})",
            hint="give an accuracy function that is finite, increasing and concave over all reachable samples",
        )


def _finite(field: str, value: float) -> None:
    if not math.isfinite(value):
        raise InvalidAccuracy(f"accuracy {field} = {value!r} must be a finite number", hint=f"set {field} to a number")


def _positive(field: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise InvalidAccuracy(
            f"accuracy {field} = {value!r} must be a finite number greater than 0",
            hint="otherwise accuracy would not grow with shared data",
        )


def check_heterogeneity(value: float | Array) -> None:
    """Refuse δ outside [0, 1), a scalar or an array of any shape, with InvalidAccuracy."""
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    wrong = ~((array >= 0.0) & (array < 1.0))
    if wrong.any():
        raise InvalidAccuracy(
            f"heterogeneity {float(array[int(np.argmax(wrong))])!r} must lie in [0, 1)",
            hint="at 1 an organization shares no label with the consortium, and no accuracy is left to gain",
        )
