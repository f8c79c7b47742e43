"""From canonical rows to what models are trained on: a pure function of the schema and the federation's sums.

A missing number becomes the mean of all sites' values; numbers are then standardized with mean and deviation over all
training rows, filled ones among them: what scikit-learn's SimpleImputer and StandardScaler give on the union of the
sites. With "indicator" a column follows that is 1 where the value was missing. A category is one-hot, 0 and 1 as they
are, "level" with one more column at the end. Images are standardized by channel. Mean and variance are exact rationals
of the sums, rounded once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.rows import MISSING, SCALE, Cells, Rows
from cocogen.data.own.sums import NumberSums, Sums, deviates_too_little
from cocogen.data.own.table import Images, Table
from cocogen.errors import DatasetError, SiteError
from cocogen.terms.schema import ImageSchema, NumberFeature, TableSchema

__all__ = ["Transform"]


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """``mean`` and ``deviation`` (positive): (A,) float64 for a table's numbers, as fractions of their ranges
    (0 is the minimum, 1 the maximum), (channels,) for images, in bytes."""

    schema: TableSchema | ImageSchema
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, schema: TableSchema | ImageSchema, total: Sums) -> Transform:
        """The transform of a federation whose sites' sums :func:`.sums.added` up to ``total``.

        Raises
        ------
        DatasetError
            Nobody has a value of some number, or all sites together deviate by less than 2^-20 of its range.
        """
        if isinstance(schema, ImageSchema):
            pixels = total.training * (schema.pixels // schema.shape[0])
            moments = [_moments(pixels, pixels, own.total, own.squares, 1) for own in total.channels]
        else:
            moments = [
                _of_number(feature, own, total.training)
                for feature, own in zip(schema.numbers, total.numbers, strict=True)
            ]
        return cls(schema, np.array([mean for mean, _ in moments]), np.array([spread for _, spread in moments]))

    def apply(self, data: Table | Images | Rows) -> NDArray[np.float32]:
        """Samples, (n, d) float32: of a table or of images in their own order, of rows in that of their leaves.

        Raises
        ------
        SiteError
            A value is missing that the schema requires; ``row`` counts as the order of ``data``.
        """
        rows = data if isinstance(data, Rows) else Rows.of(data)
        samples = np.empty((len(rows), math.prod(self.schema.shape)), dtype=np.float32)
        for start, stop in rows.pieces():
            self._fill(samples[start:stop], rows.cells(start, stop), start)
        return samples

    def apply_to_cells(self, cells: Cells) -> NDArray[np.float32]:
        """Samples of canonical rows, (m, d) float32; SiteError as :meth:`apply`."""
        samples = np.empty((len(cells), math.prod(self.schema.shape)), dtype=np.float32)
        self._fill(samples, cells, 0)
        return samples

    def to_plain(self) -> dict[str, Any]:
        """As JSON takes it: the schema, and both lists, exact."""
        return {
            "schema": self.schema.model_dump(mode="json"),
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Transform:
        """The inverse of :meth:`to_plain`; DatasetError when it is no transform."""
        try:
            kind = ImageSchema if plain["schema"]["kind"] == "images" else TableSchema
            schema = kind.model_validate(plain["schema"])
            mean, deviation = (np.array(plain[name], dtype=np.float64) for name in ("mean", "deviation"))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError("the transform is malformed", hint="export the model again") from error
        length = (schema.shape[0] if isinstance(schema, ImageSchema) else len(schema.numbers),)
        if mean.shape != length or deviation.shape != length or not np.all(np.isfinite(mean) & (deviation > 0.0)):
            raise DatasetError(f"the transform has no {length[0]} means and deviations", hint="export the model again")
        return cls(schema, mean, deviation)

    def _fill(self, samples: NDArray[np.float32], cells: Cells, first: int) -> None:
        schema = self.schema
        if isinstance(schema, ImageSchema):
            each = schema.pixels // schema.shape[0]
            samples[...] = (cells.pixels - np.repeat(self.mean, each)) / np.repeat(self.deviation, each)
            return
        numbers = (cells.numbers.astype(np.float64) / float(SCALE) - self.mean) / self.deviation
        column = number = category = 0
        for feature in schema.feature:
            out = samples[:, column : column + feature.width]
            if isinstance(feature, NumberFeature):
                missing = cells.numbers[:, number] == MISSING
                out[:, 0] = np.where(missing, 0.0, numbers[:, number])
                if feature.missing == "indicator":
                    out[:, 1] = missing
                number += 1
            else:
                levels = cells.levels[:, category]
                missing = levels < 0
                out[...] = np.where(missing, len(feature.levels), levels)[:, None] == np.arange(feature.width)
                category += 1
            if feature.missing == "refuse" and missing.any():
                raise SiteError(
                    "no value, and the schema requires one",
                    row=first + int(np.argmax(missing)) + 1,
                    column=feature.name,
                    hint='fill it in, or agree on another "missing" of this feature in the schema',
                )
            column += feature.width


def _of_number(feature: NumberFeature, own: NumberSums, training: int) -> tuple[float, float]:
    if not own.count:
        raise DatasetError(f"no site has a value of {feature.name!r}", hint="leave the feature out of the schema")
    if deviates_too_little(own):
        raise DatasetError(
            f"over all sites {feature.name!r} deviates by less than 2^-20 of its range, "
            f"{feature.minimum:g} to {feature.maximum:g}",
            hint="narrow its minimum and maximum in the schema",
        )
    return _moments(own.count, training, own.total, own.squares, SCALE)


def _moments(count: int, rows: int, total: int, squares: int, unit: int) -> tuple[float, float]:
    """Mean of ``count`` values and deviation over ``rows``, where those without a value have the mean; in ``unit``.

    A constant deviates by 1.
    """
    if not count:
        raise DatasetError("no site has any training rows")
    variance = Fraction(count * squares - total**2, count * rows * unit**2)
    return float(Fraction(total, count * unit)), math.sqrt(float(variance)) if variance else 1.0
