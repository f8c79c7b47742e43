"""What a round asks of its aggregation, whatever the server gets to see.

Everything that makes one model of several goes through it: the attester's aggregate, what a coalition would have made,
and training without evidence. Left out: who takes part and with what weight (:mod:`cocogen.evidence`), and how it is
done, such as :mod:`.individual`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cocogen.learning.models.states import ModelState

__all__ = ["Aggregation"]


class Aggregation(Protocol):
    """From the updates of a round to the next shared model, in three steps."""

    def clip(self, states: Sequence[ModelState], bases: Sequence[ModelState]) -> list[ModelState]:
        """The models with their updates, the way from their ``bases``, bounded: one for each, in order."""
        ...

    def combine(self, states: Sequence[ModelState], weights: Sequence[int]) -> ModelState:
        """One model of several, ``weights`` integers of at least 0; LearningError when none is positive."""
        ...

    def step(self, current: ModelState, mean: ModelState, server: ModelState) -> tuple[ModelState, ModelState]:
        """The next model, and what is remembered, from the ``current`` one and what :meth:`combine` made of the others.

        ``server``: what the last step left, nothing before the first; LearningError when it is of another kind.
        """
        ...
