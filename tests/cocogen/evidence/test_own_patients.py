"""What a site tells of its own patients: counts of two models on the same rows, all large enough, or nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cocogen.errors import LearningError
from cocogen.evidence.alone import by_itself, measure
from cocogen.evidence.local import Local
from cocogen.evidence.member import Member
from cocogen.evidence.own_patients import Counts, OwnPatients, counted
from cocogen.learning.models.states import ModelState, SharedModel
from tests.cocogen.evidence.own import OwnRows, agreed_on

cells = st.lists(st.integers(0, 12), min_size=2, max_size=2).map(tuple)


def counts(right, wrong) -> Counts:
    return Counts(right=right, wrong=wrong)


@given(cells, cells, cells, cells, st.integers(0, 6))
def test_property_no_count_below_the_minimum_cell_is_told_but_the_zeros_of_an_empty_class(a, b, c, d, least) -> None:
    together, alone = counts(a, b), counts(c, d)
    if together.rows != alone.rows:
        alone = together
    told = OwnPatients.of("north", 1, together, alone, least)
    assert (told.together is None) == (told.alone is None)
    for model in (told.together, told.alone):
        for right, wrong in zip(model.right, model.wrong, strict=True) if model else ():
            assert min(right, wrong) >= least or right == wrong == 0
    withheld = [
        m for m in (together, alone) for r, w in zip(m.right, m.wrong, strict=True) if r + w and min(r, w) < least
    ]
    assert bool(withheld) == (told.together is None)


@pytest.mark.parametrize(
    ("together", "alone", "told"),
    [
        (((45,), (5,)), ((40,), (10,)), True),
        (((46,), (4,)), ((40,), (10,)), False),
        (((40,), (10,)), ((46,), (4,)), False),
        (((50,), (0,)), ((40,), (10,)), False),
        (((20, 9), (5, 5)), ((15, 9), (10, 5)), True),
        (((20, 9), (5, 5)), ((15, 10), (10, 4)), False),
        (((20, 0), (5, 0)), ((15, 0), (10, 0)), True),
    ],
)
def test_both_models_and_both_counts_must_reach_it(together, alone, told) -> None:
    found = OwnPatients.of("north", 1, counts(*together), counts(*alone), 5)
    assert (found.together is not None) is told
    assert (found.compared() is not None) is told


def test_intervals_are_wilsons_and_the_mean_over_classes_is_the_balanced_accuracy() -> None:
    share = counts((45,), (5,)).share
    expected = binomtest(45, 50).proportion_ci(method="wilson")
    assert share.value == 0.9
    assert tuple(share.interval) == pytest.approx((expected.low, expected.high), abs=1e-12)
    both = counts((20, 9), (5, 6)).share
    assert both.value == pytest.approx((20 / 25 + 9 / 15) / 2)
    assert both.interval.low < both.value < both.interval.high
    assert counts((20, 0), (5, 0)).share.value == 0.8
    assert counts((0,), (0,)).share is None


def test_predictions_are_counted_over_all_rows_or_in_each_class() -> None:
    logits = np.array([[2, 1], [0, 3], [1, 1], [0, 1], [5, 0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1])
    assert counted(logits, labels, by_class=False) == counts((3,), (2,))
    assert counted(logits, labels, by_class=True) == counts((2, 1), (1, 1))


def test_what_is_told_comes_back_from_its_plain_values() -> None:
    for least in (5, 50):
        told = OwnPatients.of("north", 3, counts((45,), (5,)), counts((40,), (10,)), least)
        assert OwnPatients.from_plain(told.to_plain()) == told
    assert set(told.to_plain()) == {"organization", "round", "together", "alone"}


@pytest.mark.parametrize(
    "change",
    [
        {"together": None},
        {"alone": {"right": [40], "wrong": [11]}},
        {"alone": {"right": [40], "wrong": []}},
        {"alone": {"right": [-1], "wrong": [51]}},
        {"alone": {"right": [40, 0], "wrong": [10]}},
        {"round": 0},
        {"scores": [0.3]},
    ],
)
def test_other_values_are_refused(change) -> None:
    told = OwnPatients.of("north", 3, counts((45,), (5,)), counts((40,), (10,)), 5).to_plain()
    with pytest.raises(LearningError, match="no counts of own patients"):
        OwnPatients.from_plain({**told, **change})
    with pytest.raises(LearningError, match="no counts of own patients"):
        OwnPatients.from_plain([told])


@pytest.fixture(scope="module")
def source(scene) -> OwnRows:
    return OwnRows(scene.task.agreed.source(), patients=True)


@pytest.fixture(scope="module")
def task(scene, source) -> Local:
    return Local(agreed_on(scene.task.agreed, source.schema), source)


def test_a_site_counts_both_models_on_its_own_patients(task, scene) -> None:
    """As whoever has the samples and both models would count."""
    member = task.members[1]
    own, patients = by_itself(member, 2), member.patients
    told = measure(member, 1, scene.bundles[0].classifier, own)
    for state, found in ((scene.bundles[0].classifier, told.together), (own, told.alone)):
        predicted = member.models.classifier.logits(state, patients.features).argmax(axis=1)
        right = int((predicted == patients.labels).sum())
        assert (found.right, found.wrong) == ((right,), (len(patients.labels) - right,))


def test_other_metrics_than_the_accuracy_tell_counts_of_each_class(task, scene, source) -> None:
    learning = task.agreed.learning.model_copy(update={"metric": "balanced-accuracy"})
    member = Member(replace(task.agreed, learning=learning), source, 1)
    told = measure(member, 1, scene.bundles[0].classifier, scene.bundles[2].classifier)
    assert told.together.rows == tuple(np.bincount(member.patients.labels, minlength=2).tolist())


def test_alone_means_own_rows_and_the_steps_of_all_rounds(task) -> None:
    """The same as where all are trained alone beside each other, up to floating point rounding."""
    alone = by_itself(task.members[1], 3)
    assert task.attester.evaluate(SharedModel(alone, ModelState({}))) == task.train_alone(3)[1]
    assert by_itself(task.members[1], 1).digest() != alone.digest()


def test_who_keeps_no_rows_apart_tells_nothing(scene) -> None:
    assert measure(scene.task.members[1], 1, scene.bundles[0].classifier, scene.bundles[1].classifier) is None
