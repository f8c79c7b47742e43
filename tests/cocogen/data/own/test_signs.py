from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cocogen.data.own import signs
from cocogen.data.own.signs import duplicates, leaks, repeats
from cocogen.data.own.table import Table
from tests.cocogen.data.own.tables import schema, table


def with_numbers(data: Table, column: int, values: np.ndarray) -> Table:
    numbers = data.numbers.copy()
    numbers[:, column] = values
    return Table(data.schema, numbers, data.levels, data.labels, data.clipped, data.groups)


def test_an_unsuspicious_table_has_no_leaks() -> None:
    assert leaks(table(400)) == []


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_number_that_follows_from_the_label_is_named_in_either_direction(sign: float) -> None:
    data = table(400, missing=0.0)
    noise = np.random.default_rng(1).normal(0, 0.2, 400)
    (leak,) = leaks(with_numbers(data, 0, sign * (data.labels + noise)))
    expected = roc_auc_score(data.labels, data.labels + noise)
    assert (leak.feature, leak.absence) == ("age", False)
    assert leak.area == pytest.approx(expected, abs=1e-12)


def test_areas_are_those_of_scikit_learn_with_ties_and_several_classes() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 500)
    values = np.round(rng.normal(labels, 1.5), 1)
    sizes = np.bincount(labels)
    areas = signs._areas(values, labels, sizes)
    assert areas == pytest.approx([roc_auc_score(labels == k, values) for k in range(3)], abs=1e-12)
    levels = rng.integers(0, 5, 500) * (labels + 1) % 4
    counts = np.zeros((5, 3), dtype=np.int64)
    np.add.at(counts, (levels, labels), 1)
    for k, area in enumerate(signs._areas_of_levels(counts)):
        share = counts[levels, k] / counts[levels].sum(axis=1)
        assert area == pytest.approx(roc_auc_score(labels == k, share), abs=1e-12)


def test_a_category_and_an_absence_give_the_label_away_too() -> None:
    data = table(400, missing=0.0)
    levels = data.levels.copy()
    levels[:, 0] = data.labels
    told = leaks(Table(data.schema, data.numbers, levels, data.labels, data.clipped))
    assert [(leak.feature, leak.area) for leak in told] == [("sex", 1.0)]
    gone = with_numbers(data, 1, np.where(data.labels == 1, np.nan, 5.0))
    assert [(leak.feature, leak.absence) for leak in leaks(gone)] == [("glucose", True)]


def test_few_rows_are_no_evidence_of_a_leak() -> None:
    data = table(19, missing=0.0, of=schema())
    assert leaks(with_numbers(data, 0, data.labels.astype(float))) == []


def test_rows_beyond_the_limit_are_sampled_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "SAMPLED", 100)
    data = table(399, missing=0.0)
    values = np.random.default_rng(0).normal(size=399)
    values[::4] = data.labels[::4]
    assert [leak.area for leak in leaks(with_numbers(data, 0, values))] == [1.0]


def test_rows_that_repeat_an_earlier_one_are_told_exactly() -> None:
    data = table(300)
    places = np.r_[np.arange(300), [5, 7, 5]]
    twice = Table(data.schema, data.numbers[places], data.levels[places], data.labels[places], data.clipped)
    assert duplicates(data).tolist() == []
    assert duplicates(twice).tolist() == [300, 301, 302]
    labels = twice.labels.copy()
    labels[301] = 1 - labels[301]
    assert duplicates(Table(data.schema, twice.numbers, twice.levels, labels, data.clipped)).tolist() == [300, 302]


def test_values_of_several_rows_are_counted() -> None:
    import polars as pl

    own = repeats("patient", pl.Series(["a", "b", "a", None, None, "c"]))
    assert (own.rows, own.values, own.repeated) == (6, 3, 1)
