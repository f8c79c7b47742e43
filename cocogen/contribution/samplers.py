"""Which orders of joining are looked at: blocks of permutations, independent of each other and alike.

Within a block permutations may depend on each other, so that their errors cancel; since blocks do not, the scatter
of block means gives an honest standard error whatever the sampler. In every sampler each permutation alone is uniform,
so the mean marginal contribution is an unbiased estimate of the Shapley value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import ConfigurationError

__all__ = ["Antithetic", "Guided", "Sampler", "Uniform"]


class Sampler(Protocol):
    """Draws one block after the other from a generator that is passed in."""

    def block(self, players: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Permutations of 0 … ``players`` - 1, shape (size of the block, players)."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """One uniform permutation a block [1]_.

    References
    ----------
    .. [1] J. Castro, D. Gómez, J. Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009.
    """

    def block(self, players: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(players)[None]


@dataclass(frozen=True, slots=True)
class Antithetic:
    """A uniform permutation and its reverse [1]_: who joins late in the one joins early in the other.

    References
    ----------
    .. [1] R. Mitchell, J. Cooper, E. Frank, G. Holmes, "Sampling Permutations for Shapley Value Estimation", 2022.
    """

    def block(self, players: int, rng: np.random.Generator) -> NDArray[np.int64]:
        order = rng.permutation(players)
        return np.stack([order, order[::-1]])


@dataclass(frozen=True, slots=True)
class Guided:
    """The guided sampling of GTG-Shapley [1]_: everybody leads equally often, in each of the first ``leading`` places.

    A block has N permutations. The k-th begins with places k, k+1, …, k + ``leading`` - 1 of one uniform order, taken
    cyclically, and goes on at random: so the first places, where marginal contributions are largest, are balanced.
    That a block starts from a fresh order, which keeps every permutation uniform and blocks independent, is ours.

    References
    ----------
    .. [1] Z. Liu et al., "GTG-Shapley: Efficient and Accurate Participant Contribution Evaluation in Federated
       Learning", ACM TIST 13(4), 2022.
    """

    leading: int = 1

    def __post_init__(self) -> None:
        if self.leading < 1:
            raise ConfigurationError(f"{self.leading} leading places cannot rotate", hint="give at least 1")

    def block(self, players: int, rng: np.random.Generator) -> NDArray[np.int64]:
        order = rng.permutation(players)
        leading = min(self.leading, players)
        rows = []
        for start in range(players):
            turned = np.roll(order, -start)
            rows.append(np.concatenate([turned[:leading], rng.permutation(turned[leading:])]))
        return np.stack(rows)
