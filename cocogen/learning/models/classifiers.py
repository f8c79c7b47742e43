"""The classifiers, as pure functions of their parameters: the form that one, or many stacked organizations train.

Skeletons live on torch's meta device: they hold shapes only, and making one touches no global random state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cocogen.errors import LearningError
from cocogen.learning.models import dense, networks
from cocogen.learning.models.states import ModelState

__all__ = ["MODELS", "Classifier", "DenseClassifier", "Objective", "build_classifier", "draw_parameters", "to_tensors"]


MODELS = ("logistic", "mlp", "lenet", "resnet18")


class Objective(Protocol):
    """A loss per sample as a pure function, so that ``torch.func`` can map it over organizations.

    ``noise_width``: standard normal draws that each sample needs in each step (0: none).

    ``dense``: made of matrix products alone, so that training N organizations stacked pays even on a CPU. The
    ``losses`` of a dense objective also take a leading dimension N of all their arguments, and give (N, B);
    layers of :class:`~cocogen.learning.models.networks.Linear` make this so. Others are mapped over organizations where
    they are stacked.
    """

    @property
    def noise_width(self) -> int: ...

    @property
    def dense(self) -> bool: ...

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Losses (B,) for features (B, d) float32, labels (B,) int64 and noise (B, ``noise_width``) float32."""
        ...


class Classifier:
    """A network from features (n, d) to logits (n, C), trained by cross-entropy (nats)."""

    noise_width = 0
    dense = False

    def __init__(self, network: nn.Module, classes: int) -> None:
        self.network = network
        self.classes = classes

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """Fresh parameters, He-uniform weights and zero biases."""
        return draw_parameters(self.network, rng)

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002  # a classifier needs no noise
        """Cross-entropy of each sample, shape (B,), nats."""
        logits = functional_call(self.network, dict(parameters), (features,), tie_weights=False)
        # Classes come second; those of stacked organizations already lie so in memory.
        return nn.functional.cross_entropy(logits.mT if logits.ndim == 3 else logits, labels, reduction="none")

    def logits(self, state: ModelState, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of every class, shape (n, C), float32."""
        with torch.no_grad():
            output: Tensor = functional_call(self.network, to_tensors(state), (torch.from_numpy(features),))
        return np.asarray(output.numpy(), dtype=np.float32)


class DenseClassifier(Classifier):
    """A classifier of affine layers and rectifiers, whose gradients are written out
    (:mod:`cocogen.learning.models.dense`)."""

    dense = True

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__(network, classes)
        layers = [name for name, module in network.named_children() if isinstance(module, nn.Linear)]
        self._names = [(f"{name}.weight", f"{name}.bias") for name in layers]

    def gradients(
        self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, weights: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses (N,) of N organizations, nats, and their gradients by the names of the ``parameters`` (N, ...).

        ``features`` (N, B, d), ``labels`` (N, B) int64, ``weights`` (N, B) of the samples' losses.
        """
        layers = [(parameters[weight], parameters[bias]) for weight, bias in self._names]
        losses, found = dense.gradients(layers, features, labels, weights)
        named = zip(self._names, found, strict=True)
        return losses, {name: gradient for names, pair in named for name, gradient in zip(names, pair, strict=True)}


def build_classifier(model: str, *, shape: tuple[int, ...], classes: int, hidden: int) -> Classifier:
    """The classifier that the terms call ``model``, one of ``MODELS``.

    ``shape``: that of one sample, (d,) or (channels, height, width); features arrive flattened whatever it is.
    ``hidden``: width of the hidden layer of "mlp"; the others have widths of their own.

    Raises
    ------
    LearningError
        When there is no such model, or it cannot read samples of this shape.
    """
    with torch.device("meta"):
        if model == "logistic":
            return DenseClassifier(networks.logistic(shape, classes), classes)
        if model == "mlp":
            return DenseClassifier(networks.mlp(shape, classes, hidden), classes)
        if model == "lenet":
            return Classifier(networks.lenet(shape, classes), classes)
        if model == "resnet18":
            return Classifier(networks.resnet18(shape, classes), classes)
    raise LearningError(f"no model is called {model!r}", hint=f"choose one of: {', '.join(MODELS)}")


def draw_parameters(network: nn.Module, rng: np.random.Generator) -> ModelState:
    """Fresh parameters of ``network``, from ``rng`` alone: He-uniform weights (gain √2), zero biases, and gains of 1
    in normalizations.
    """
    source = torch.Generator().manual_seed(int(rng.integers(2**63)))
    gains = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.GroupNorm)}
    arrays = {}
    for name, parameter in sorted(network.named_parameters()):
        tensor = torch.ones(parameter.shape) if name in gains else torch.zeros(parameter.shape)
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(tensor, nonlinearity="relu", generator=source)
        arrays[name] = tensor.numpy()
    return ModelState(arrays)


def to_tensors(state: ModelState) -> dict[str, Tensor]:
    """The parameters as tensors that share memory with the state: do not write to them."""
    return {name: torch.from_numpy(array) for name, array in state.items()}
