"""Bounded influence: what clipping and trimming promise, whoever lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cocogen.errors import LearningError
from cocogen.learning.aggregation.robust import clip_updates, trimmed_mean
from cocogen.learning.models.states import ModelState


def state(values) -> ModelState:
    array = np.asarray(values, dtype=np.float32)
    return ModelState({"a": array[:2], "b": array[2:].reshape(1, -1)})


def random_states(count: int, seed: int = 0, width: int = 7) -> list[ModelState]:
    return [state(row) for row in np.random.default_rng(seed).normal(size=(count, width))]


def flat(model: ModelState) -> np.ndarray:
    return np.concatenate([array.ravel() for array in model.values()])


# The trimmed mean


@pytest.mark.parametrize(("count", "trim"), [(5, 0.2), (10, 0.1), (10, 0.3), (7, 3 / 7)])
def test_with_equal_weights_it_is_scipys_trimmed_mean(count: int, trim: float) -> None:
    states = random_states(count)
    expected = stats.trim_mean(np.stack([flat(s) for s in states]).astype(np.float64), trim + 1e-12, axis=0)
    np.testing.assert_allclose(flat(trimmed_mean(states, [3] * count, trim)), expected, rtol=1e-6)


def test_the_number_trimmed_is_rounded_up_and_leaves_somebody() -> None:
    states = [state([value] * 3) for value in (0, 1, 5, 6, 100)]
    assert flat(trimmed_mean(states, [1] * 5, 0.01))[0] == 4.0, "one at either end of five, however small the share"
    assert flat(trimmed_mean(states, [1] * 5, 0.49))[0] == 5.0, "the median is left"
    assert flat(trimmed_mean(states[:2], [1] * 2, 0.49))[0] == 0.5, "of two nobody can be spared"
    assert flat(trimmed_mean(states[4:], [1], 0.49))[0] == 100.0
    hundred = [state([value] * 3) for value in range(100)]
    ends = trimmed_mean(hundred[:93] + [state([1e6] * 3)] * 7, [1] * 100, 0.07)
    assert flat(ends)[0] == np.float32(np.mean(range(7, 93)))


def test_those_that_stay_count_by_weight() -> None:
    states = [state([value] * 3) for value in (-9, 1, 4, 9)]
    assert flat(trimmed_mean(states, [50, 1, 2, 50], 0.25)).tolist() == [3.0] * 3


def test_organizations_without_weight_take_no_part() -> None:
    states = random_states(6)
    with_nobody = trimmed_mean(states, [2, 0, 3, 1, 0, 4], 0.2)
    without = trimmed_mean([states[n] for n in (0, 2, 3, 5)], [2, 3, 1, 4], 0.2)
    assert with_nobody.digest() == without.digest()


@given(st.integers(3, 12), st.integers(0, 2**32), st.data())
def test_property_liars_cannot_leave_the_range_of_the_honest(count: int, seed: int, data) -> None:
    """At most ⌈trim · n⌉ liars, of whatever weight: every coordinate stays between two honest values."""
    trim = data.draw(st.sampled_from([0.1, 0.2, 0.3, 0.4]))
    liars = data.draw(st.integers(0, min(int(np.ceil(trim * count - 1e-9)), (count - 1) // 2)))
    rng = np.random.default_rng(seed)
    honest = random_states(count - liars, seed)
    lies = [state(row) for row in rng.choice([-1e30, -1.0, 0.1, 1e30], size=(liars, 7))]
    weights = [int(w) for w in rng.integers(1, 10, size=count - liars)] + [10**9] * liars
    result = flat(trimmed_mean(honest + lies, weights, trim))
    values = np.stack([flat(s) for s in honest])
    assert (values.min(axis=0) - 1e-6 <= result).all()
    assert (result <= values.max(axis=0) + 1e-6).all()


def test_large_arrays_are_trimmed_in_parts_and_all_of_them() -> None:
    rng = np.random.default_rng(1)
    arrays = rng.normal(size=(4, 70_001)).astype(np.float32)
    result = trimmed_mean([ModelState({"w": row}) for row in arrays], [1] * 4, 0.25)["w"]
    expected = np.sort(arrays, axis=0)[1:3].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_equal_inputs_give_equal_bytes() -> None:
    states = random_states(6)
    assert trimmed_mean(states, range(1, 7), 0.2).digest() == trimmed_mean(states, range(1, 7), 0.2).digest()


@pytest.mark.parametrize("trim", [0.0, 0.5, -0.1, float("nan")])
def test_a_share_outside_its_range_is_an_error(trim: float) -> None:
    with pytest.raises(LearningError, match="cannot be trimmed"):
        trimmed_mean(random_states(3), [1] * 3, trim)


def test_nobody_with_weight_is_an_error() -> None:
    with pytest.raises(LearningError, match="no organization"):
        trimmed_mean(random_states(2), [0, 0], 0.2)


# Clipped norms


def test_long_updates_are_shortened_to_multiples_of_the_median_and_keep_their_direction() -> None:
    base = state(np.ones(5))
    steps = [state(1 + factor * np.arange(5)) for factor in (1, 1.5, 2, -40, 3)]
    clipped = clip_updates(steps, [base] * 5, 1.25)
    median = steps[2].distance(base)
    for n in (0, 1, 2):
        assert clipped[n] is steps[n]
    for n in (3, 4):
        assert clipped[n].distance(base) == pytest.approx(1.25 * median, rel=1e-5)
        ratio = (flat(clipped[n]) - 1)[1:] / (flat(steps[n]) - 1)[1:]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
        assert 0 < ratio[0] < 1


def test_each_update_is_measured_from_its_own_base() -> None:
    bases = [state(np.zeros(5)), state(np.full(5, 100)), state(np.zeros(5))]
    steps = [state(np.full(5, 1)), state(np.full(5, 101)), state(np.full(5, 9))]
    clipped = clip_updates(steps, bases, 1.0)
    assert clipped[0] is steps[0]
    assert clipped[1] is steps[1]
    np.testing.assert_allclose(flat(clipped[2]), np.ones(5), rtol=1e-6)


def test_one_update_is_its_own_median_and_none_is_none() -> None:
    only = random_states(1)
    assert clip_updates(only, random_states(1, 5), 1.0) == only
    assert clip_updates([], [], 1.0) == []


def test_updates_that_did_not_move_stay_where_they_are() -> None:
    base = state(np.ones(5))
    clipped = clip_updates([base, base, state(np.arange(5))], [base] * 3, 2.0)
    assert [flat(s).tolist() for s in clipped] == [[1.0] * 5] * 3


@pytest.mark.parametrize("multiple", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_multiple_is_an_error(multiple: float) -> None:
    with pytest.raises(LearningError, match="clipped"):
        clip_updates(random_states(2), random_states(2), multiple)
