"""What is measured is what scikit-learn measures, and what it leaves undefined is a typed error here."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from cocogen.errors import ConfigurationError, LearningError
from cocogen.learning.intervals import area_interval, mean_of_shares, wilson
from cocogen.learning.metrics import area_under_roc, balanced_accuracy, judge, require_measurable


def predictions(classes: int, count: int = 90, seed: int = 0):
    """Logits and labels, of which the last class is rare."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=np.r_[np.full(classes - 1, 0.9 / (classes - 1)), 0.1])
    return (rng.normal(size=(count, classes)) + np.eye(classes)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy"])
def test_accuracies_and_loss_are_those_of_scikit_learn(classes, metric):
    logits, labels = predictions(classes)
    found, predicted = judge(logits, labels, metric), logits.argmax(axis=1)
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    chances = np.exp(logits.astype(np.float64))
    assert found.loss == pytest.approx(log_loss(labels, chances / chances.sum(axis=1, keepdims=True)))
    assert found.value == (found.accuracy if metric == "accuracy" else found.balanced_accuracy)
    assert found.auroc is None


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_area_under_the_curve_is_that_of_scikit_learn_with_ties_and_without(decimals):
    rng = np.random.default_rng(3)
    for _ in range(50):
        positive = rng.permutation(np.arange(40) < rng.integers(1, 40))
        scores = rng.normal(size=40).round(decimals)
        assert area_under_roc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_the_area_of_a_classifier_is_that_of_its_chances_of_the_second_class():
    logits, labels = predictions(2)
    chances = np.exp(logits.astype(np.float64))
    found = judge(logits, labels, "auroc")
    assert found.value == found.auroc == pytest.approx(roc_auc_score(labels, chances[:, 1] / chances.sum(axis=1)))
    assert found.bounds == area_interval(found.auroc, int(labels.sum()), int((labels == 0).sum()))


def test_constant_scores_rank_nothing():
    assert area_under_roc(np.zeros(7), np.arange(7) < 2) == 0.5
    found = judge(np.zeros((7, 2), dtype=np.float32), (np.arange(7) < 2).astype(np.int64), "auroc")
    assert found.auroc == 0.5
    assert found.bounds.low < 0.2
    assert found.bounds.high > 0.8


def test_a_score_that_is_no_number_ranks_as_undecided_and_infinite_ones_at_the_ends():
    positive = np.array([True, False, True, False])
    assert area_under_roc(np.array([np.nan, -1.0, np.inf, -np.inf]), positive) == 1.0
    assert area_under_roc(np.array([np.nan, 0.0, 0.0, np.nan]), positive) == 0.5
    overflown = np.array([[np.inf, np.inf], [1, 0], [0, np.inf], [np.inf, 0]], dtype=np.float32)
    assert judge(overflown, positive.astype(np.int64), "auroc").auroc == 1.0


@pytest.mark.parametrize(("label", "word"), [(0, "negative"), (1, "positive")])
def test_samples_of_one_class_have_no_area(label, word):
    logits, labels = np.ones((3, 2), dtype=np.float32), np.full(3, label)
    with pytest.raises(LearningError, match=f"all 3 samples are {word}"):
        judge(logits, labels, "auroc")
    assert judge(logits, labels, "balanced-accuracy").value == 1 - label


def test_more_than_two_classes_have_no_area():
    with pytest.raises(LearningError, match="of two classes, not of 3"):
        judge(np.ones((4, 3), dtype=np.float32), np.arange(4) % 3, "auroc")


def test_a_balanced_accuracy_counts_only_classes_that_are_there():
    assert balanced_accuracy(np.array([2, 2, 1, 1]), np.array([2, 2, 2, 1])) == pytest.approx((2 / 3 + 1) / 2)


def test_each_metric_has_its_own_interval():
    logits, labels = predictions(2)
    predicted = logits.argmax(axis=1)
    right = [int((predicted[labels == c] == c).sum()) for c in (0, 1)]
    counts = np.bincount(labels).tolist()
    assert judge(logits, labels).bounds == wilson(sum(right), 90)
    assert judge(logits, labels, "balanced-accuracy").bounds == mean_of_shares(right, counts)


def test_a_document_says_what_it_did_before_there_were_other_metrics_and_no_more():
    logits, labels = predictions(2)
    plain = judge(logits, labels).to_dict()
    assert list(plain) == ["accuracy", "balanced_accuracy", "loss", "samples"]
    balanced = judge(logits, labels, "balanced-accuracy")
    assert balanced.to_dict() == plain | {"low": balanced.bounds.low, "high": balanced.bounds.high}
    ranked = judge(logits, labels, "auroc")
    ends = {"low": ranked.bounds.low, "high": ranked.bounds.high}
    assert ranked.to_dict() == plain | {"auroc": ranked.auroc} | ends


def test_what_cannot_be_measured_is_known_before_anything_is_trained():
    both, ones = np.array([0, 1]), np.array([1, 1])
    require_measurable("auroc", both, 2, "the test fold")
    require_measurable("balanced-accuracy", ones, 3, "the test fold")
    with pytest.raises(ConfigurationError, match=r'learning\.metric = "auroc": for two classes'):
        require_measurable("auroc", both, 3, "the test fold")
    with pytest.raises(LearningError, match="only class 1 is among the 2 samples of the test fold"):
        require_measurable("auroc", ones, 2, "the test fold")
    with pytest.raises(LearningError, match="no sample is among the 0 samples"):
        require_measurable("auroc", ones[:0], 2, "the test fold")
