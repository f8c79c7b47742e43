from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cocogen.errors import DatasetError
from cocogen.learning.datasets import DataFolders, load

LABELS = np.array([0, 2, 1, 1], dtype=np.int64)
TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


def save(folder: Path, features: Any = TABLE, labels: Any = LABELS, **others: Any) -> DataFolders:
    np.savez(folder / "own.npz", features=features, labels=labels, **others)
    return DataFolders(folder)


def test_a_table_is_read_as_it_is(tmp_path: Path) -> None:
    data = load("own.npz", save(tmp_path))
    assert np.array_equal(data.features, TABLE)
    assert data.features.dtype == np.float32
    assert np.array_equal(data.labels, LABELS)
    assert (data.name, data.shape, data.classes, data.test_from) == ("own.npz", (3,), ("0", "1", "2"), None)


def test_a_compressed_table_is_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "own.npz", features=TABLE, labels=LABELS)
    assert np.array_equal(load("own.npz", DataFolders(tmp_path)).features, TABLE)


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 5, 6), (1, 5, 6)), ((4, 3, 5, 6), (3, 5, 6)), ((4, 1, 3, 3), (1, 3, 3))]
)
def test_images_keep_their_shape_and_bytes_stay_bytes(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = load("own.npz", save(tmp_path, pixels))
    assert data.shape == expected
    assert data.features.dtype == np.uint8
    assert np.array_equal(data.features, pixels.reshape(4, -1))


def test_a_table_of_bytes_becomes_float32(tmp_path: Path) -> None:
    assert load("own.npz", save(tmp_path, TABLE.astype(np.uint8))).features.dtype == np.float32


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("integers", [np.int32, np.uint8, np.int16, np.int64])
def test_the_numbers_that_numpy_makes_by_default_are_read(tmp_path: Path, kind: type, integers: type) -> None:
    data = load("own.npz", save(tmp_path, TABLE.astype(kind), LABELS.astype(integers)))
    assert np.array_equal(data.features, TABLE)
    assert np.array_equal(data.labels, LABELS)
    assert (data.features.dtype, data.labels.dtype) == (np.float32, np.int64)


def test_names_in_the_place_of_labels_are_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds <U3, not float32") as caught:
        load("own.npz", save(tmp_path, TABLE, np.array(["cat", "dog", "cat", "dog"])))
    assert "return_inverse=True" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": TABLE.astype(np.complex64)}, "holds complex64, not float32"),
        ({"features": TABLE.astype(np.float64) * 1e300}, "beyond float32"),
        ({"features": TABLE.astype(np.int64)}, "features of .*int64"),
        ({"features": TABLE.ravel()}, r"shape \(12,\)"),
        ({"features": np.zeros((4, 0), dtype=np.float32)}, r"shape \(4, 0\)"),
        ({"features": TABLE[:3]}, "3 samples, but 4 labels"),
        ({"features": np.zeros((4, 32, 32, 3), dtype=np.uint8)}, "channels last"),
        ({"features": np.where(TABLE == 5, np.nan, TABLE).astype(np.float32)}, "NaN or infinity"),
        ({"labels": LABELS.astype(np.float32)}, "labels of .*float32"),
        ({"labels": LABELS[:, None]}, r"shape \(4, 1\)"),
        ({"labels": LABELS + 1}, "labels of .* are 1, 2, 3, not 0 to C - 1"),
        ({"labels": np.array([0, 1, 1, 3])}, "are 0, 1, 3, not"),
        ({"labels": np.array([0, 1, 1, 2**60])}, "not 0 to C - 1"),
        ({"labels": np.array([-1, 0, 1, 2])}, "not 0 to C - 1"),
        ({"labels": LABELS[:0], "features": TABLE[:0]}, r"shape \(0,\)"),
        ({"extra": LABELS}, r"\['extra', 'features', 'labels'\]"),
        ({"labels": np.array(["a", "b", "c", "d"], dtype=object)}, "object"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load("own.npz", save(tmp_path, **changes))


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(DatasetError, match="not a valid file of arrays"):
        load("own.npz", DataFolders(tmp_path))


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocogen.learning.datasets.table.MAXIMUM_BYTES", 500)
    with pytest.raises(DatasetError, match="more than 500"):
        load("own.npz", save(tmp_path, np.zeros((4, 100), dtype=np.float32)))


def test_a_table_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"own\.npz is of one class"):
        load("own.npz", save(tmp_path, TABLE, np.zeros(4, dtype=np.int64)))


@pytest.mark.parametrize("value", [3e38, -3e38, 1.1e15])
def test_a_value_too_large_to_compute_with_is_named(tmp_path: Path, value: float) -> None:
    table = TABLE.copy()
    table[1, 2] = value
    with pytest.raises(DatasetError, match=r"features\[:, 2\] of .* more than 1e\+15"):
        load("own.npz", save(tmp_path, table))
    with pytest.raises(DatasetError, match=r"features\[:, 2, 0\] of"):
        load("own.npz", save(tmp_path, table[:, :, None]))
    table[1, 2] = 1e15
    assert load("own.npz", save(tmp_path, table)).features[1, 2] == np.float32(1e15)
