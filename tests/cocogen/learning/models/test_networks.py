from __future__ import annotations

import numpy as np
import pytest
import torch

from cocogen.errors import LearningError
from cocogen.learning.models.classifiers import MODELS, build_classifier, to_tensors
from cocogen.learning.models.networks import Linear


@pytest.mark.parametrize("bias", [True, False])
def test_stacked_linear_layers_equal_one_after_the_other(bias: bool) -> None:
    layer, rng = Linear(3, 2, bias=bias), torch.Generator().manual_seed(0)
    weights, biases = torch.randn(4, 2, 3, generator=rng), torch.randn(4, 2, generator=rng)
    features = torch.randn(4, 5, 3, generator=rng)

    def apply(weight: torch.Tensor, offset: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        parameters = {"weight": weight, "bias": offset} if bias else {"weight": weight}
        return torch.func.functional_call(layer, parameters, (batch,))

    stacked = apply(weights, biases, features)
    assert stacked.shape == (4, 5, 2)
    for n in range(4):
        assert torch.allclose(stacked[n], apply(weights[n], biases[n], features[n]), atol=1e-6)


@pytest.mark.parametrize(("shape", "units"), [((1, 28, 28), 256), ((3, 32, 32), 400), ((1, 16, 20), 32)])
def test_lenet_has_the_layers_of_the_paper(shape: tuple[int, int, int], units: int) -> None:
    classifier = build_classifier("lenet", shape=shape, classes=10, hidden=1)
    state = classifier.initial_state(np.random.default_rng(0))
    assert sorted(array.shape for array in state.values() if array.ndim > 1) == sorted(
        [(6, shape[0], 5, 5), (16, 6, 5, 5), (120, units), (84, 120), (10, 84)]
    )
    features = np.random.default_rng(1).standard_normal((3, int(np.prod(shape)))).astype(np.float32)
    assert classifier.logits(state, features).shape == (3, 10)


def test_resnet18_has_the_parameters_of_the_paper() -> None:
    classifier = build_classifier("resnet18", shape=(3, 32, 32), classes=10, hidden=1)
    state = classifier.initial_state(np.random.default_rng(0))
    # 11,173,962 is the count of ResNet-18 with this stem and ten classes; group normalization has batch
    # normalization's parameters, without its running statistics.
    assert sum(array.size for array in state.values()) == 11_173_962
    assert sum(array.ndim == 4 for array in state.values()) == 20


@pytest.mark.parametrize("model", MODELS)
def test_every_model_starts_with_logits_of_order_one(model: str) -> None:
    classifier = build_classifier(model, shape=(3, 16, 16), classes=5, hidden=16)
    features = np.random.default_rng(1).standard_normal((4, 768)).astype(np.float32)
    logits = classifier.logits(classifier.initial_state(np.random.default_rng(0)), features)
    assert logits.shape == (4, 5)
    assert 0.01 < float(logits.std()) < 30.0


@pytest.mark.parametrize("model", ["lenet", "resnet18"])
def test_image_models_refuse_tables_and_say_what_to_choose(model: str) -> None:
    with pytest.raises(LearningError, match="a row of 30 numbers") as refused:
        build_classifier(model, shape=(30,), classes=2, hidden=4)
    assert "logistic or mlp" in str(refused.value.hint)


@pytest.mark.parametrize(("model", "shape"), [("lenet", (1, 8, 8)), ("lenet", (1, 28, 15)), ("resnet18", (3, 8, 7))])
def test_image_models_refuse_images_that_are_too_small(model: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(LearningError, match=f"these have {shape[1]} x {shape[2]}"):
        build_classifier(model, shape=shape, classes=10, hidden=4)


def test_the_smallest_images_are_as_small_as_they_say() -> None:
    for model, side in (("lenet", 16), ("resnet18", 8)):
        classifier = build_classifier(model, shape=(1, side, side), classes=2, hidden=1)
        state = classifier.initial_state(np.random.default_rng(0))
        assert classifier.logits(state, np.zeros((1, side * side), dtype=np.float32)).shape == (1, 2)


def test_gains_of_normalizations_start_at_one_and_biases_at_zero() -> None:
    network = build_classifier("resnet18", shape=(1, 8, 8), classes=2, hidden=1)
    state = network.initial_state(np.random.default_rng(0))
    vectors = {name: array for name, array in to_tensors(state).items() if array.ndim == 1}
    assert all(bool((v == (1.0 if name.endswith("weight") else 0.0)).all()) for name, v in vectors.items())
    assert sum(name.endswith("weight") for name in vectors) == 20
