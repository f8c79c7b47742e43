from __future__ import annotations

import numpy as np
import pytest

from cocogen.learning.aggregation.individual import IndividualUpdates
from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import LocalWork, Schedule
from cocogen.learning.training.together import evaluate, train_together


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


def test_training_together_takes_all_three_steps_from_the_aggregation_that_it_is_given() -> None:
    """As a server would that doubles every update: clipped, combined, stepped, in that order and each round."""
    called: list[str] = []

    class Recording(IndividualUpdates):
        def clip(self, states, bases):
            called.append("clip")
            return super().clip(states, bases)

        def combine(self, states, weights):
            called.append(f"combine {weights}")
            return super().combine(states, weights)

        def step(self, current, mean, server):
            called.append("step")
            return ModelState({k: current[k] + 2 * (mean[k] - current[k]) for k in current}), server

    rng = np.random.default_rng(0)
    classifier = build_classifier("logistic", shape=(2,), classes=2, hidden=1)
    data = [(rng.normal(size=(size, 2)).astype(np.float32), rng.integers(0, 2, size)) for size in (30, 10)]
    schedule, initial = Schedule(epochs=1, batch_size=8, learning_rate=0.1), identity()

    def works(number, state):
        return [LocalWork(state, *own, np.random.default_rng([number, n])) for n, own in enumerate(data)]

    plain = train_together(classifier, initial, works, schedule, 1)
    doubled = train_together(classifier, initial, works, schedule, 1, Recording())
    for name in initial:
        assert np.allclose(doubled[name] - initial[name], 2 * (plain[name] - initial[name]), atol=1e-6)
    assert called == ["clip", "combine [30, 10]", "step"]
    train_together(classifier, initial, works, schedule, 2, Recording())
    assert called[3:] == 2 * called[:3]
