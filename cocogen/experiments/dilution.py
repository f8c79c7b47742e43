"""An accuracy function in which synthetic data cure heterogeneity: the counter-model to the power law with a fixed δ̄.

The published effect, milder heterogeneity raises generation, rests on heterogeneity that generation leaves alone. If
generated samples balance the labels instead, a more uneven consortium has more to gain from generating. This function
lets an experiment show that the sign of the effect is the model's [ours]. Left out of terms files on purpose: nothing
measured supports its form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.accuracy import PowerLaw
from cocogen.game.arrays import Array

__all__ = ["DilutedPowerLaw"]


@dataclass(frozen=True, eq=False)
class DilutedPowerLaw:
    """P(Ω) = (1 − δ s / (s + Ω)) (A0 − a Ω^−b), stated for Ω ≥ 1: heterogeneity falls as samples are pooled.

    Parameters
    ----------
    law : PowerLaw
        A0, a and b; its own heterogeneity must be 0.
    half_dose : float
        s, the samples at which half of the heterogeneity is left, greater than 0.
    heterogeneity : float or ndarray
        δ in [0, 1); an array of shape (N,) broadcasts against Ω.

    Raises
    ------
    ConfigurationError
        ``half_dose`` is not positive.
    InvalidAccuracy
        A heterogeneity lies outside [0, 1).
    """

    law: PowerLaw
    half_dose: float
    heterogeneity: float | Array = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.half_dose < float("inf"):
            problem = FieldProblem("half_dose", repr(self.half_dose), "a finite number of samples greater than 0")
            raise ConfigurationError("the dilution is malformed", problems=[problem])
        self.law.with_heterogeneity(self.heterogeneity)

    @property
    def minimum(self) -> float:
        return self.law.minimum

    def value(self, omega: ArrayLike) -> Array:
        return (1.0 - self._left(omega)) * self.law.value(omega)

    def derivative(self, omega: ArrayLike) -> Array:
        left, total = self._left(omega), self._total(omega)
        return (1.0 - left) * self.law.derivative(omega) + left / total * self.law.value(omega)

    def second_derivative(self, omega: ArrayLike) -> Array:
        left, total = self._left(omega), self._total(omega)
        return np.asarray(
            (1.0 - left) * self.law.second_derivative(omega)
            + 2.0 * left / total * self.law.derivative(omega)
            - 2.0 * left / total**2 * self.law.value(omega)
        )

    def with_heterogeneity(self, heterogeneity: float | Array) -> DilutedPowerLaw:
        return replace(self, heterogeneity=heterogeneity)

    def _total(self, omega: ArrayLike) -> Array:
        return self.half_dose + np.asarray(omega, dtype=np.float64)

    def _left(self, omega: ArrayLike) -> Array:
        return np.asarray(self.heterogeneity * self.half_dose / self._total(omega))
