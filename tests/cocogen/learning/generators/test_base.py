from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.learning.generators.base import deficit_labels


def counts(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_missing_class_is_filled_first() -> None:
    labels = deficit_labels(counts(0, 50), np.array([0.4, 0.6]), 20)
    assert labels.tolist() == [0] * 20


def test_enough_samples_reach_the_consortium_mix() -> None:
    labels = deficit_labels(counts(0, 60), np.array([0.4, 0.6]), 40)
    assert np.bincount(labels).tolist() == [40]
    labels = deficit_labels(counts(0, 60), np.array([0.4, 0.6]), 140)
    assert np.bincount(labels).tolist() == [80, 60]


def test_an_organization_without_samples_generates_the_mix() -> None:
    assert np.bincount(deficit_labels(counts(0, 0), np.array([0.25, 0.75]), 8)).tolist() == [2, 6]


def test_nothing_is_generated_for_nothing() -> None:
    assert deficit_labels(counts(3, 5), np.array([0.4, 0.6]), 0).shape == (0,)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    own=st.lists(st.integers(0, 80), min_size=2, max_size=6),
    amount=st.integers(0, 500),
    seed=st.integers(0, 1000),
)
def test_property_amount_is_exact_and_surplus_classes_are_not_generated(own: list[int], amount: int, seed: int) -> None:
    mix = np.random.default_rng(seed).dirichlet(np.ones(len(own)))
    labels = deficit_labels(counts(*own), mix, amount)
    assert len(labels) == amount
    drawn = np.bincount(labels, minlength=len(own))
    surplus = np.array(own) > mix * (sum(own) + amount)
    assert not drawn[surplus].any()
