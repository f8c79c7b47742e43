"""The data sets by name or path, as plain arrays.

Left out: who holds which sample (:mod:`cocogen.data.sources`).
"""

from __future__ import annotations

import numpy as np

from cocogen.data.scaling import Features
from cocogen.data.sets import bundled
from cocogen.data.sets.base import Dataset
from cocogen.data.sets.cifar import CIFAR_10, CIFAR_100, read_cifar
from cocogen.data.sets.fashion import fashion_mnist
from cocogen.data.sets.folders import DataFolders
from cocogen.data.sets.images import read_image_folder
from cocogen.data.sets.table import read_table
from cocogen.errors import DatasetError
from cocogen.terms.datasets import is_path, known_datasets

__all__ = ["DataFolders", "Dataset", "load"]

_CELLS = 2**22
"""Numbers that are compared at once."""


def load(dataset: str, folders: DataFolders | None = None) -> Dataset:
    """The data set of that name, or at that path (:func:`~cocogen.terms.datasets.is_path`).

    Raises
    ------
    DatasetError
        When there is none, when its files are neither there nor to be had, when they are malformed, or when all
        samples are of one class or the same; the message says which file, and what to put where.
    """
    data = _read(dataset, folders or DataFolders())
    if len(np.unique(data.labels)) < 2:
        raise DatasetError(
            f"every sample of {dataset} is of one class, {data.classes[int(data.labels[0])]}",
            hint="learning to tell classes apart needs samples of two at least",
        )
    if not _varies(data.features):
        raise DatasetError(
            f"all {len(data.labels):,} samples of {dataset} are the same: none of their "
            f"{data.features.shape[1]:,} numbers varies",
            hint="check how the data set was made: nothing tells the classes apart",
        )
    return data


def _varies(features: Features) -> bool:
    """Whether any row differs from the first."""
    step = max(1, _CELLS // features.shape[1])
    return any((features[start : start + step] != features[0]).any() for start in range(0, len(features), step))


def _read(dataset: str, folders: DataFolders) -> Dataset:
    if is_path(dataset):
        path = folders.resolve(dataset)
        return read_image_folder(path) if path.is_dir() else read_table(path)
    match dataset:
        case "diagnostic":
            return bundled.diagnostic()
        case "digits":
            return bundled.digits()
        case "fashion-mnist":
            return fashion_mnist(folders)
        case "cifar-10":
            return read_cifar(CIFAR_10, folders)
        case "cifar-100":
            return read_cifar(CIFAR_100, folders)
    raise DatasetError(
        f"no data set is called {dataset!r}",
        hint=f'choose one of: {", ".join(known_datasets())}; or a path, such as "./scans/" or "table.npz"',
    )
