"""The generator that the terms name, or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.learning.generators.diffusion import ConditionalDiffusion
from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork, Schedule
from cocogen.terms.sections import Generation

__all__ = ["NoGenerator", "build_generator"]


class NoGenerator:
    """In place of a generator where nobody generates: nothing is fitted, drawn or measured.

    Implements :class:`~cocogen.learning.generators.base.Generator` for no labels at all. ``width``: features d.
    """

    def __init__(self, width: int) -> None:
        self._width = width

    def initial_state(self, rng: np.random.Generator) -> ModelState:  # noqa: ARG002 - the protocol's signature
        """Without parameters."""
        return ModelState({})

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """The states that it is given."""
        for _ in works:
            advance()
        return [work.initial for work in works]

    def sample(self, state: ModelState, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:  # noqa: ARG002
        """No samples, shape (0, d); LearningError when some are asked for."""
        if len(labels):
            raise LearningError(f"{len(labels)} synthetic samples are asked for, but nobody generates by these terms")
        return np.zeros((0, self._width), dtype=np.float32)

    def movement(self, base: ModelState, state: ModelState) -> float:  # noqa: ARG002
        """0."""
        return 0.0


def build_generator(generation: Generation, *, shape: tuple[int, ...], classes: int) -> Generator:
    """The generator ``generation.generator`` for samples of ``shape``, (d,) or (channels, height, width)."""
    if generation.generator == "mixture":
        return GaussianMixture(shape=shape, classes=classes, components=generation.components, epochs=generation.epochs)
    schedule = Schedule(generation.epochs, generation.batch_size, generation.learning_rate, optimizer="adam")
    if generation.generator == "diffusion":
        return ConditionalDiffusion(shape=shape, classes=classes, hidden=generation.hidden, schedule=schedule)
    return ConditionalVAE(
        shape=shape, classes=classes, latent=generation.latent, hidden=generation.hidden, schedule=schedule
    )
