"""A class-conditional diffusion model for images, built from diffusers' network and schedulers.

A small convolutional U-Net with group normalization learns to take noise away [1]_; it predicts the velocity, under a
cosine schedule whose last step holds no signal at all, so that few deterministic steps [2]_ lead from pure noise to an
image [3]_. The label enters as an embedding beside the time's. Everything is built from its configuration: nothing is
loaded from a hub, and no draw comes from torch's global stream. diffusers is an extra and slow to import, hence it is
imported where it is used. Left out: attention (its fused kernel cannot be mapped over stacked organizations, and
images are small), guidance, and a moving average of the parameters.

.. [1] J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020.
.. [2] J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models", 2021.
.. [3] S. Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2024; the velocity is that of
   T. Salimans, J. Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", 2022, section 4.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cocogen.errors import ConfigurationError, LearningError
from cocogen.learning.models.classifiers import draw_parameters, to_tensors
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork, Schedule, train

__all__ = ["BOUND", "SAMPLING_STEPS", "ConditionalDiffusion"]

BOUND = 8.0
"""Largest size of a feature that is learned or drawn, in standard deviations of its channel."""

SAMPLING_STEPS = 20

_TRAINING_STEPS = 1000
_LEAST_SIDE = 8
_THREE_LEVELS_FROM = 16
_GROUPS = 8
_AT_ONCE = 256
_LARGEST_VELOCITY = 100.0


class _Network(nn.Module):
    """Flat noisy images (B, d), steps (B,) and labels (B,) to velocities (B, d)."""

    def __init__(self, diffusers: Any, shape: tuple[int, int, int], classes: int, hidden: int) -> None:
        super().__init__()
        self.shape = shape
        channels, height, width = shape
        levels = 3 if min(height, width) >= _THREE_LEVELS_FROM else 2
        multiple = 2 ** (levels - 1)
        self.padding = (0, -width % multiple, 0, -height % multiple)
        self.unet: nn.Module = diffusers.UNet2DModel(
            sample_size=(height + self.padding[3], width + self.padding[1]),
            in_channels=channels,
            out_channels=channels,
            block_out_channels=(hidden // 2, *(hidden,) * (levels - 1)),
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            layers_per_block=1,
            norm_num_groups=_GROUPS,
            add_attention=False,
            num_class_embeds=classes,
        )

    def forward(self, noisy: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        """The velocity √ᾱ ε − √(1 − ᾱ) x of each feature; rows and columns that make the sides even are cut off."""
        _, height, width = self.shape
        images = nn.functional.pad(noisy.reshape(-1, *self.shape), self.padding)
        velocity: Tensor = self.unet(images, steps, labels, return_dict=False)[0]
        return velocity[..., :height, :width].flatten(1)


class ConditionalDiffusion:
    """Implements :class:`~cocogen.learning.generators.base.Generator`, for images alone.

    Parameters
    ----------
    shape : that of one sample, (channels, height, width) with at least 8 pixels a side; sides that do not halve evenly
        are padded inside the network.
    classes : their number C.
    hidden : channels at the coarser of 2 resolutions, of 3 from 16 pixels a side on; half as many at the finest. A
        multiple of 16.
    schedule : how one call of :meth:`fit` trains.

    Raises
    ------
    LearningError
        When a sample is no such image.
    ConfigurationError
        When ``hidden`` is no multiple of 16, or diffusers is not installed; it belongs to the extra ``diffusion``.
    """

    dense = False

    def __init__(self, *, shape: tuple[int, ...], classes: int, hidden: int, schedule: Schedule) -> None:
        image = _image(shape)
        if hidden % (2 * _GROUPS):
            raise ConfigurationError(
                f"a diffusion model cannot have {hidden} hidden channels: it normalizes half of them in groups of "
                f"{_GROUPS}",
                hint=f"set generation.hidden to a multiple of {2 * _GROUPS}",
            )
        diffusers = _diffusers()
        with torch.device("meta"):
            self.network = _Network(diffusers, image, classes, hidden)
        noising = {
            "num_train_timesteps": _TRAINING_STEPS,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
        }
        self._noising = diffusers.DDPMScheduler(**noising)
        self._denoising = diffusers.DDIMScheduler(**noising, timestep_spacing="trailing", clip_sample_range=BOUND)
        self._denoising.set_timesteps(SAMPLING_STEPS)
        self._width = math.prod(image)
        # Besides the noise one draw that says how much of it.
        self.noise_width = self._width + 1
        self.classes = classes
        self.schedule = schedule

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """Untrained parameters; the last layer starts at 0, so that the first losses are those of predicting 0."""
        drawn = dict(draw_parameters(self.network, rng))
        drawn["unet.conv_out.weight"] = np.zeros_like(drawn["unet.conv_out.weight"])
        return ModelState(drawn)

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of each sample's velocity at one random step, shape (B,)."""
        clean, drawn = features.clamp(-BOUND, BOUND), noise[..., :-1]
        uniform = torch.special.ndtr(noise[..., -1])
        steps = (uniform * _TRAINING_STEPS).long().clamp(max=_TRAINING_STEPS - 1)
        noisy = self._noising.add_noise(clean, drawn, steps)
        velocity = functional_call(self.network, dict(parameters), (noisy, steps, labels), tie_weights=False)
        errors: Tensor = (velocity - self._noising.get_velocity(clean, drawn, steps)).square()
        return errors.mean(dim=-1)

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """Each organization's parameters after ``schedule`` on its own samples."""
        return [result.state for result in train(self, works, self.schedule, advance=advance)]

    def sample(self, state: ModelState, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """One sample per label, within ±``BOUND``: 20 deterministic steps from noise, which is the only draw."""
        noise = torch.from_numpy(rng.standard_normal((len(labels), self._width), dtype=np.float32))
        parameters, wanted = to_tensors(state), torch.from_numpy(labels)
        with torch.no_grad():
            parts = [
                self._denoised(parameters, noise[start : start + _AT_ONCE], wanted[start : start + _AT_ONCE])
                for start in range(0, len(labels), _AT_ONCE)
            ]
        return torch.cat([noise[:0], *parts]).numpy()

    def movement(self, base: ModelState, state: ModelState) -> float:
        """Euclidean distance of the parameters."""
        return state.distance(base)

    def _denoised(self, parameters: Mapping[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        for step in self._denoising.timesteps:
            steps = step.expand(len(labels))
            velocity = functional_call(self.network, dict(parameters), (images, steps, labels), tie_weights=False)
            # A stranger's parameters may overflow; honest velocities are nowhere near.
            velocity = velocity.nan_to_num(0.0).clamp(-_LARGEST_VELOCITY, _LARGEST_VELOCITY)
            images = self._denoising.step(velocity, step, images, eta=0.0, return_dict=False)[0]
        return images


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise LearningError(
            f"diffusion generates images, but a sample of this data set is a row of {math.prod(shape)} numbers",
            hint='set generation.generator to "cvae" or "mixture", or choose a data set of images',
        )
    channels, height, width = shape
    if min(height, width) < _LEAST_SIDE:
        raise LearningError(
            f"diffusion generates images of at least {_LEAST_SIDE} x {_LEAST_SIDE} pixels, but these have "
            f"{height} x {width}",
            hint='set generation.generator to "cvae" or "mixture", or choose a data set of larger images',
        )
    return channels, height, width


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise ConfigurationError(
            "the diffusion generator is built on diffusers, which is not installed",
            hint="install it: pip install 'cocogen[diffusion]'",
        ) from error
