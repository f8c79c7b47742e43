from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.sets import DataFolders, load
from cocogen.data.sets.idx import read_idx
from cocogen.errors import DatasetError


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_read_packed_or_not(write_fashion: Callable[..., Path], tmp_path: Path, packed: bool) -> None:
    write_fashion(packed=packed)
    data = load("fashion-mnist", DataFolders(data=tmp_path))
    assert data.features.dtype == np.uint8
    assert data.labels.tolist() == [*range(10), *range(10), *range(10)]
    assert (data.shape, data.test_from, len(data.classes)) == ((1, 28, 28), 20, 10)
    for part, count in ((slice(0, 20), 20), (slice(20, 30), 10)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28))
        assert np.array_equal(data.features[part], images.reshape(count, -1))


def test_files_that_do_not_fit_together_are_refused(
    write_fashion: Callable[..., Path], idx: Callable[..., bytes], tmp_path: Path
) -> None:
    cases = {
        "20 images, but .* 19 labels": {"train_labels": idx(np.zeros(19))},
        "holds label 10": {"t10k_labels": idx(np.full(10, 10))},
        r"size \(28, 28\), test images \(27, 28\)": {"t10k_images": idx(np.zeros((10, 27, 28)))},
        "images of 0 x 28 pixels": {"train_images": idx(np.zeros((20, 0, 28)))},
        "0 images": {"t10k_images": idx(np.zeros((0, 28, 28))), "t10k_labels": idx(np.zeros(0))},
    }
    for message, changes in cases.items():
        write_fashion(**changes)
        with pytest.raises(DatasetError, match=message):
            load("fashion-mnist", DataFolders(data=tmp_path))


def test_a_missing_file_is_named(write_fashion: Callable[..., Path], tmp_path: Path) -> None:
    write_fashion(t10k_labels=None)
    with pytest.raises(DatasetError, match=r"neither t10k-labels-idx1-ubyte\.gz nor t10k-labels-idx1-ubyte") as caught:
        load("fashion-mnist", DataFolders(data=tmp_path))
    assert "fashion-mnist/" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "holds only 23"),
        (lambda content: content + b"x", "holds more"),
        (lambda content: b"\x00\x00\x0d" + content[3:], "begins with 00000d02, not with 00000802"),
        (lambda content: content[:3] + b"\x03" + content[4:], "begins with 00000803"),
        (lambda content: content[:7], "begins with 00000802"),
        (lambda content: b"", "begins with"),
        (
            lambda content: content[:4] + b"\xff" * 8 + content[12:],
            "claims 18,446,744,065,119,617,025 bytes, more than",
        ),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_malformed_idx_file_is_refused(
    idx: Callable[..., bytes], tmp_path: Path, change: Callable[[bytes], bytes], message: str, packed: bool
) -> None:
    content = change(idx(np.arange(24).reshape(4, 6)))
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DatasetError, match=message):
        read_idx(path, dimensions=2)


def test_a_gzip_file_that_is_cut_off_or_damaged_is_refused(idx: Callable[..., bytes], tmp_path: Path) -> None:
    whole = gzip.compress(idx(np.arange(240).reshape(4, 60)))
    path = tmp_path / "array.gz"
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum
    for content in (whole[: len(whole) // 2], whole[:-4], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="not a valid idx file"):
            read_idx(path, dimensions=2)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a valid idx file"):
        read_idx(tmp_path, dimensions=2)


def test_a_pipe_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="no regular file"):
        read_idx(tmp_path / "pipe", dimensions=2)
