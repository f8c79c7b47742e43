"""CIFAR-10 and CIFAR-100 in their binary version [1]_: records of label bytes and 3 × 32 × 32 pixel bytes.

The Python version is never read: it is a pickle, which runs whatever its author put into it. A folder may hold any
number of records, such as a sample of the whole in the same layout.

.. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.sets.base import MAXIMUM_BYTES, Dataset
from cocogen.data.sets.download import Remote, fetch_and_unpack
from cocogen.data.sets.folders import DataFolders, cache_folder
from cocogen.errors import DatasetError

__all__ = ["CIFAR_10", "CIFAR_100", "Layout", "read_cifar"]

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set is laid out in its ``folder``: ``train`` a glob pattern, ``test`` and ``names`` (of classes) files.

    ``labels``: label bytes of a record, of which the last counts. ``files``: what the ``archive`` must hold.
    """

    name: str
    folder: str
    train: str
    test: str
    names: str
    labels: int
    classes: int
    files: tuple[str, ...]
    archive: Remote


CIFAR_10 = Layout(
    name="cifar-10",
    folder="cifar-10-batches-bin",
    train="data_batch_*.bin",
    test="test_batch.bin",
    names="batches.meta.txt",
    labels=1,
    classes=10,
    files=(*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt"),
    archive=Remote(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170_052_171,
    ),
)
CIFAR_100 = Layout(
    name="cifar-100",
    folder="cifar-100-binary",
    train="train.bin",
    test="test.bin",
    names="fine_label_names.txt",
    labels=2,  # the coarse label, then the fine one
    classes=100,
    files=("train.bin", "test.bin", "fine_label_names.txt"),
    archive=Remote(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        168_513_733,
    ),
)


def read_cifar(layout: Layout, folders: DataFolders) -> Dataset:
    """All records of the folder, the official test set last; downloaded when the folder is nowhere.

    60,000 images are 184 MB as uint8, and 737 MB once standardized to float32: ``learning.samples`` takes fewer.

    Raises
    ------
    DatasetError
        When there are no files and no network, or a file is cut off, empty, or holds an impossible label.
    """
    instead = (
        f"unpack {layout.archive.url} so that the folder of --data-dir holds {layout.folder}/{layout.files[0]} and the "
        "rest"
    )
    folder = folders.find(layout.folder) or cache_folder() / layout.folder
    if not folder.exists():
        fetch_and_unpack(layout.archive, folder, layout.files, instead=instead)
    train = sorted(folder.glob(layout.train))
    for pattern, found in ((layout.train, bool(train)), (layout.test, (folder / layout.test).is_file())):
        if not found:
            raise DatasetError(f"{folder} holds no file {pattern}", hint=instead)
    files = [*train, folder / layout.test]
    counts = [_records(file, layout) for file in files]
    total = sum(counts)
    if total * _PIXELS > MAXIMUM_BYTES:
        raise DatasetError(f"{folder} holds {total:,} images, more than fit {MAXIMUM_BYTES:,} bytes", hint=instead)
    features = np.empty((total, _PIXELS), dtype=np.uint8)
    labels = np.empty(total, dtype=np.int64)
    start = 0
    for file, count in zip(files, counts, strict=True):
        part = slice(start, start + count)
        features[part], labels[part] = _read(file, count, layout)
        start += count
    return Dataset(
        name=layout.name,
        features=features,
        labels=labels,
        classes=_class_names(folder / layout.names, layout.classes),
        shape=_SHAPE,
        test_from=sum(counts[:-1]),
    )


def _records(file: Path, layout: Layout) -> int:
    try:
        # A link to nowhere, a pipe or a device would fail later, or never end.
        size = file.stat().st_size if file.is_file() else None
    except OSError as error:
        raise _unreadable(file, error) from error
    if size is None:
        raise DatasetError(f"{file} is no regular file, or a link to none", hint="copy it again, or remove it")
    width = layout.labels + _PIXELS
    if size == 0 or size % width:
        raise DatasetError(
            f"{file} has {size:,} bytes, not a positive multiple of {width:,}, the size of a record",
            hint="it is cut off, or not the binary version: copy it again",
        )
    return size // width


def _read(file: Path, count: int, layout: Layout) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (count, 3072) and labels (count,) of one file."""
    try:
        records = np.fromfile(file, dtype=np.uint8, count=count * (layout.labels + _PIXELS)).reshape(count, -1)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    labels = records[:, layout.labels - 1]
    if int(labels.max()) >= layout.classes:
        first = int(np.argmax(labels >= layout.classes))
        raise DatasetError(
            f"record {first} of {file} has label {int(labels[first])}, not one of 0 to {layout.classes - 1}",
            hint="it is damaged, or of another layout: copy it again",
        )
    return records[:, layout.labels :], labels


def _class_names(file: Path, classes: int) -> tuple[str, ...]:
    """The names in ``file``, one a line; numbers when it is not there."""
    try:
        if not file.is_file():
            return tuple(str(label) for label in range(classes))
        with file.open("rb") as stream:
            names = stream.read(65_536).decode("utf-8", errors="replace").split()
    except OSError as error:
        raise _unreadable(file, error) from error
    if len(names) != classes:
        raise DatasetError(f"{file} names {len(names)} classes, not {classes}", hint="copy it again, or remove it")
    return tuple(names)


def _unreadable(file: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{file} cannot be read: {error}", hint="copy it again")
