from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cocogen.data.sets import DataFolders, load
from cocogen.errors import DatasetError

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


NUMBERS = ["?", "i1", "i2", "<i4", ">i4", "i8", "u1", "u2", "u4", "u8", "f2", "<f4", ">f4", "f8", ">f8", "g"]


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_of_numbers_is_read_row_by_row_or_column_by_column(tmp_path: Path, kind: str, order: str) -> None:
    table = np.asarray(TABLE, dtype=kind, order=order)  # type: ignore[call-overload]
    data = load("own.npz", save(tmp_path, table))
    assert np.array_equal(data.features, table.astype(np.float32))
    assert (data.features.dtype, data.features.flags.c_contiguous) == (np.dtype("=f4"), True)
    images = load("own.npz", save(tmp_path, np.asarray(table[:, :, None], order=order)))
    assert np.array_equal(images.features, table.astype(np.float32))
    assert images.features.dtype == (np.uint8 if kind in ("?", "u1") else np.float32)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS.astype(np.int8), ("0", "1", "2")),
        (LABELS.astype(">u2"), ("0", "1", "2")),
        (LABELS + 1, ("1", "2", "3")),
        (np.array([-1, 2**60, 7, 7]), ("-1", "7", str(2**60))),
        (np.array([0, 2**64 - 1, 1, 1], dtype=np.uint64), ("0", "1", str(2**64 - 1))),
        (np.array(["cat", "Zürich", "dog", "dog"]), ("Zürich", "cat", "dog")),
        (np.array(["cat", "Zürich", "dog", "dog"]).astype(">U7"), ("Zürich", "cat", "dog")),
        (np.char.encode(["cat", "zürich", "dog", "dog"], "utf-8"), ("cat", "dog", "zürich")),
    ],
)
def test_labels_of_any_integers_or_text_keep_their_names(
    tmp_path: Path, labels: np.ndarray, names: tuple[str, ...]
) -> None:
    data = load("own.npz", save(tmp_path, TABLE, labels))
    assert data.classes == names
    assert (data.labels.dtype, data.labels[2], data.labels[3]) == (np.int64, data.labels[3], data.labels[2])
    text = [value.decode() if isinstance(value, bytes) else str(value) for value in labels.tolist()]
    assert [data.classes[label] for label in data.labels] == text


def test_labels_that_are_true_or_false_are_two_classes(tmp_path: Path) -> None:
    data = load("own.npz", save(tmp_path, TABLE, LABELS > 1))
    assert (data.classes, data.labels.tolist()) == (("False", "True"), [0, 1, 0, 0])


MIXED = np.array([[1, "a"], [2, "b"], [3, "a"], [4, "b"]], dtype=object)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"features": TABLE.astype(np.complex64)}, "features are of type complex64", "features.real"),
        ({"features": MIXED}, "features are of type object", r"table.to_numpy\(float\)"),
        ({"features": MIXED.astype(str)}, "features are of type <U", "get_dummies"),
        ({"features": TABLE.astype("M8[s]")}, "features are of type datetime64", "days since 1970"),
        ({"features": TABLE.astype("m8[s]")}, "features are of type timedelta64", "timedelta64"),
        ({"features": np.zeros(4, dtype=[("a", "f4")])}, "features are of type", "rather than to_records"),
        ({"features": TABLE.astype(np.float64) * 1e300}, "more than 1e", "rescale"),
        ({"features": np.full((4, 2), np.iinfo(np.int64).max)}, "more than 1e", "rescale"),
        ({"features": np.full((4, 2), 2**64 - 1, dtype=np.uint64)}, "more than 1e", "rescale"),
        ({"features": TABLE.ravel()}, r"shape \(12,\)", r"reshape\(-1, 1\)"),
        ({"features": np.zeros((4, 0), dtype=np.float32)}, r"shape \(4, 0\)", "one of these shapes"),
        ({"features": TABLE[:3]}, "3 samples, but 4 labels", "one label"),
        ({"features": TABLE.T}, "3 samples, but 4 labels", "features.T"),
        ({"features": np.zeros((4, 32, 32, 3), dtype=np.uint8)}, "channels last", r"transpose\(0, 3, 1, 2\)"),
        ({"features": np.where(TABLE == 5, np.nan, TABLE)}, r"features\[:, 2\] .* NaN or infinity", "fillna"),
        ({"features": TABLE + np.array([0, 1.7e9, 0])}, r"features\[:, 1\] .* lies between 17", r"mean\(\) first"),
        ({"labels": LABELS.astype(np.float32)}, "labels are of type float32", r"astype\(int\)"),
        ({"labels": LABELS[:, None]}, r"shape \(4, 1\)", r"labels.ravel\(\)"),
        ({"labels": LABELS[:0], "features": TABLE[:0]}, r"shape \(0,\)", "one for each sample"),
        ({"labels": np.array(["a", "b", "c", "d"], dtype=object)}, "labels are of type object", r"astype\(str\)"),
        ({"labels": np.array(["a", "", "b", ""])}, "2 labels of .* are empty", "leave out"),
        ({"labels": np.array(["a", " a", "b", "b"])}, "spaces around 'a'", "char.strip"),
        ({"labels": np.array(["a", "b" * 201, "a", "a"])}, "201 characters", "short name"),
        ({"labels": np.array([b"a", b"\xff", b"a", b"a"])}, "no text", r"astype\(str\)"),
        ({"labels": np.frombuffer(b"\xff" * 16, dtype="<U1")}, "no text", "anew"),
        ({"labels": np.array(["a", "\ud800", "a", "a"])}, "no text", "anew"),
        ({"extra": LABELS}, "extra, features, labels", "and no others"),
    ],
)
def test_arrays_of_another_form_are_refused_with_the_call_that_helps(
    tmp_path: Path, changes: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        load("own.npz", save(tmp_path, **changes))
    assert re.search(hint, caught.value.hint)


def test_a_table_is_looked_at_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocogen.data.sets.table._CELLS", 5)  # one row at a time
    assert np.array_equal(load("own.npz", save(tmp_path, TABLE)).features, TABLE)
    spoiled = TABLE.copy()
    spoiled[3, 1] = np.inf
    with pytest.raises(DatasetError, match=r"features\[:, 1\] .* NaN or infinity"):
        load("own.npz", save(tmp_path, spoiled))


def test_the_calls_that_hints_name_help(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"dose": [1, 2, 3, 4], "arm": ["a", "b", "a", "b"], "ok": [True, False, True, True]})
    with pytest.raises(DatasetError, match="object"):
        load("own.npz", save(tmp_path, table.to_numpy(), table["arm"].astype(object).to_numpy()))
    numbers = pandas.get_dummies(table).to_numpy(float)
    data = load("own.npz", save(tmp_path, numbers, table["arm"].to_numpy().astype(str)))
    assert (data.shape, data.classes, data.labels.tolist()) == ((4,), ("a", "b"), [0, 1, 0, 1])


def test_a_column_that_hardly_varies_beside_its_size_is_read_once_centred(tmp_path: Path) -> None:
    dates = TABLE.astype(np.float64) + np.array([0, 1.7e9, 0])
    dates[:, 1] -= dates[:, 1].mean()
    assert np.ptp(load("own.npz", save(tmp_path, dates)).features[:, 1]) == 9.0


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(DatasetError, match="not a valid file of arrays"):
        load("own.npz", DataFolders(tmp_path))


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocogen.data.sets.table.MAXIMUM_BYTES", 500)
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
