from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from cocogen.learning.models.classifiers import DenseClassifier, build_classifier
from cocogen.learning.models.dense import Layer, gradients

Batch = tuple[Tensor, Tensor, Tensor]


def stack(widths: tuple[int, ...], organizations: int, samples: int) -> tuple[list[Layer], Batch]:
    """Layers of these widths in float64, and a batch in which organization n leaves out its last n samples."""
    source = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    layers = [
        (normal(organizations, after, before) / before**0.5, normal(organizations, after))
        for before, after in itertools.pairwise(widths)
    ]
    labels = torch.randint(0, widths[-1], (organizations, samples), generator=source)
    kept = samples - torch.arange(organizations)[:, None]
    weights = (torch.arange(samples) < kept) / kept.double()
    return layers, (normal(organizations, samples, widths[0]), labels, weights)


def by_autograd(layers: list[Layer], batch: Batch) -> tuple[list[Tensor], list[Layer]]:
    """Losses and gradients of one organization after the other."""
    features, labels, weights = batch
    losses, found = [], [(torch.zeros_like(weight), torch.zeros_like(bias)) for weight, bias in layers]
    for n in range(len(features)):
        own = [(weight[n].clone().requires_grad_(), bias[n].clone().requires_grad_()) for weight, bias in layers]
        output = features[n]
        for number, (weight, bias) in enumerate(own):
            output = torch.nn.functional.linear(output.relu() if number else output, weight, bias)
        loss = (torch.nn.functional.cross_entropy(output, labels[n], reduction="none") * weights[n]).sum()
        loss.backward()
        losses.append(loss.detach())
        for (weight, bias), (own_weight, own_bias) in zip(found, own, strict=True):
            assert own_weight.grad is not None
            assert own_bias.grad is not None
            weight[n], bias[n] = own_weight.grad, own_bias.grad
    return losses, found


@pytest.mark.parametrize("widths", [(5, 3), (5, 8, 3), (7, 6, 9, 2)])
@pytest.mark.parametrize("organizations", [1, 4])
def test_the_written_out_gradients_are_those_of_autograd(widths: tuple[int, ...], organizations: int) -> None:
    layers, batch = stack(widths, organizations, samples=11)
    losses, found = gradients(layers, *batch)
    expected_losses, expected = by_autograd(layers, batch)
    torch.testing.assert_close(losses, torch.stack(expected_losses), rtol=1e-12, atol=1e-14)
    for pair, expected_pair in zip(found, expected, strict=True):
        torch.testing.assert_close(pair, expected_pair, rtol=1e-12, atol=1e-14)


def test_samples_without_weight_change_nothing() -> None:
    layers, (features, labels, weights) = stack((5, 8, 3), 3, samples=11)
    changed = torch.where((weights == 0)[..., None], 1e6, features)
    for one, other in zip(
        gradients(layers, features, labels, weights)[1], gradients(layers, changed, labels, weights)[1], strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_neither_parameters_nor_samples_are_written_to() -> None:
    layers, batch = stack((5, 8, 3), 3, samples=11)
    before = [tensor.clone() for tensor in (*(tensor for layer in layers for tensor in layer), *batch)]
    gradients(layers, *batch)
    after = [*(tensor for layer in layers for tensor in layer), *batch]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_a_classifier_names_its_gradients_as_its_parameters(model: str) -> None:
    classifier = build_classifier(model, shape=(5,), classes=3, hidden=4)
    state = classifier.initial_state(np.random.default_rng(0))
    parameters = {name: torch.from_numpy(np.stack([array, array])) for name, array in state.items()}
    _, (features, labels, weights) = stack((5, 3), 2, samples=6)
    assert isinstance(classifier, DenseClassifier)
    losses, found = classifier.gradients(parameters, features.float(), labels, weights.float())
    assert losses.shape == (2,)
    assert {name: gradient.shape for name, gradient in found.items()} == {
        name: tensor.shape for name, tensor in parameters.items()
    }
    leaves = {name: tensor[0].clone().requires_grad_() for name, tensor in parameters.items()}
    means = classifier.losses(leaves, features[0].float(), labels[0], torch.zeros(6, 0)) * weights[0].float()
    for name, expected in zip(leaves, torch.autograd.grad(means.sum(), list(leaves.values())), strict=True):
        torch.testing.assert_close(found[name][0], expected, rtol=1e-5, atol=1e-6)
