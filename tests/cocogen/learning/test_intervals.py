"""Intervals hold the truth as often as they say, and say something where everything was predicted right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from cocogen.learning.intervals import CONFIDENCE, area_interval, mean_of_shares, wilson
from cocogen.learning.metrics import area_under_roc


@pytest.mark.parametrize("count", [1, 2, 7, 40, 100_000])
def test_the_interval_of_a_share_is_that_of_scipy(count):
    for right in sorted({0, 1, count // 3, count - 1, count}):
        expected = binomtest(right, count).proportion_ci(CONFIDENCE, "wilson")
        found = wilson(right, count)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert 0 <= found.low <= right / count <= found.high <= 1


def test_the_mean_of_one_share_has_that_shares_interval():
    assert mean_of_shares([8], [10]) == pytest.approx(wilson(8, 10))


def test_a_mean_of_two_shares_is_newcombes_interval_of_their_difference_moved():
    """Newcombe 1998, table II, 56/70 - 48/80, method 10: 0.0524 to 0.3339; (p + (1 - q)) / 2 is half of it, moved."""
    found = mean_of_shares([56, 80 - 48], [70, 80])
    assert (2 * found.low - 1, 2 * found.high - 1) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(("area", "positives", "negatives"), [(0.9, 10, 100), (0.5, 1, 1), (0.62, 300, 30)])
def test_the_ends_of_an_areas_interval_are_two_standard_errors_from_it(area, positives, negatives):
    """Hanley and McNeil's variance, with the mean of both numbers in the place of each (Newcombe 2006, method 5)."""
    low, high = area_interval(area, positives, negatives)
    mean = (positives + negatives) / 2
    for end in (low, high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        variance = end * (1 - end) + (mean - 1) * (q1 - end**2) + (mean - 1) * (q2 - end**2)
        assert abs(end - area) == pytest.approx(norm.ppf(0.975) * math.sqrt(variance / (positives * negatives)))
    assert low < area < high


@pytest.mark.parametrize("size", [1, 5, 1000, 10**6])
def test_an_area_of_one_or_none_is_not_certain(size):
    low, high = area_interval(1.0, size, size)
    assert high == 1.0
    assert 0.2 < low < 1.0
    assert area_interval(0.0, size, size) == pytest.approx((0.0, 1.0 - low))


def test_intervals_shrink_as_samples_grow():
    widths = [np.ptp(area_interval(0.8, size, 2 * size)) for size in (5, 50, 500, 50_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.01


@pytest.mark.parametrize(("shift", "positives", "negatives"), [(1.5, 10, 100), (2.5, 8, 40), (0.5, 30, 30)])
def test_the_interval_of_an_area_holds_the_true_one_in_95_of_100(shift, positives, negatives):
    rng, positive = np.random.default_rng(5), np.arange(positives + negatives) < positives
    true = norm.cdf(shift / math.sqrt(2))
    hits = 0
    for _ in range(400):
        scores = rng.normal(size=len(positive)) + shift * positive
        low, high = area_interval(area_under_roc(scores, positive), positives, negatives)
        hits += low <= true <= high
    assert 0.93 * 400 <= hits <= 0.99 * 400


@pytest.mark.parametrize(
    "shares", [((0.9, 200), (0.6, 15)), ((0.99, 100), (0.95, 20)), ((0.8, 50), (0.5, 10), (0.3, 12))]
)
def test_the_interval_of_a_balanced_accuracy_holds_the_true_one_in_95_of_100(shares):
    rng, counts = np.random.default_rng(5), [count for _, count in shares]
    true = np.mean([share for share, _ in shares])
    hits = 0
    for _ in range(1000):
        low, high = mean_of_shares([int(rng.binomial(count, share)) for share, count in shares], counts)
        hits += low <= true <= high
    assert 0.92 * 1000 <= hits <= 0.99 * 1000
