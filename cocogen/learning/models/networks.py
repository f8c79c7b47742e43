"""The networks behind the names of the terms. All take flat features (B, d) and give logits (B, C).

No batch normalization anywhere: its running statistics are no parameters that could be averaged, signed and checked,
and they mix up the label distributions of the organizations [3]_. Left out: losses and parameters
(:mod:`cocogen.learning.models.classifiers`).

.. [1] Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.
.. [2] K. He et al., "Deep Residual Learning for Image Recognition", 2016.
.. [3] K. Hsieh et al., "The Non-IID Data Quagmire of Decentralized Machine Learning", 2020.
.. [4] Y. Wu, K. He, "Group Normalization", 2018.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cocogen.errors import LearningError

__all__ = ["Image", "Linear", "ResidualBlock", "lenet", "logistic", "mlp", "resnet18"]

_LENET_SIDE = 16
_RESNET_SIDE = 8
_GROUPS = 32


class Linear(nn.Linear):
    """``torch.nn.Linear`` that also applies N weights (N, out, in) to N batches (N, B, in), in one batched product."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, in) to (B, out), or (N, B, in) to (N, B, out)."""
        if self.weight.ndim == 2:
            return nn.functional.linear(features, self.weight, self.bias)
        # Samples are columns here: the gradient of the weights then comes out in their own memory order.
        columns = features.mT
        bias: Tensor | None = self.bias
        if bias is None:
            return torch.bmm(self.weight, columns).mT
        return torch.baddbmm(bias.unsqueeze(-1), self.weight, columns).mT


def logistic(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Multinomial logistic regression."""
    return nn.Sequential(Linear(math.prod(shape), classes))


def mlp(shape: tuple[int, ...], classes: int, hidden: int) -> nn.Module:
    """One hidden layer of ``hidden`` rectified units."""
    return nn.Sequential(Linear(math.prod(shape), hidden), nn.ReLU(), Linear(hidden, classes))


def lenet(shape: tuple[int, ...], classes: int) -> nn.Module:
    """LeNet-5 [1]_ with rectified units and max pooling: 6 and 16 maps of 5x5 filters, then 120 and 84 units.

    Raises
    ------
    LearningError
        Unless ``shape`` is (channels, height, width) with at least 16 pixels a side.
    """
    channels, height, width = _image("lenet", shape, _LENET_SIDE)
    rows, columns = (((side - 4) // 2 - 4) // 2 for side in (height, width))
    return nn.Sequential(
        Image(shape),
        nn.Conv2d(channels, 6, 5),
        nn.MaxPool2d(2),  # commutes with the rectifier, which then has a quarter of the work
        nn.ReLU(),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * rows * columns, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def resnet18(shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-18 [2]_ for small images: a 3x3 stem without pooling, and group normalization [4]_ in 32 groups.

    Raises
    ------
    LearningError
        Unless ``shape`` is (channels, height, width) with at least 8 pixels a side.
    """
    channels, _, _ = _image("resnet18", shape, _RESNET_SIDE)
    stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [
        block
        for before, after, stride in stages
        for block in (ResidualBlock(before, after, stride), ResidualBlock(after, after, 1))
    ]
    return nn.Sequential(
        nn.Unflatten(-1, shape),
        nn.Conv2d(channels, 64, 3, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, 64),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, classes),
    )


class Image(nn.Module):
    """Flat features as images whose channels lie next to each other: on a CPU, torch pools those several at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels · height · width) to (B, channels, height, width)."""
        images = features.reshape(-1, *self.shape)
        return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != after or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.GroupNorm(_GROUPS, after))

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, h, w) to (B, after, h / stride, w / stride)."""
        output: Tensor = nn.functional.relu(self.body(features) + self.shortcut(features))
        return output


def _image(model: str, shape: tuple[int, ...], side: int) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise LearningError(
            f"{model} reads images, but a sample of this data set is a row of {math.prod(shape)} numbers",
            hint="set learning.model to logistic or mlp, or choose a data set of images",
        )
    channels, height, width = shape
    if min(height, width) < side:
        raise LearningError(
            f"{model} reads images of at least {side} x {side} pixels, but these have {height} x {width}",
            hint="set learning.model to mlp, or choose a data set of larger images",
        )
    return channels, height, width
