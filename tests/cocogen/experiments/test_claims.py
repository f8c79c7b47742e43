"""Every verdict rule on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cocogen.errors import ConfigurationError
from cocogen.experiments.claims import (
    Interval,
    Verdict,
    at_most,
    contains,
    interior_peak,
    kendall_trends,
    not_below,
    positive,
    up_to,
)

REPRODUCED, NOT_REPRODUCED, OPPOSITE = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.OPPOSITE
SPREAD = np.array([-0.3, -0.2, -0.1, -0.05, 0.0, 0.0, 0.05, 0.1, 0.2, 0.3])


def test_the_interval_is_students_t_of_the_mean():
    sample = np.array([1.0, 2.0, 4.0, 5.0, 9.0])
    found = Interval.of(sample)
    low, high = stats.t.interval(0.95, 4, loc=sample.mean(), scale=stats.sem(sample))
    assert found.mean == pytest.approx(4.2)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.count == 5


def test_seeds_without_a_measurement_are_not_counted():
    assert Interval.of([1.0, np.nan, 3.0]).count == 2


@pytest.mark.parametrize("sample", [[], [1.0], [1.0, np.nan]])
def test_one_measurement_has_no_interval(sample):
    with pytest.raises(ConfigurationError, match="at least 2"):
        Interval.of(sample)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(1.0, REPRODUCED), (0.0, NOT_REPRODUCED), (-1.0, OPPOSITE), (0.1, NOT_REPRODUCED)]
)
def test_a_sign_needs_the_whole_interval_on_its_side(shift, verdict):
    assert positive(SPREAD + shift).verdict is verdict


def test_differences_that_are_all_zero_decide_nothing():
    assert positive(np.zeros(10)).verdict is NOT_REPRODUCED


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, REPRODUCED), (-0.1, NOT_REPRODUCED), (-0.3, NOT_REPRODUCED), (-1.0, OPPOSITE)]
)
def test_no_worse_allows_the_margin_only(shift, verdict):
    assert not_below(SPREAD + shift, 0.2).verdict is verdict


@pytest.mark.parametrize(("shift", "verdict"), [(24.0, REPRODUCED), (25.0, NOT_REPRODUCED), (26.0, OPPOSITE)])
def test_a_bound_needs_the_whole_interval_below_it(shift, verdict):
    assert at_most(SPREAD + shift, 25.0).verdict is verdict


@pytest.mark.parametrize(("shift", "verdict"), [(5.0, REPRODUCED), (6.0, NOT_REPRODUCED), (-5.0, NOT_REPRODUCED)])
def test_a_figure_is_reproduced_when_the_interval_holds_it(shift, verdict):
    assert contains(SPREAD + shift, 5.0).verdict is verdict


def test_a_figure_over_decades_is_held_against_the_geometric_mean():
    found = contains(10.0 ** (SPREAD - 9.0), 1e-9, logarithmic=True)
    assert found.verdict is REPRODUCED
    assert found.ours.mean == pytest.approx(1e-9)
    assert contains(10.0 ** (SPREAD - 9.0), 1e-8, logarithmic=True).verdict is NOT_REPRODUCED


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [(SPREAD + 64.0, REPRODUCED), (SPREAD + 63.0, NOT_REPRODUCED), (SPREAD, NOT_REPRODUCED), (SPREAD - 1.0, OPPOSITE)],
)
def test_up_to_needs_a_gain_of_that_size_and_a_positive_mean(gains, verdict):
    assert up_to(gains, 64.0).verdict is verdict


def _curves(shape) -> np.ndarray:
    return np.asarray(shape)[None, :] + 0.1 * SPREAD[:, None] * np.array([1.0, -1.0, 0.5, 0.0, 0.7])


@pytest.mark.parametrize(
    ("shape", "verdict"),
    [
        ([0.0, 1.0, 2.0, 1.0, 0.0], REPRODUCED),
        ([2.0, 1.0, 0.0, 1.0, 2.0], OPPOSITE),
        ([0.0, 1.0, 2.0, 3.0, 4.0], NOT_REPRODUCED),
        ([4.0, 3.0, 2.0, 1.0, 0.0], NOT_REPRODUCED),
        ([0.0, 0.0, 0.0, 0.0, 0.0], NOT_REPRODUCED),
    ],
)
def test_an_inner_peak_stands_above_both_ends(shape, verdict):
    assert interior_peak(_curves(shape)).verdict is verdict


def test_noise_has_no_inner_peak_although_every_curve_has_a_largest_point():
    curves = np.random.default_rng(6).normal(size=(10, 40))
    assert (curves.max(axis=1) > curves[:, 0]).all()
    assert (curves.max(axis=1) > curves[:, -1]).all()
    assert interior_peak(curves).verdict is NOT_REPRODUCED


def test_trends_are_kendalls_tau_and_zero_for_constant_curves():
    x = np.arange(4.0)
    found = kendall_trends(x, [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [2.0, 2.0, 2.0, 2.0], [1.0, 2.0, 4.0, 3.0]])
    np.testing.assert_allclose(found, [1.0, -1.0, 0.0, 2.0 / 3.0])


def test_every_finding_says_its_rule():
    findings = [positive(SPREAD), not_below(SPREAD, 0.1), at_most(SPREAD, 1.0), contains(SPREAD, 0.0)]
    findings += [up_to(SPREAD, 1.0), interior_peak(_curves(np.zeros(5)))]
    assert all("95 % interval" in finding.rule for finding in findings)
