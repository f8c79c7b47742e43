"""A site's rows fall to one side by its secret alone, whole groups together, every class in proportion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own.split import site_rng, split
from tests.cocogen.data.own.tables import SECRET, rng

LABELS = np.repeat(np.arange(3), (500, 1200, 37)).astype(np.int64)


def test_every_class_is_shared_out_in_proportion() -> None:
    _, validation = split(LABELS, None, 0.2, rng())
    assert np.bincount(LABELS[validation]).tolist() == [100, 240, 7]


def test_the_split_is_the_sites_own_and_the_same_at_every_start() -> None:
    first, again, other = (split(LABELS, None, 0.2, site_rng(key))[1] for key in (SECRET, SECRET, bytes(32)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_split_is_what_it_was_when_it_was_first_drawn() -> None:
    """A site whose rows changed sides with a new version would disclose the rows between two registrations."""
    assert split(np.arange(40) % 2, None, 0.25, site_rng(SECRET))[1].tolist() == [3, 5, 8, 9, 11, 14, 21, 24, 26, 36]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 80), st.integers(1, 4), st.floats(0.0, 0.9))
def test_rows_of_a_group_are_on_one_side_and_every_row_is_somewhere(
    seed: int, groups: int, classes: int, fraction: float
) -> None:
    draw = rng(seed)
    rows = int(draw.integers(1, 300))
    labels, group = draw.integers(0, classes, rows), draw.integers(-5, groups, rows) * 7
    training, validation = split(labels, group, fraction, draw)
    assert training.dtype == validation.dtype == np.int64
    assert np.all(np.diff(training) > 0)
    assert np.all(np.diff(validation) > 0)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(rows))
    assert not set(group[training]) & set(group[validation])
    assert set(labels[training]) == set(labels), "a class without a row to train on"


def test_groups_of_mixed_classes_come_close_to_the_fraction() -> None:
    draw = rng(3)
    group = draw.integers(0, 300, 4000)
    labels = ((draw.random(4000) < 0.3) ^ (group % 2 == 0)).astype(np.int64)
    _, validation = split(labels, group, 0.25, draw)
    assert np.allclose(np.bincount(labels[validation]) / np.bincount(labels), 0.25, atol=0.01)


def test_a_single_large_group_is_trained_on() -> None:
    training, validation = split(LABELS, np.zeros(len(LABELS), dtype=np.int64), 0.2, rng())
    assert (len(training), len(validation)) == (len(LABELS), 0)


def test_without_a_fraction_or_rows_nothing_is_kept_back() -> None:
    assert len(split(LABELS, None, 0.0, rng())[1]) == 0
    assert len(split(LABELS[:0], None, 0.5, rng())[0]) == 0


@pytest.mark.parametrize(("fraction", "groups"), [(1.0, None), (-0.1, None), (0.2, np.zeros(3, dtype=np.int64))])
def test_a_fraction_out_of_range_or_groups_of_other_rows_are_refused(fraction: float, groups: object) -> None:
    with pytest.raises(ValueError, match="fraction"):
        split(LABELS, groups, fraction, rng())  # type: ignore[arg-type]
