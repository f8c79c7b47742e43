from __future__ import annotations

import math

import numpy as np
import pytest

from cocogen.errors import LearningError
from cocogen.learning.generators import build_generator
from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.learning.generators.diffusion import ConditionalDiffusion
from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.training.local import LocalWork, Schedule
from cocogen.terms.sections import Generation


def test_the_terms_choose_the_generator() -> None:
    mixture = build_generator(Generation(generator="mixture", components=3, epochs=2), shape=(1, 8, 8), classes=10)
    assert isinstance(mixture, GaussianMixture)
    assert (mixture.components, mixture.epochs, mixture.classes, mixture.basis.width) == (3, 2, 10, 64)
    autoencoder = build_generator(Generation(latent=5, batch_size=16), shape=(30,), classes=2)
    assert isinstance(autoencoder, ConditionalVAE)
    assert (autoencoder.noise_width, autoencoder.schedule.batch_size, autoencoder.schedule.optimizer) == (5, 16, "adam")


def test_the_terms_choose_the_diffusion_generator_for_images() -> None:
    pytest.importorskip(
        "diffusers", reason="SKIPPED, NOT TESTED: diffusers is not installed (pip install 'cocogen[diffusion]')"
    )
    terms = Generation(generator="diffusion", hidden=32, epochs=3, batch_size=16, learning_rate=0.002)
    generator = build_generator(terms, shape=(1, 8, 8), classes=10)
    assert isinstance(generator, ConditionalDiffusion)
    assert generator.schedule == Schedule(3, 16, 0.002, optimizer="adam")
    layout = dict(generator.initial_state(np.random.default_rng(0)).layout)
    assert layout["unet.class_embedding.weight"][0] == 10
    assert layout["unet.conv_in.weight"] == (16, 1, 3, 3)
    with pytest.raises(LearningError, match="diffusion generates images"):
        build_generator(terms, shape=(30,), classes=2)


@pytest.mark.parametrize("shape", [(30,), (1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 17, 23)])
@pytest.mark.parametrize("name", ["cvae", "mixture"])
def test_every_generator_fits_and_draws_every_shape(name: str, shape: tuple[int, ...]) -> None:
    generator = build_generator(Generation(generator=name), shape=shape, classes=3)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((10, math.prod(shape))).astype(np.float32)
    start = generator.initial_state(rng)
    works = [LocalWork(start, features, np.arange(10) % 3, np.random.default_rng(n)) for n in range(3)]
    fitted = generator.fit(works)
    assert [state.layout for state in fitted] == [start.layout] * 3
    assert all(state.digest() != start.digest() for state in fitted)
    drawn = generator.sample(fitted[0], np.array([2, 0, 1]), np.random.default_rng(1))
    assert drawn.shape == (3, math.prod(shape))
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert 0 < generator.movement(start, fitted[0]) < math.inf
