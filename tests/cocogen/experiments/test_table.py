from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from cocogen.experiments.table import Table, stack

ROWS = [(0, "a", 1.0), (0, "b", 2.0), (1, "b", 4.0), (1, "a", 3.0)]


@pytest.fixture
def table() -> Table:
    return stack(("seed", "kind", "value"), ROWS)


def test_a_pivot_puts_seeds_in_rows_and_values_in_columns(table):
    kinds, values = table.pivot("kind", "value")
    assert kinds == ["a", "b"]
    np.testing.assert_array_equal(values, [[1.0, 2.0], [3.0, 4.0]])


def test_a_pivot_averages_repeated_cells_and_marks_missing_ones():
    table = stack(("seed", "kind", "value"), [(0, "a", 1.0), (0, "a", 3.0), (1, "b", 5.0)])
    _, values = table.pivot("kind", "value")
    np.testing.assert_array_equal(values, [[2.0, np.nan], [np.nan, 5.0]])


def test_per_seed_is_the_mean_of_each_seed(table):
    np.testing.assert_array_equal(table.per_seed("value"), [1.5, 3.5])


def test_where_keeps_the_rows_that_match_everything(table):
    assert table.where(seed=1, kind="a").rows == ((1, "a", 3.0),)
    assert table.where(kind="c").rows == ()


def test_csv_keeps_every_digit_and_reads_back():
    value = 0.1 + 0.2
    table = stack(("seed", "name", "value"), [(np.int64(0), "a, b", np.float64(value))])
    rows = list(csv.reader(io.StringIO(table.csv().decode())))
    assert rows[0] == ["seed", "name", "value"]
    assert rows[1][:2] == ["0", "a, b"]
    assert float(rows[1][2]) == value
