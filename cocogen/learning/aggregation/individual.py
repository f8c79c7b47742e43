"""Aggregation by a server that sees every update by itself: clipped and trimmed where the terms say so, and stepped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cocogen.learning.aggregation.robust import clip_updates, trimmed_mean
from cocogen.learning.aggregation.server import ServerOptimizer
from cocogen.learning.models.states import ModelState, average
from cocogen.terms.sections import Learning

__all__ = ["IndividualUpdates"]


@dataclass(frozen=True, slots=True)
class IndividualUpdates:
    """Implements :class:`~cocogen.learning.aggregation.base.Aggregation` on updates in the clear.

    ``rule``: "average" or "trimmed-mean"; ``trim``: the share trimmed at either end, in (0, 0.5). ``clip_norm``: in
    multiples of the median update norm, above 0; None leaves updates as they are. ``optimizer``: the server's.
    """

    rule: Literal["average", "trimmed-mean"] = "average"
    trim: float = 0.2
    clip_norm: float | None = None
    optimizer: ServerOptimizer = ServerOptimizer()  # noqa: RUF009  # frozen

    @classmethod
    def of(cls, learning: Learning) -> IndividualUpdates:
        """As the terms say."""
        server = learning.server
        optimizer = ServerOptimizer(
            server.optimizer, server.learning_rate, server.momentum, server.second_moment, server.adaptivity
        )
        return cls(learning.aggregation, learning.trim, learning.clip_norm, optimizer)

    def among_honest(self) -> IndividualUpdates:
        """The same without what bounds liars: neither clipped nor trimmed."""
        return replace(self, rule="average", clip_norm=None)

    def clip(self, states: Sequence[ModelState], bases: Sequence[ModelState]) -> list[ModelState]:
        """The models with their updates clipped, as :func:`~cocogen.learning.aggregation.robust.clip_updates` does;
        unchanged where nothing is agreed."""
        return list(states) if self.clip_norm is None else clip_updates(states, bases, self.clip_norm)

    def combine(self, states: Sequence[ModelState], weights: Sequence[int]) -> ModelState:
        """One model of several; LearningError when no weight is positive."""
        if self.rule == "average":
            return average(states, weights)
        return trimmed_mean(states, weights, self.trim)

    def step(self, current: ModelState, mean: ModelState, server: ModelState) -> tuple[ModelState, ModelState]:
        """The step of the server's optimizer; LearningError when ``server`` is not what it leaves."""
        return self.optimizer.step(current, mean, server)
