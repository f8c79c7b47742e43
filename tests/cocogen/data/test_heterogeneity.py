from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cocogen.data.heterogeneity import heterogeneity, label_counts, label_deviation, label_entropy, label_mix

COUNTS = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 6)), elements=st.integers(0, 50)).filter(
    lambda counts: counts.sum(axis=0).min() > 0
)


def test_label_counts_have_a_column_for_classes_nobody_holds() -> None:
    assert label_counts([np.array([0, 0, 2]), np.array([2])], 4).tolist() == [[2, 0, 1, 0], [0, 0, 1, 0]]


def test_heterogeneity_is_total_variation_from_the_consortium() -> None:
    counts = np.array([[10, 0], [0, 30]])
    assert np.allclose(heterogeneity(counts), [0.75, 0.25])
    assert np.allclose(heterogeneity(np.array([[5, 5], [20, 20]])), 0.0)


def test_label_mix_of_an_empty_organization_is_uniform() -> None:
    assert np.allclose(label_mix(np.array([[3, 1], [0, 0]])), [[0.75, 0.25], [0.5, 0.5]])


def test_label_deviation_is_the_l1_distance_to_the_reference() -> None:
    counts = np.array([[10, 0], [0, 30]])
    assert np.allclose(label_deviation(counts), [1.5, 0.5])
    assert np.allclose(label_deviation(counts, np.array([0.5, 0.5])), [1.0, 1.0])
    assert np.allclose(label_deviation(np.array([[3, 1]]), np.array([0.75, 0.25])), 0.0)


def test_label_entropy_runs_from_one_class_to_all_alike() -> None:
    entropy = label_entropy(np.array([[7, 0, 0, 0], [5, 5, 0, 0], [2, 2, 2, 2]]))
    assert np.allclose(entropy, [0.0, math.log(2), math.log(4)])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(counts=COUNTS)
def test_property_measures_stay_in_their_ranges(counts: np.ndarray) -> None:
    delta, deviation, entropy = heterogeneity(counts), label_deviation(counts), label_entropy(counts)
    assert np.all((delta >= 0) & (delta < 1))
    assert np.all((deviation >= 0) & (deviation < 2))
    assert np.allclose(deviation, 2 * delta)
    assert np.all((entropy >= 0) & (entropy <= math.log(counts.shape[1]) + 1e-12))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(counts=COUNTS, factor=st.integers(2, 9))
def test_property_measures_depend_on_mixes_and_not_on_the_unit_of_counting(counts: np.ndarray, factor: int) -> None:
    for measure in (heterogeneity, label_deviation, label_entropy):
        assert np.allclose(measure(counts), measure(factor * counts))
