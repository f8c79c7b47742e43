from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.sets import DataFolders, load
from cocogen.errors import DatasetError

FILES = {"data_batch_1.bin": [0, 9, 3], "data_batch_4.bin": [5], "test_batch.bin": [1, 2]}


def test_records_of_all_batches_are_read_with_the_test_batch_last(
    write_cifar: Callable[..., Path], tmp_path: Path
) -> None:
    write_cifar("cifar-10-batches-bin", FILES)
    data = load("cifar-10", DataFolders(data=tmp_path))
    assert data.labels.tolist() == [0, 9, 3, 5, 1, 2]
    assert (data.shape, data.test_from) == ((3, 32, 32), 4)
    assert data.features.dtype == np.uint8
    assert data.features[:, 0].tolist() == [0, 7, 14, 21, 28, 35]
    assert data.features[1, 1:4].tolist() == [8, 9, 10]
    assert data.classes == tuple("0123456789"), "without a file of names"


def test_cifar_100_takes_the_fine_label(write_cifar: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_cifar("cifar-100-binary", {"train.bin": [99, 20], "test.bin": [41]}, coarse=True)
    (folder / "fine_label_names.txt").write_text("".join(f"class_{n}\n" for n in range(100)))
    data = load("cifar-100", DataFolders(data=tmp_path))
    assert data.labels.tolist() == [99, 20, 41]
    assert data.features[:, 0].tolist() == [0, 7, 14]
    assert data.classes[:2] == ("class_0", "class_1")
    assert (len(data.classes), data.test_from) == (100, 2)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074])
def test_a_file_that_is_cut_off_is_refused(write_cifar: Callable[..., Path], tmp_path: Path, size: int) -> None:
    folder = write_cifar("cifar-10-batches-bin", FILES)
    (folder / "data_batch_4.bin").write_bytes(bytes(size))
    with pytest.raises(DatasetError, match=f"data_batch_4.bin has {size:,} bytes.*3,073"):
        load("cifar-10", DataFolders(data=tmp_path))


def test_an_impossible_label_is_refused(write_cifar: Callable[..., Path], tmp_path: Path) -> None:
    write_cifar("cifar-10-batches-bin", {**FILES, "test_batch.bin": [1, 10]})
    with pytest.raises(DatasetError, match=r"record 1 of .*test_batch.bin has label 10, not one of 0 to 9"):
        load("cifar-10", DataFolders(data=tmp_path))


@pytest.mark.parametrize("missing", ["data_batch_*.bin", "test_batch.bin"])
def test_missing_batches_are_named(write_cifar: Callable[..., Path], tmp_path: Path, missing: str) -> None:
    folder = write_cifar("cifar-10-batches-bin", FILES)
    for file in folder.glob(missing):
        file.unlink()
    with pytest.raises(DatasetError, match="holds no file") as caught:
        load("cifar-10", DataFolders(data=tmp_path))
    assert missing in str(caught.value)
    assert "cifar-10-binary.tar.gz" in caught.value.hint


def test_a_file_of_names_must_name_every_class(write_cifar: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_cifar("cifar-10-batches-bin", FILES)
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError, match="names 2 classes, not 10"):
        load("cifar-10", DataFolders(data=tmp_path))


def test_more_than_fits_in_memory_is_refused_before_it_is_read(
    write_cifar: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar("cifar-10-batches-bin", FILES)
    monkeypatch.setattr("cocogen.data.sets.cifar.MAXIMUM_BYTES", 6 * 3072 - 1)
    with pytest.raises(DatasetError, match="6 images, more than fit"):
        load("cifar-10", DataFolders(data=tmp_path))


@pytest.mark.parametrize("target", ["nowhere", "data_batch_4.bin", "/dev/zero"])
def test_a_link_to_no_file_is_named(write_cifar: Callable[..., Path], tmp_path: Path, target: str) -> None:
    folder = write_cifar("cifar-10-batches-bin", FILES)
    (folder / "data_batch_4.bin").unlink()
    (folder / "data_batch_4.bin").symlink_to(target)
    with pytest.raises(DatasetError, match=r"data_batch_4\.bin is no regular file"):
        load("cifar-10", DataFolders(data=tmp_path))


def test_a_file_that_the_system_refuses_is_named(
    write_cifar: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_cifar("cifar-10-batches-bin", FILES)
    (folder / "batches.meta.txt").write_text("x")
    probe = Path.is_file

    def refuse(path: Path) -> bool:
        if path.name == refused:
            raise PermissionError(13, "Permission denied")
        return probe(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    for refused in ("data_batch_4.bin", "batches.meta.txt"):
        with pytest.raises(DatasetError, match=f"{refused} cannot be read"):
            load("cifar-10", DataFolders(data=tmp_path))


def test_samples_of_one_class_alone_are_refused(write_cifar: Callable[..., Path], tmp_path: Path) -> None:
    write_cifar("cifar-10-batches-bin", {"data_batch_1.bin": [3, 3], "test_batch.bin": [3]})
    with pytest.raises(DatasetError, match="every sample of cifar-10 is of one class, 3"):
        load("cifar-10", DataFolders(data=tmp_path))
