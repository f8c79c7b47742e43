"""One site's rows, conformed to the agreed schema: what everything that a site discloses or trains on is made of.

Left out: how a file becomes one (``reading``, ``conform``), and what leaves the site (``sums``, ``leaves``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = ["Images", "Table"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """n rows of a table, in the order of the file.

    ``numbers``: (n, A) float64, the schema's numbers in its order and unit, clipped to their bounds; NaN where missing.
    ``levels``: (n, K) int32, the schema's categories in its order, as indices of their levels; -1 where missing.
    ``labels``: (n,) int64, indices of the schema's classes; -1 everywhere where there is no label, to predict one.
    ``clipped``: (A,) int64, how many values of each number were clipped.
    ``groups``: (n,) int64, rows of one number stay on one side of the split; None where every row is by itself.
    """

    schema: TableSchema
    numbers: NDArray[np.float64]
    levels: NDArray[np.int32]
    labels: NDArray[np.int64]
    clipped: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """n images, in the order of their names.

    ``pixels``: (n, d) uint8, each image flattened from (channels, height, width). ``labels``: (n,) int64, indices of
    the schema's classes, -1 everywhere where there is no label. ``groups``: as of a table.
    """

    schema: ImageSchema
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)
