"""What a site discloses adds up exactly, in any order, and no count of few people is among it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own.rows import MISSING, SCALE, Rows
from cocogen.data.own.sums import NumberSums, Sums, added, deviates_too_little, filled
from cocogen.data.own.table import Table
from cocogen.errors import SiteError
from tests.cocogen.data.own.tables import images, part, schema, table

NOBODY = np.zeros(0, dtype=np.int64)


def everything(own: Table) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(own)), NOBODY


def test_sums_are_those_of_python_integers() -> None:
    own = table(300)
    rows = Rows.of(own, np.arange(0, 300, 2), np.arange(1, 300, 2))
    sums = Sums.of(rows)
    cells = rows.cells(0, 150)
    for column, number in enumerate(sums.numbers):
        values = [int(q) for q in cells.numbers[:, column] if q != MISSING]
        assert number == NumberSums(
            len(values), 150 - len(values), int(own.clipped[column]), sum(values), sum(q * q for q in values)
        )
    for column, category in enumerate(sums.categories):
        assert [*category.counts, category.missing] == [
            int(np.sum(cells.levels[:, column] == level)) for level in (*range(len(category.counts)), -1)
        ]
    assert sums.classes == tuple(np.bincount(own.labels[::2]).tolist())
    assert sums.validation == tuple(np.bincount(own.labels[1::2]).tolist())
    assert sums.training == 150


def test_the_largest_values_of_a_piece_do_not_overflow() -> None:
    found = schema(features=({"name": "x", "kind": "number", "minimum": 0.0, "maximum": 1.0},))
    rows = 70_000
    own = Table(found, np.ones((rows, 1)), np.zeros((rows, 0), np.int32), np.arange(rows) % 2, np.zeros(1, np.int64))
    assert Sums.of(Rows.of(own)).numbers[0] == NumberSums(rows, 0, 0, rows * SCALE, rows * SCALE**2)
    own.numbers[:] = 1.0 - 2.0**-48
    assert Sums.of(Rows.of(own)).numbers[0].squares == rows * (SCALE - 1) ** 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.randoms(use_true_random=False))
def test_sums_of_sites_apart_are_those_of_their_rows_together_in_any_order(seed: int, sites: int, order) -> None:
    whole = table(120, seed, missing=0.3)
    whole.clipped[:] = 0
    owner = np.random.default_rng(seed).integers(0, sites, 120)
    apart = [Sums.of(Rows.of(part(whole, np.flatnonzero(owner == site)))) for site in range(sites)]
    order.shuffle(apart)
    assert added(apart) == Sums.of(Rows.of(whole))


def test_sums_of_images_are_by_channel() -> None:
    own = images(30)
    sums = Sums.of(Rows.of(own))
    pixels = own.pixels.reshape(30, 3, 20).astype(object)
    for channel, found in enumerate(sums.channels):
        assert (found.total, found.squares) == (pixels[:, channel].sum(), (pixels[:, channel] ** 2).sum())
    assert added([sums, sums]).channels[0].total == 2 * sums.channels[0].total


def test_sums_of_different_schemas_do_not_add_up() -> None:
    sums = Sums.of(Rows.of(table()))
    with pytest.raises(ValueError, match="different schemas"):
        added([sums, replace(sums, numbers=())])
    with pytest.raises(ValueError, match="different schemas"):
        added([sums, Sums.of(Rows.of(images()))])


def few(minimum_cell: int = 5) -> Table:
    own = table(200, of=schema(minimum_cell), missing=0.0)
    own.clipped[:] = 9
    own.labels[:] = np.arange(200) % 2
    return own


def test_a_class_with_few_rows_is_refused_on_either_side() -> None:
    own = few()
    own.labels[:] = 0
    own.labels[:4] = 1
    with pytest.raises(SiteError, match=r"fewer than 5 training rows of class class 1 \(4\)") as refused:
        Sums.of(filled(own, *everything(own)))
    assert refused.value.column == "outcome"
    assert "merge classes" in refused.value.hint
    with pytest.raises(SiteError, match="validation rows of class"):
        Sums.of(filled(own, np.arange(4, 200), np.arange(4)))
    own.labels[4] = 1
    assert Sums.of(filled(own, *everything(own))).classes == (195, 5)


def test_a_level_with_few_rows_is_refused_and_one_with_none_is_not() -> None:
    own = few()
    own.levels[:, 1] = 0
    assert Sums.of(filled(own, *everything(own))).categories[1].counts == (200, 0, 0)
    own.levels[:3, 1] = 2
    with pytest.raises(SiteError, match=r"column 'stage'.*at level III \(3\)") as refused:
        Sums.of(filled(own, *everything(own)))
    assert "merge levels" in refused.value.hint
    open_data = replace(own, schema=schema(0))
    assert Sums.of(filled(open_data, *everything(own))).categories[1].counts == (197, 0, 3), "public data"


def test_a_column_with_few_values_is_refused() -> None:
    own = few()
    own.numbers[4:, 1] = np.nan
    with pytest.raises(SiteError, match=r"column 'glucose'.*training rows with a value \(4\)"):
        Sums.of(filled(own, *everything(own)))


def test_few_missing_values_are_filled_by_the_site_and_leave_as_none() -> None:
    own = few()
    own.numbers[:4, 1] = np.nan
    own.levels[:100, 1] = 1
    own.levels[100:, 1] = 2
    own.levels[150:154, 1] = -1
    rows = filled(own, np.arange(190), np.arange(190, 200))
    sums = Sums.of(rows)
    assert [number.missing for number in sums.numbers] == [0, 0, 0]
    assert (sums.categories[1].counts, sums.categories[1].missing) == ((0, 104, 86), 0)
    values = Rows.of(own).cells(4, 190).numbers[:, 1].astype(object)
    mean = round(values.sum() / 186)
    assert abs(int(rows.cells(0, 1).numbers[0, 1]) - mean) <= 1
    assert rows.cells(150, 151).levels[0, 1] == 1
    own.numbers[195, 1], own.levels[195, 1] = np.nan, -1
    assert rows.cells(195, 196).numbers[0, 1] == rows.number_fill[1], "validation rows too"
    assert rows.cells(195, 196).levels[0, 1] == 1


def test_enough_missing_values_stay_missing_and_are_told() -> None:
    own = few()
    own.numbers[:5, 1] = np.nan
    own.levels[:6, 1] = -1
    sums = Sums.of(filled(own, *everything(own)))
    assert (sums.numbers[1].count, sums.numbers[1].missing) == (195, 5)
    assert sums.categories[1].missing == 6


def test_few_clipped_values_leave_as_none() -> None:
    own = few()
    own.clipped[:] = [4, 5, 0]
    assert [number.clipped for number in Sums.of(filled(own, *everything(own))).numbers] == [0, 5, 0]


def test_a_number_that_hardly_varies_is_refused_and_a_constant_is_not() -> None:
    own = few()
    own.numbers[:, 0] = 50.0
    Sums.of(filled(own, *everything(own)))
    own.numbers[::2, 0] += 120 * 2.0**-21
    with pytest.raises(SiteError, match=r"column 'age': the values deviate by less than 2\^-20") as refused:
        Sums.of(filled(own, *everything(own)))
    assert "narrow its minimum and maximum" in refused.value.hint
    own.numbers[::2, 0] = 50.0 + 120 * 2.0**-18
    Sums.of(filled(own, *everything(own)))


def test_the_least_deviation_is_exact() -> None:
    step = SCALE // 2**20
    assert not deviates_too_little(NumberSums(2, 0, 0, 2 * step, (2 * step) ** 2)), "0 and 2 steps deviate by one"
    assert deviates_too_little(NumberSums(2, 0, 0, 2 * step - 1, (2 * step - 1) ** 2))
    assert not deviates_too_little(NumberSums(3, 0, 0, 3, 3)), "a constant"


@pytest.mark.parametrize("column", ["age", "sex"])
def test_a_missing_value_that_the_schema_refuses_is_refused(column: str) -> None:
    own = few()
    if column == "age":
        own.numbers[:50, 0] = np.nan
    else:
        own.levels[:50, 0] = -1
    with pytest.raises(SiteError, match=f"column '{column}': 50 training rows have none"):
        Sums.of(filled(own, *everything(own)))
