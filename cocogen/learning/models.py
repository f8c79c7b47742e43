"""The classifiers, as pure functions of their parameters: the form that one, or many stacked organizations train.

Skeletons live on torch's meta device: they hold shapes only, and making one touches no global random state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cocogen.errors import LearningError
from cocogen.learning.states import ModelState

__all__ = ["Classifier", "Linear", "Objective", "build_classifier", "draw_parameters", "to_tensors"]


class Objective(Protocol):
    """A loss per sample as a pure function, so that ``torch.func`` can map it over organizations.

    ``noise_width``: standard normal draws that each sample needs in each step (0: none).

    ``dense``: made of matrix products alone, so that training N organizations stacked pays even on a CPU. The
    ``losses`` of a dense objective also take a leading dimension N of all their arguments, and give (N, B);
    :class:`Linear` makes this so. Others are mapped over organizations where they are stacked.
    """

    @property
    def noise_width(self) -> int: ...

    @property
    def dense(self) -> bool: ...

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Losses (B,) for features (B, d) float32, labels (B,) int64 and noise (B, ``noise_width``) float32."""
        ...


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


class Classifier:
    """A network from features (n, d) to logits (n, C), trained by cross-entropy (nats)."""

    noise_width = 0

    def __init__(self, network: nn.Module, classes: int, *, dense: bool) -> None:
        self.network = network
        self.dense = dense
        self.classes = classes

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """Fresh parameters, He-uniform weights and zero biases."""
        return draw_parameters(self.network, rng)

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002  # a classifier needs no noise
        """Cross-entropy of each sample, shape (B,), nats."""
        logits = functional_call(self.network, dict(parameters), (features,))
        # Classes come second; those of stacked organizations already lie so in memory.
        return nn.functional.cross_entropy(logits.mT if logits.ndim == 3 else logits, labels, reduction="none")

    def logits(self, state: ModelState, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of every class, shape (n, C), float32."""
        with torch.no_grad():
            output: Tensor = functional_call(self.network, to_tensors(state), (torch.from_numpy(features),))
        return np.asarray(output.numpy(), dtype=np.float32)


def build_classifier(model: str, *, shape: tuple[int, ...], classes: int, hidden: int) -> Classifier:
    """Multinomial regression ("logistic"), or one hidden layer of ``hidden`` rectified units ("mlp").

    ``shape``: that of one sample; features arrive flattened whatever it is.
    """
    inputs = math.prod(shape)
    with torch.device("meta"):
        if model == "logistic":
            network: nn.Module = nn.Sequential(Linear(inputs, classes))
        elif model == "mlp":
            network = nn.Sequential(Linear(inputs, hidden), nn.ReLU(), Linear(hidden, classes))
        else:
            raise LearningError(f"no model is called {model!r}", hint="choose one of: logistic, mlp")
    return Classifier(network, classes, dense=True)


def draw_parameters(network: nn.Module, rng: np.random.Generator) -> ModelState:
    """He-uniform weights (gain √2) and zero biases for every parameter of ``network``, from ``rng`` alone."""
    source = torch.Generator().manual_seed(int(rng.integers(2**63)))
    arrays = {}
    for name, parameter in sorted(network.named_parameters()):
        tensor = torch.zeros(parameter.shape)
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(tensor, nonlinearity="relu", generator=source)
        arrays[name] = tensor.numpy()
    return ModelState(arrays)


def to_tensors(state: ModelState) -> dict[str, Tensor]:
    """The parameters as tensors that share memory with the state: do not write to them."""
    return {name: torch.from_numpy(array) for name, array in state.items()}
