"""The generator that the terms name."""

from __future__ import annotations

from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.learning.generators.diffusion import ConditionalDiffusion
from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.training import Schedule
from cocogen.sections import Generation

__all__ = ["build_generator"]


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
