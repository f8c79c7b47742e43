"""The encoder and decoder of the class-conditional autoencoder for images that are too large for dense layers."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

__all__ = ["Decoder", "Encoder"]

_COARSEST = 4


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Image sizes from the finest to the coarsest, halved while both sides exceed 4."""
    sizes = [(height, width)]
    while min(sizes[-1]) > _COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def _channels(hidden: int, levels: int) -> list[int]:
    """Channels from the finest level to the coarsest, doubled up to ``hidden``."""
    return [max(8, hidden >> (levels - 1 - level)) for level in range(levels)]


class Encoder(nn.Module):
    """Flattened images (B, d) and conditions (B, C) to (B, ``outputs``)."""

    def __init__(self, shape: tuple[int, int, int], classes: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.shape = shape
        sizes = _sizes(*shape[1:])
        channels = [shape[0], *_channels(hidden, len(sizes) - 1)]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1)
            for before, after in itertools.pairwise(channels)
        )
        self.output = nn.Linear(channels[-1] * math.prod(sizes[-1]) + classes, outputs)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Two numbers for each coordinate of the code."""
        image = features.reshape(*features.shape[:-1], *self.shape)
        for layer in self.layers:
            image = nn.functional.silu(layer(image))
        output: Tensor = self.output(torch.cat([image.flatten(-3), condition], dim=-1))
        return output


class Decoder(nn.Module):
    """Codes (B, ``inputs``) to flattened images (B, d), doubled by sub-pixel convolutions [1]_ and cut to size.

    .. [1] W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
       Convolutional Neural Network", 2016.
    """

    def __init__(self, shape: tuple[int, int, int], inputs: int, hidden: int) -> None:
        super().__init__()
        self.sizes = _sizes(*shape[1:])[::-1]
        channels = [*_channels(hidden, len(self.sizes) - 1)[::-1], shape[0]]
        self.coarsest = (channels[0], *self.sizes[0])
        self.input = nn.Linear(inputs, math.prod(self.coarsest))
        self.layers = nn.ModuleList(
            nn.Conv2d(before, 4 * after, kernel_size=3, padding=1) for before, after in itertools.pairwise(channels)
        )

    def forward(self, code: Tensor) -> Tensor:
        """Mean of the features."""
        flat: Tensor = self.input(code)
        image = flat.reshape(*flat.shape[:-1], *self.coarsest)
        for layer, (height, width) in zip(self.layers, self.sizes[1:], strict=True):
            image = nn.functional.pixel_shuffle(layer(nn.functional.silu(image)), 2)[..., :height, :width]
        return image.flatten(-3)
