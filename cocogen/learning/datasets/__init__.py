"""The data sets by name, as plain arrays.

Left out: who holds which sample (:mod:`cocogen.learning.holdings`).
"""

from __future__ import annotations

from cocogen.errors import DatasetError
from cocogen.learning.catalogue import known_datasets
from cocogen.learning.datasets import bundled
from cocogen.learning.datasets.base import Dataset
from cocogen.learning.datasets.folders import DataFolders

__all__ = ["DataFolders", "Dataset", "load"]


def load(dataset: str, folders: DataFolders | None = None) -> Dataset:  # noqa: ARG001
    match dataset:
        case "diagnostic":
            return bundled.diagnostic()
        case "digits":
            return bundled.digits()
    raise DatasetError(f"no data set is called {dataset!r}", hint=f"choose one of: {', '.join(known_datasets())}")
