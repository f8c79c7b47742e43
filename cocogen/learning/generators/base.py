"""What the rest of the engine needs of a generator; and which classes to generate.

A generator is functions of its parameters, so that it is averaged, hashed and attested like the classifier. What its
samples are worth is measured apart, by somebody else (:mod:`cocogen.learning.generators.quality`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork

__all__ = ["Generator", "deficit_labels"]


class Generator(Protocol):
    """A class-conditional generator of feature vectors."""

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """Untrained parameters."""
        ...

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """Each organization's parameters after its local epochs on its own samples; ``advance`` is called for each."""
        ...

    def sample(self, state: ModelState, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """One sample per label, shape (len(labels), d), float32; equal arguments give equal samples.

        ``state`` may be a stranger's: any finite parameters of the right layout give samples, whatever they are worth.
        """
        ...

    def movement(self, base: ModelState, state: ModelState) -> float:
        """How far ``state`` is from ``base``, at least 0, in a unit in which honest fits are alike.

        Infinite when no samples lead from the one to the other.
        """
        ...


def deficit_labels(counts: NDArray[np.int64], mix: NDArray[np.float64], amount: int) -> NDArray[np.int64]:
    """Labels of ``amount`` synthetic samples, sorted, that draw an organization's classes towards ``mix`` [ours].

    Class c lacks d_c = max(0, mix_c (n + amount) − counts_c) samples; the amount is shared in proportion to the
    deficits, rounded by largest remainder, so that it is met exactly and no class in surplus is generated.
    ``counts`` (C,): real samples used; ``mix`` (C,): the consortium's label distribution.
    """
    deficits = np.maximum(mix * (counts.sum() + amount) - counts, 0.0)
    share = amount * deficits / max(float(deficits.sum()), 1e-300)
    whole = np.floor(share).astype(np.int64)
    missing = amount - int(whole.sum())
    largest = np.argsort(-(share - whole), kind="stable")[:missing]
    whole[largest] += 1
    return np.repeat(np.arange(len(mix), dtype=np.int64), whole)
