"""When a sampled estimate is good enough, or has cost enough. Rules are asked between blocks of permutations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import ConfigurationError

__all__ = ["Budget", "Either", "Sampled", "StandardError", "StoppingRule"]


@dataclass(frozen=True, slots=True)
class Sampled:
    """How far an estimate is: coalitions evaluated, permutations walked, independent blocks of them, and the standard
    error of each value, shape (N,) float64."""

    evaluations: int
    permutations: int
    blocks: int
    standard_errors: NDArray[np.float64]


class StoppingRule(Protocol):
    """Stops as soon as its :meth:`completion` reaches 1."""

    def completion(self, sampled: Sampled) -> float:
        """Done to this extent, from 0 on; what goes beyond 1 means the same as 1."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``evaluations`` new coalitions, exceeded by the last block only, and as many permutations.

    The second bound is what ends the sampling of a game whose coalitions are all known, or all truncated.
    """

    evaluations: int

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise ConfigurationError(
                f"a budget of {self.evaluations} evaluations buys nothing", hint="allow at least 1"
            )

    def completion(self, sampled: Sampled) -> float:
        return max(sampled.evaluations, sampled.permutations) / self.evaluations


@dataclass(frozen=True, slots=True)
class StandardError:
    """Every value's standard error is at most ``bound``, in units of the utility, judged on at least ``blocks``
    blocks: two can agree by accident."""

    bound: float
    blocks: int = 10

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bound) and self.bound > 0):
            raise ConfigurationError(
                f"no sample has a standard error below {self.bound}", hint="give a finite bound above 0"
            )
        if self.blocks < 2:
            raise ConfigurationError(
                f"{self.blocks} blocks have no standard error", hint="judge by at least 2, better 10"
            )

    def completion(self, sampled: Sampled) -> float:
        largest = float(sampled.standard_errors.max())
        # Standard errors fall with the square root of what was sampled.
        reached = math.inf if largest == 0 else (self.bound / largest) ** 2
        return min(reached, sampled.blocks / self.blocks)


@dataclass(frozen=True, slots=True)
class Either:
    """The first of two rules that is satisfied."""

    first: StoppingRule
    second: StoppingRule

    def completion(self, sampled: Sampled) -> float:
        return max(self.first.completion(sampled), self.second.completion(sampled))
