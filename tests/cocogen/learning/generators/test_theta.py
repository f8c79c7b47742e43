from __future__ import annotations

import numpy as np
import pytest

from cocogen.data.samples import Samples
from cocogen.errors import LearningError
from cocogen.learning.generators.theta import gradient_gap
from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import ModelState

CLASSIFIER = build_classifier("logistic", shape=(2,), classes=2, hidden=1)
ZERO = ModelState({"0.weight": np.zeros((2, 2)), "0.bias": np.zeros(2)})


def samples(rows: list[list[float]], labels: list[int]) -> Samples:
    return Samples(np.array(rows, dtype=np.float32), np.array(labels, dtype=np.int64))


def test_gradients_of_a_case_that_is_computed_by_hand() -> None:
    # At zero weights both classes have probability 1/2: the gradient of a sample x of class c is ∓x/2 for the weights
    # and ∓1/2 for the biases, of norm √((|x|² + 1)/2).
    real = samples([[3.0, 0.0], [5.0, 0.0], [0.0, 1.0]], [0, 0, 1])
    synthetic = samples([[4.0, 2.0], [0.0, 2.0]], [0, 1])
    found = gradient_gap(CLASSIFIER, [ZERO], real, synthetic)
    assert found.data == pytest.approx(np.sqrt((16 + 1) / 2))
    assert found.gap == pytest.approx(np.sqrt(4 / 2))
    assert found.theta == pytest.approx(np.sqrt(2) / (2 * np.sqrt(8.5)))
    assert found.states == 1


def test_perfect_samples_have_no_gap() -> None:
    real = samples([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    assert gradient_gap(CLASSIFIER, [ZERO], real, real).theta == 0.0


def test_the_largest_values_along_the_run_count() -> None:
    real, synthetic = samples([[1.0, 0.0], [0.0, 1.0]], [0, 1]), samples([[0.5, 0.0], [0.0, 1.0]], [0, 1])
    rng = np.random.default_rng(0)
    states = [ZERO, CLASSIFIER.initial_state(rng), CLASSIFIER.initial_state(rng)]
    each = [gradient_gap(CLASSIFIER, [state], real, synthetic) for state in states]
    run = gradient_gap(CLASSIFIER, iter(states), real, synthetic)
    assert (run.data, run.gap) == (max(one.data for one in each), max(one.gap for one in each))
    assert len({one.gap for one in each}) == 3
    assert run.states == 3


def test_a_class_without_synthetic_samples_counts_as_data_only() -> None:
    real = samples([[1.0, 0.0], [0.0, 9.0]], [0, 1])
    found = gradient_gap(CLASSIFIER, [ZERO], real, samples([[1.0, 0.0]], [0]))
    assert found.gap == 0.0
    assert found.data == pytest.approx(np.sqrt((81 + 1) / 2))


def test_nothing_to_compare_is_refused() -> None:
    real = samples([[1.0, 0.0]], [0])
    with pytest.raises(LearningError, match="0 classes in common"):
        gradient_gap(CLASSIFIER, [ZERO], real, samples([[1.0, 0.0]], [1]))
    with pytest.raises(LearningError, match="0 models"):
        gradient_gap(CLASSIFIER, [], real, real)
