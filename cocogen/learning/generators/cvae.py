"""A class-conditional variational autoencoder for standardized tables and images.

The label enters the encoder and the decoder [1]_; the decoder's variance, one per feature, is learned [2]_, which
spares the weight between reconstruction and divergence that tables are sensitive to. Posterior means and all log
variances are bounded smoothly, so that neither a rare class nor an outlier makes the loss overflow.
Tables and small images get one dense hidden layer on either side, larger images convolutions.
Left out: the federation of the training (parameters are averaged like the classifier's).

.. [1] K. Sohn, H. Lee, X. Yan, "Learning Structured Output Representation using Deep Conditional Generative
   Models", 2015.
.. [2] O. Rybkin, K. Daniilidis, S. Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cocogen.learning.generators.convolutional import Decoder, Encoder
from cocogen.learning.models.classifiers import draw_parameters, to_tensors
from cocogen.learning.models.networks import Linear
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork, Schedule, train

__all__ = ["ConditionalVAE"]

_MEAN_BOUND = 5.0
_LOG_VARIANCE_BOUND = 5.0
_LEAST_CONVOLVED = 16


class _Network(nn.Module):
    def __init__(self, shape: tuple[int, ...], classes: int, latent: int, hidden: int) -> None:
        super().__init__()
        inputs = math.prod(shape)
        self.convolutional = _is_large_image(shape)
        if self.convolutional:
            self.encoder: nn.Module = Encoder((shape[0], shape[1], shape[2]), classes, 2 * latent, hidden)
            self.decoder: nn.Module = Decoder((shape[0], shape[1], shape[2]), latent + classes, hidden)
        else:
            self.encoder = nn.Sequential(Linear(inputs + classes, hidden), nn.SiLU(), Linear(hidden, 2 * latent))
            self.decoder = nn.Sequential(Linear(latent + classes, hidden), nn.SiLU(), Linear(hidden, inputs))
        self.spread = Linear(classes, inputs, bias=False)

    def encode(self, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, both (B, latent)."""
        if self.convolutional:
            output: Tensor = self.encoder(features, condition)
        else:
            output = self.encoder(torch.cat([features, condition], dim=-1))
        mean, log_variance = output.chunk(2, dim=-1)
        return _MEAN_BOUND * torch.tanh(mean / _MEAN_BOUND), _bounded(log_variance)

    def forward(self, features: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence lower bound of each sample, nats per feature."""
        mean, log_variance = self.encode(features, condition)
        code = mean + torch.exp(0.5 * log_variance) * noise
        output, output_log_variance = self.decode(code, condition)
        misfit = (features - output).square() * torch.exp(-output_log_variance) + output_log_variance
        divergence = mean.square() + log_variance.exp() - 1.0 - log_variance
        return 0.5 * (misfit.sum(dim=-1) + divergence.sum(dim=-1)) / features.shape[-1]

    def decode(self, code: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the features, both (B, d)."""
        output = self.decoder(torch.cat([code, condition], dim=-1))
        return output, _bounded(self.spread(condition)).expand_as(output)


class ConditionalVAE:
    """Implements :class:`~cocogen.learning.generators.base.Generator`.

    Parameters
    ----------
    shape : that of one sample, (d,) or (channels, height, width); images of at least 16 pixels a side are convolved.
    classes : their number C.
    latent, hidden : widths of the code and of the one hidden layer on either side; of an image, the channels at 4 × 4.
    schedule : how one call of :meth:`fit` trains.
    """

    def __init__(self, *, shape: tuple[int, ...], classes: int, latent: int, hidden: int, schedule: Schedule) -> None:
        with torch.device("meta"):
            self.network = _Network(shape, classes, latent, hidden)
        self.noise_width = latent
        self.dense = not self.network.convolutional
        self.classes = classes
        self.schedule = schedule

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """Untrained parameters."""
        return draw_parameters(self.network, rng)

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence lower bound of each sample, shape (B,), nats per feature."""
        bound: Tensor = functional_call(
            self.network, dict(parameters), (features, self._condition(labels), noise), tie_weights=False
        )
        return bound

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """Each organization's parameters after ``schedule`` on its own samples."""
        return [result.state for result in train(self, works, self.schedule, advance=advance)]

    def sample(self, state: ModelState, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """One sample per label: decode a standard normal code and add the learned spread."""
        code = torch.from_numpy(rng.standard_normal((len(labels), self.noise_width), dtype=np.float32))
        condition = self._condition(torch.from_numpy(labels))
        with torch.no_grad():
            mean, log_variance = functional_call(
                _Decoder(self.network), {f"network.{k}": v for k, v in to_tensors(state).items()}, (code, condition)
            )
        draws = rng.standard_normal(tuple(mean.shape), dtype=np.float32)
        return np.asarray(mean.numpy() + np.exp(0.5 * log_variance.numpy()) * draws, dtype=np.float32)

    def movement(self, base: ModelState, state: ModelState) -> float:
        """Euclidean distance of the parameters."""
        return state.distance(base)

    def _condition(self, labels: Tensor) -> Tensor:
        return (labels.unsqueeze(-1) == torch.arange(self.classes, device=labels.device)).to(torch.float32)


class _Decoder(nn.Module):
    def __init__(self, network: _Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, code: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.decode(code, condition)


def _is_large_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and min(shape[1:]) >= _LEAST_CONVOLVED


def _bounded(log_variance: Tensor) -> Tensor:
    return _LOG_VARIANCE_BOUND * torch.tanh(log_variance / _LOG_VARIANCE_BOUND)
