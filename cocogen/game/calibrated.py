"""An accuracy function fitted to measured accuracies, increasing and concave because it cannot be otherwise.

The error rate is modelled as a sum of losses with non-negative weights, every one of which shrinks with data and grows
with label heterogeneity [ours]::

    1 − P(Ω, δ̄) = floor + skew·δ̄ + Σ_j (data_j + skew_j·δ̄) (1 + Ω/scale_j)^−exponent_j

Each ψ = (1 + Ω/scale)^−exponent is completely monotone, and mixtures over a grid of scales and the exponents ½, 2 and 8
come close to the power laws of published learning curves [2]_ as well as to saturation; they have derivatives of every
order and, with their heavy tails, never a slope of 0. All functions of this form are sums of five kinds of columns with
weights of at least 0: 1, δ̄, ψ, δ̄ψ (a loss by heterogeneity that data heal) and 1 − (1 − δ̄)(1 − ψ) (heterogeneity
that scales the gain down, as in :class:`~cocogen.game.accuracy.PowerLaw`). So the fit is one non-negative least-squares
problem [1]_: convex, without a starting point, the same answer every time. The data decide whether heterogeneity raises
or lowers the worth of another sample; no sign is built in.

P is an accuracy in [0, 1], as the other functions are: P(0) is what the fit makes of no data, not 0. Damage and
transfers depend on differences of P only, but welfare and outside options on P itself.

Left out: how points are measured (:mod:`cocogen.operations.calibration`) and kept (:mod:`cocogen.terms.accuracy`).

References
----------
.. [1] C. L. Lawson, R. J. Hanson, "Solving Least Squares Problems", 1974, chapter 23 (scipy.optimize.nnls).
.. [2] J. Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017 (power laws of learning curves).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import InvalidAccuracy
from cocogen.game.accuracy import check_heterogeneity
from cocogen.game.arrays import Array, BoolArray, frozen

__all__ = ["AccuracyFit", "Calibrated", "Loss", "fit_accuracy"]

_EXPONENTS = (0.5, 2.0, 8.0)
_LEAST_SIZES = 3  # a bend needs three
_LEAST_SPREAD = 0.02  # of δ̄; below it a slope in δ̄ is noise
_LEAST_RISE = 1e-6  # of accuracy over the measured samples
_RIDGE = 1e-5  # per point; makes the weights unique and lets neighbouring scales share
_CAP_WEIGHT = 1e3
_NEGLIGIBLE = 1e-9
_ROUNDING = 1e-9


class Loss(NamedTuple):
    """One loss (data + skew·δ̄)(1 + Ω/scale)^−exponent: ``scale`` in samples, ``data`` and ``skew`` in accuracy."""

    scale: float
    exponent: float
    data: float
    skew: float


@dataclass(frozen=True, eq=False)
class Calibrated:
    """P(Ω) = 1 − floor − skew·δ̄ − Σ_j (data_j + skew_j·δ̄)(1 + Ω/scale_j)^−exponent_j, in [0, 1] for all Ω ≥ 0 [ours].

    Increasing and concave in Ω for every δ̄, and non-increasing in δ̄ for every Ω: the conditions on the weights, which
    are checked here, say exactly that. Make one with :func:`fit_accuracy`.

    Parameters
    ----------
    floor, skew : float
        Losses that data do not heal: of itself, and per unit of δ̄. Units of accuracy.
    losses : tuple of Loss
        At least one that shrinks with data.
    samples : tuple of float
        Least and largest Ω that was measured. The function is stated for every Ω ≥ 0, outside by extrapolation.
    measured_heterogeneity : tuple of float
        Least and largest δ̄ that was measured; the effect of δ̄ is linear, within and outside.
    heterogeneity : float or ndarray
        δ̄ in [0, 1); an array of shape (N,) broadcasts against Ω.

    Raises
    ------
    InvalidAccuracy
        When a weight would make it leave [0, 1], fall, bend upwards, or rise with heterogeneity.
    """

    floor: float
    skew: float
    losses: tuple[Loss, ...]
    samples: tuple[float, float]
    measured_heterogeneity: tuple[float, float]
    heterogeneity: float | Array = 0.0

    def __post_init__(self) -> None:
        check_heterogeneity(self.heterogeneity)
        healing = sum(min(loss.skew, 0.0) for loss in self.losses)
        worst = self.floor + self.skew + sum(loss.data + loss.skew for loss in self.losses)
        conditions = {
            "every number is finite": all(map(math.isfinite, (self.floor, self.skew, *sum(self.losses, ())))),
            "every scale and exponent is positive": all(loss.scale > 0 and loss.exponent > 0 for loss in self.losses),
            "floor and skew are at least 0": self.floor >= 0.0 and self.skew >= 0.0,
            "every loss shrinks with data": all(
                loss.data >= 0.0 and loss.data + loss.skew >= -_ROUNDING for loss in self.losses
            ),
            "some loss shrinks with data": any(loss.data > 0.0 for loss in self.losses),
            "no loss shrinks with heterogeneity": self.skew + healing >= -_ROUNDING,
            "all losses together are at most 1": worst <= 1.0 + _ROUNDING,
            "measured ranges are in order": 0.0 < self.samples[0] <= self.samples[1] < math.inf
            and 0.0 <= self.measured_heterogeneity[0] <= self.measured_heterogeneity[1] < 1.0,
        }
        broken = [condition for condition, holds in conditions.items() if not holds]
        if broken:
            raise InvalidAccuracy(
                f"not a calibrated accuracy function: it does not hold that {broken[0]}",
                hint="write the file anew with `cocogen calibrate`",
            )

    @property
    def minimum(self) -> float:
        return 0.0

    def value(self, omega: ArrayLike) -> Array:
        # From P(0) upwards: subtracting losses from 1 would drown small steps in rounding.
        total: Array | float = 1.0 - self.floor - self.skew * self.heterogeneity
        gained: Array | float = 0.0
        for loss, ratio, weight in self._terms(omega):
            total = total - weight
            gained = gained - weight * np.expm1(-loss.exponent * np.log1p(ratio))
        return np.asarray(total + gained)[()]

    def derivative(self, omega: ArrayLike) -> Array:
        total: Array | float = 0.0
        for loss, ratio, weight in self._terms(omega):
            total = total + weight * (loss.exponent / loss.scale) * (1.0 + ratio) ** (-loss.exponent - 1.0)
        return np.asarray(total)[()]

    def second_derivative(self, omega: ArrayLike) -> Array:
        total: Array | float = 0.0
        for loss, ratio, weight in self._terms(omega):
            curvature = loss.exponent * (loss.exponent + 1.0) / loss.scale**2
            total = total - weight * curvature * (1.0 + ratio) ** (-loss.exponent - 2.0)
        return np.asarray(total)[()]

    def with_heterogeneity(self, heterogeneity: float | Array) -> Calibrated:
        return replace(self, heterogeneity=heterogeneity)

    def extrapolates(self, omega: ArrayLike) -> BoolArray:
        """Whether Ω, or the δ̄ of this function, lies outside what was measured; the shape of both broadcast."""
        samples, delta = np.asarray(omega, dtype=np.float64), np.asarray(self.heterogeneity)
        (least, most), (mildest, strongest) = self.samples, self.measured_heterogeneity
        return np.asarray((samples < least) | (samples > most) | (delta < mildest) | (delta > strongest))

    def _terms(self, omega: ArrayLike) -> Iterator[tuple[Loss, Array, float | Array]]:
        samples = np.asarray(omega, dtype=np.float64)
        for loss in self.losses:
            # At δ̄ near 1 rounding may leave a weight of −1e-17.
            yield loss, samples / loss.scale, np.maximum(loss.data + loss.skew * self.heterogeneity, 0.0)


@dataclass(frozen=True, eq=False)
class AccuracyFit:
    """A fitted function and how well it fits: ``residuals``, measured minus fitted, shape (n,), units of accuracy."""

    accuracy: Calibrated
    residuals: Array

    @property
    def rmse(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def largest_residual(self) -> float:
        """The largest absolute residual."""
        return float(np.abs(self.residuals).max())


def fit_accuracy(samples: ArrayLike, heterogeneity: ArrayLike, accuracy: ArrayLike) -> AccuracyFit:
    """The calibrated function nearest to measured points in the least-squares sense.

    Where δ̄ hardly varies (by less than 0.02) its effect cannot be told from noise, and the function ignores it.

    Parameters
    ----------
    samples : array_like
        Ω of each point, shape (n,), greater than 0, with at least 3 different values.
    heterogeneity : array_like
        δ̄ of each point, shape (n,), in [0, 1).
    accuracy : array_like
        Measured accuracy of each point, shape (n,), in [0, 1].

    Raises
    ------
    InvalidAccuracy
        When a point is out of range, there are too few, or accuracy does not grow with data in them.
    """
    omega, delta, measured = _points(samples, heterogeneity, accuracy)
    floor, skew, losses = _weights(omega, delta, measured)
    least, most = float(omega.min()), float(omega.max())
    if any(loss.data > 0.0 for loss in losses):
        fitted = Calibrated(floor, skew, losses, (least, most), (float(delta.min()), float(delta.max())))
        typical = fitted.with_heterogeneity(float(delta.mean()))
        if typical.value(most) - typical.value(least) > _LEAST_RISE:
            at_points = [fitted.with_heterogeneity(float(d)).value(x) for x, d in zip(omega, delta, strict=True)]
            return AccuracyFit(fitted, frozen(measured - np.array(at_points)))
    raise InvalidAccuracy(
        f"accuracy does not grow with data in these {omega.size} points between Ω = {least:g} and {most:g}: the best "
        "increasing fit is a constant, under which another sample is worth nothing",
        hint="measure over a wider range of samples, with more repeats or more rounds",
    )


def _weights(omega: Array, delta: Array, measured: Array) -> tuple[float, float, tuple[Loss, ...]]:
    """Floor, skew and losses of the best fit."""
    knows_heterogeneity = bool(np.ptp(delta) >= _LEAST_SPREAD)
    doublings = math.ceil(math.log2(omega.max() / omega.min()))
    scales = np.geomspace(omega.min() / 2.0, omega.max(), doublings + 2)
    shapes = [(float(scale), exponent) for exponent in _EXPONENTS for scale in scales]
    fading = np.stack([(1.0 + omega / scale) ** -exponent for scale, exponent in shapes], axis=1)
    one, skewed = np.ones((omega.size, 1)), delta[:, None]
    if not knows_heterogeneity:
        weights = _non_negative(one, fading, 1.0 - measured)
        return float(weights[0]), 0.0, _losses(shapes, weights[1:], np.zeros(len(shapes)))
    shrinking = [fading, skewed * fading, 1.0 - (1.0 - skewed) * (1.0 - fading)]
    weights = _non_negative(np.hstack([one, skewed]), np.hstack(shrinking), 1.0 - measured)
    data, healed, scaled = np.split(weights[2:], 3)
    # 1 − (1 − δ̄)(1 − ψ) = δ̄ + ψ − δ̄ψ
    return float(weights[0]), float(weights[1] + scaled.sum()), _losses(shapes, data + scaled, healed - scaled)


def _losses(shapes: list[tuple[float, float]], data: Array, skew: Array) -> tuple[Loss, ...]:
    rows = zip(shapes, data.tolist(), skew.tolist(), strict=True)
    return tuple(Loss(*shape, constant, slope) for shape, constant, slope in rows if constant > 0.0 or slope != 0.0)


def _non_negative(plain: Array, shrinking: Array, target: Array) -> Array:
    """Weights ≥ 0 with sum ≤ 1 of the columns in turn; a small ridge on the ``shrinking`` ones.

    At Ω = 0 and δ̄ = 1 every column is 1, so a sum of at most 1 keeps P within [0, 1] everywhere.
    """
    from scipy.optimize import nnls

    points, free, count = target.size, plain.shape[1], shrinking.shape[1]
    system = np.zeros((points + count + 1, free + count + 1))
    system[:points, :-1] = np.concatenate([plain, shrinking], axis=1)
    system[points:-1, free:-1] = math.sqrt(_RIDGE * points) * np.eye(count)
    system[-1] = _CAP_WEIGHT  # weights and slack add up to 1
    goal = np.concatenate([target, np.zeros(count), [_CAP_WEIGHT]])
    weights = np.asarray(nnls(system, goal)[0][:-1])
    weights[weights < _NEGLIGIBLE] = 0.0
    return np.asarray(weights / max(1.0, weights.sum()))


def _points(samples: ArrayLike, heterogeneity: ArrayLike, accuracy: ArrayLike) -> tuple[Array, Array, Array]:
    arrays = [np.asarray(values, dtype=np.float64) for values in (samples, heterogeneity, accuracy)]
    omega, delta, measured = arrays
    if omega.ndim != 1 or not omega.shape == delta.shape == measured.shape:
        shapes = ", ".join(str(values.shape) for values in arrays)
        raise InvalidAccuracy(
            f"samples, heterogeneity and accuracy have the shapes {shapes}", hint="give one of each for every point"
        )
    for field, values, valid, wrong in (
        ("samples", omega, "greater than 0 and finite", ~((omega > 0.0) & (omega < math.inf))),
        ("heterogeneity", delta, "in [0, 1)", ~((delta >= 0.0) & (delta < 1.0))),
        ("accuracy", measured, "in [0, 1]", ~((measured >= 0.0) & (measured <= 1.0))),
    ):
        if wrong.any():
            n = int(np.argmax(wrong))
            raise InvalidAccuracy(
                f"{field} {float(values[n])!r} of point {n} must be {valid}", hint="correct or remove this point"
            )
    different = np.unique(omega)
    if different.size < _LEAST_SIZES:
        found = f"all at Ω = {different[0]:g}" if different.size == 1 else f"at {different.size} different Ω"
        raise InvalidAccuracy(
            f"{omega.size} points {found} do not show how accuracy grows with data",
            hint=f"measure at {_LEAST_SIZES} or more different numbers of samples",
        )
    return omega, delta, measured
