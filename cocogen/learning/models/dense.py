"""Gradients of stacked dense classifiers in closed form: the chain rule written out, organization by organization.

A step of a small model is a few products of small matrices, and automatic differentiation spends longer on its own
bookkeeping than on them. Written out, a step takes less than half the time (``benchmarks/learning.py``); what is
computed is the same up to rounding. Left out: every objective that is more than affine layers, rectifiers and
cross-entropy (generators, convolutions), which autograd differentiates in :mod:`cocogen.learning.training.local`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Layer", "gradients"]

Layer = tuple[Tensor, Tensor]
"""Weights (N, out, in) and biases (N, out) of N organizations."""


def gradients(layers: Sequence[Layer], features: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, list[Layer]]:
    """Losses (N,), nats, and their gradients layer by layer, each as the layer is.

    The loss of organization n is Σ_b ``weights``[n, b] · cross-entropy(logits of ``features``[n, b],
    ``labels``[n, b]). Rectifiers are between the layers. ``features`` (N, B, d) float32, ``labels`` (N, B) int64 in
    [0, C), ``weights`` (N, B) float32. Samples are columns throughout, so that each product comes out in the memory
    order that the next one reads.

    With p the softmax of the logits of a sample and e its label as a unit vector, the gradient at the logits is
    weight · (p − e); at the input of a layer it is Wᵀ times the gradient at its output, where the rectifier let it
    through; at the weights it is the gradient at the output times the input, transposed.
    """
    inputs = [features.mT]
    for weight, bias in layers[:-1]:
        inputs.append(torch.baddbmm(bias.unsqueeze(-1), weight, inputs[-1].contiguous()).relu_())
    weight, bias = layers[-1]
    log_softmax = torch.log_softmax(torch.baddbmm(bias.unsqueeze(-1), weight, inputs[-1].contiguous()), dim=1)
    label = labels.unsqueeze(1)
    losses = -torch.linalg.vecdot(log_softmax.gather(1, label).squeeze(1), weights)

    at_output = log_softmax.exp_().scatter_(1, label, -1.0, reduce="add").mul_(weights.unsqueeze(1))
    found: list[Layer] = []
    for number in reversed(range(len(layers))):
        found.append((torch.bmm(at_output, inputs[number].mT), at_output.sum(dim=2)))
        if number:
            # What the rectifier let through is positive, the rest 0: the sign is the rectifier's derivative.
            at_output = torch.bmm(layers[number][0].mT, at_output).mul_(inputs[number].sign())
    return losses, found[::-1]
