"""Canonical rows are the same integers and bytes wherever they are made, and can be read back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own import rows as rows_module
from cocogen.data.own.rows import MISSING, SCALE, Rows, packed, quantized, restored, row_width, unpacked
from tests.cocogen.data.own.tables import images, schema, table

ONE = ({"name": "x", "kind": "number", "minimum": -2.0, "maximum": 6.0, "missing": "mean"},)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-2.0, 0),
        (6.0, SCALE),
        (2.0, SCALE // 2),
        (-3.0, 0),
        (7.0, SCALE),
        (-2.0 + 8.0 * 1.5 / SCALE, 2),  # half to even
        (-2.0 + 8.0 * 2.5 / SCALE, 2),
        (np.nan, int(MISSING)),
    ],
)
def test_a_number_is_a_count_of_steps_between_its_bounds(value: float, expected: int) -> None:
    assert quantized(schema(features=ONE), np.array([[value]])).tolist() == [[expected]]


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e15, 1e15), st.floats(1e-3, 1e15), st.floats(0.0, 1.0))
def test_no_number_leaves_its_range_and_steps_are_exact_to_rounding(low: float, width: float, share: float) -> None:
    high = low + width
    if not high - low >= 1e-12 * max(1.0, abs(low), abs(high)) or high > 1e15:
        return
    found = schema(features=({"name": "x", "kind": "number", "minimum": low, "maximum": high},))
    value = min(high, low + share * (high - low))
    (q,) = quantized(found, np.array([[value]]))[0].tolist()
    exact = (Fraction(value) - Fraction(low)) / (Fraction(high) - Fraction(low)) * SCALE
    assert 0 <= q <= SCALE
    assert abs(q - exact) <= 1, "half a step, and what doubles round"
    spacing = np.spacing(max(abs(low), abs(high)))
    assert abs(restored(found, np.array([[q]], dtype=np.uint64))[0, 0] - value) <= (high - low) * 2.0**-48 + spacing


def test_a_row_is_its_features_in_the_schemas_order() -> None:
    own = table(1)
    own.numbers[:] = [[60.0, np.nan, 0.3]]
    own.levels[:] = [[1, -1]]
    row = packed(own.schema, Rows.of(own).cells(0, 1)).tobytes()
    absent = b"\xff" * 8
    assert row == (SCALE // 2).to_bytes(8, "big") + b"\0\0\0\1" + absent + b"\xff" * 4 + SCALE.to_bytes(8, "big")
    assert len(row) == row_width(own.schema)


def test_an_image_is_its_pixels() -> None:
    own = images(3)
    assert np.array_equal(packed(own.schema, Rows.of(own).cells(1, 3)), own.pixels[1:3])
    assert row_width(own.schema) == 60


def test_rows_follow_their_leaves_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    own = table(50)
    rows = Rows.of(own, np.arange(0, 50, 2), np.arange(1, 50, 2))
    whole = packed(own.schema, rows.cells(0, 50))
    assert np.array_equal(rows.labels, np.concatenate([own.labels[::2], own.labels[1::2]]))
    monkeypatch.setattr(rows_module, "_PIECE_BYTES", 7 * row_width(own.schema))
    pieces = list(rows.pieces())
    assert len(pieces) == 8
    assert np.array_equal(np.concatenate([packed(own.schema, rows.cells(*piece)) for piece in pieces]), whole)
    assert np.array_equal(rows.cells(0, 50).labels, rows.labels)


def test_what_was_packed_is_unpacked_to_the_same_cells() -> None:
    own = table(60)
    cells = Rows.of(own).cells(0, 60)
    again = unpacked(own.schema, packed(own.schema, cells), cells.labels)
    assert np.array_equal(again.numbers, cells.numbers)
    assert np.array_equal(again.levels, cells.levels)
    assert len(again) == 60
    shown = images(4)
    assert np.array_equal(unpacked(shown.schema, shown.pixels, shown.labels).pixels, shown.pixels)


def change(row: np.ndarray, at: slice, content: bytes) -> np.ndarray:
    changed = row.copy()
    changed[0, at] = np.frombuffer(content, dtype=np.uint8)
    return changed


@pytest.mark.parametrize(
    ("at", "content", "reason"),
    [
        (slice(0, 8), (SCALE + 1).to_bytes(8, "big"), "'age' beyond its range"),
        (slice(0, 8), b"\xff" * 8, "no value of 'age'"),
        (slice(8, 12), b"\0\0\0\2", "'sex' beyond"),
        (slice(8, 12), b"\xff" * 4, "no value of 'sex'"),
        (slice(20, 24), b"\0\0\0\3", "'stage' beyond"),
    ],
)
def test_a_strangers_row_that_the_schema_does_not_know_is_refused(at: slice, content: bytes, reason: str) -> None:
    own = table(1, missing=0.0)
    row = packed(own.schema, Rows.of(own).cells(0, 1))
    with pytest.raises(ValueError, match=reason):
        unpacked(own.schema, change(row, at, content), own.labels)


def test_a_strangers_rows_of_another_width_or_label_are_refused() -> None:
    own = table(2)
    row = packed(own.schema, Rows.of(own).cells(0, 2))
    with pytest.raises(ValueError, match="bytes instead of"):
        unpacked(own.schema, row[:, 1:], own.labels)
    with pytest.raises(ValueError, match="or not 3"):
        unpacked(own.schema, row, np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="none of the 2 classes"):
        unpacked(own.schema, row, np.array([0, 2]))
