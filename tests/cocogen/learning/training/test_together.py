from __future__ import annotations

import numpy as np
import pytest

from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.together import balanced_accuracy, evaluate


def identity() -> ModelState:
    return ModelState({"0.weight": np.eye(2, dtype=np.float32), "0.bias": np.zeros(2, dtype=np.float32)})


def test_evaluation_by_hand() -> None:
    classifier = build_classifier("logistic", shape=(2,), classes=2, hidden=1)
    features = np.array([[2, 0], [0, 2], [2, 0], [2, 0]], dtype=np.float32)
    labels = np.array([0, 1, 1, 0])
    result = evaluate(classifier, identity(), features, labels)
    right, wrong = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert result.accuracy == 0.75
    assert result.balanced_accuracy == 0.75
    assert result.loss == pytest.approx((3 * right + wrong) / 4)
    assert result.to_dict()["samples"] == 4


def test_loss_survives_extreme_logits() -> None:
    classifier = build_classifier("logistic", shape=(2,), classes=2, hidden=1)
    result = evaluate(classifier, identity(), np.array([[1e30, -1e30]], dtype=np.float32), np.array([1]))
    assert np.isfinite(result.loss)


def test_balanced_accuracy_counts_only_classes_that_are_there() -> None:
    assert balanced_accuracy(np.array([2, 2, 1, 1]), np.array([2, 2, 2, 1])) == pytest.approx((2 / 3 + 1) / 2)
