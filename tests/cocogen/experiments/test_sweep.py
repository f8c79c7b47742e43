from __future__ import annotations

import numpy as np
import pytest

from cocogen.experiments.sweep import above_first, largest, peaks, peaks_by, sweep
from cocogen.experiments.table import Table, stack

WELFARE = {(1.0, 0): (4.0, 5.0, 3.0), (1.0, 1): (4.0, 3.0, 3.0), (2.0, 0): (1.0, 2.0, 8.0), (2.0, 1): (2.0,) * 3}


@pytest.fixture
def table() -> Table:
    rows = [
        (seed, cost, incentive, number)
        for (cost, seed), numbers in WELFARE.items()
        for incentive, number in zip((0.0, 0.5, 1.0), numbers, strict=True)
    ]
    return stack(("seed", "cost", "incentive", "welfare"), rows)


def test_a_sweep_has_a_curve_for_each_setting_and_seed(table):
    grid, curves = sweep(table, "incentive", "welfare", "cost")
    np.testing.assert_array_equal(grid, [0.0, 0.5, 1.0])
    assert list(curves) == [1.0, 2.0]
    np.testing.assert_array_equal(curves[2.0], [WELFARE[2.0, 0], WELFARE[2.0, 1]])
    np.testing.assert_array_equal(above_first(curves[1.0]), [[0.0, 25.0, -25.0], [0.0, -25.0, -25.0]])


def test_a_peak_is_none_where_no_incentive_beats_none_by_more_than_rounding(table):
    np.testing.assert_array_equal(peaks(table.where(cost=1.0)), [0.5, np.nan])
    np.testing.assert_array_equal(peaks(table.where(cost=1.0), rounding=0.25), [np.nan, np.nan])
    values, best = peaks_by(table, "cost")
    np.testing.assert_array_equal(values, [1.0, 2.0])
    np.testing.assert_array_equal(best, [[0.5, 1.0], [0.0, 0.0]])


def test_the_largest_entry_is_each_seeds_own(table):
    np.testing.assert_array_equal(largest(table, "welfare"), [8.0, 4.0])
