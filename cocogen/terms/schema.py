"""What a row of an organization's own data is: ``[learning.schema]``, which all sites read their files by.

The schema is part of the terms, hence of what everybody signs; how a site's own columns, units and names become those
of the schema is the site's business alone (:mod:`cocogen.data.own`).
"""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cocogen.files import canonical_json

__all__ = ["CategoryFeature", "Feature", "ImageSchema", "NumberFeature", "Schema", "TableSchema"]

_MAXIMUM_FEATURES = 10_000
_MAXIMUM_NAMES = 1_000
_Bound = Annotated[float, Field(ge=-1e15, le=1e15)]


def _is_a_name(value: str) -> str:
    if not value.isprintable() or value != value.strip() or not 1 <= len(value) <= 100:
        raise ValueError("1 to 100 printable characters, without spaces around them")
    return value


Name = Annotated[str, Field(strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("name", "label", check_fields=False)
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        return _is_a_name(value)

    @field_validator("classes", "levels", check_fields=False)
    @classmethod
    def _has_different_names(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            _is_a_name(value)
        if len(set(values)) != len(values):
            raise ValueError("each once")
        return values


class NumberFeature(_Section):
    """A number in the schema's unit. Values beyond ``minimum`` and ``maximum`` are clipped to them, and counted.

    Both bounds are required, because they limit what one site can do to everybody's scale; choose them as wide as the
    quantity can be, not as the data are. ``missing``: "refuse" it, take the "mean" over all sites, or do so with an
    "indicator", a 0/1 column beside it.
    """

    name: Name
    kind: Literal["number"]
    minimum: _Bound
    maximum: _Bound
    missing: Literal["refuse", "mean", "indicator"] = "refuse"

    @model_validator(mode="after")
    def _spans_a_range(self) -> NumberFeature:
        if not self.maximum - self.minimum >= 1e-12 * max(1.0, abs(self.minimum), abs(self.maximum)):
            raise ValueError(f"minimum {self.minimum:g} must lie below maximum {self.maximum:g}")
        return self

    @property
    def width(self) -> int:
        """Columns that it becomes."""
        return 2 if self.missing == "indicator" else 1


class CategoryFeature(_Section):
    """One of ``levels``, one column for each in this order. ``missing``: "refuse" it, or a "level" of its own."""

    name: Name
    kind: Literal["category"]
    levels: Annotated[tuple[Name, ...], Field(min_length=2, max_length=_MAXIMUM_NAMES)]
    missing: Literal["refuse", "level"] = "refuse"

    @property
    def width(self) -> int:
        """Columns that it becomes."""
        return len(self.levels) + (self.missing == "level")


Feature: TypeAlias = Annotated[NumberFeature | CategoryFeature, Field(discriminator="kind")]
_Side = Annotated[int, Field(ge=1, le=4096)]
Cell = Annotated[int, Field(ge=0, le=1_000, strict=True)]


class TableSchema(_Section):
    """A table with one row a case: the ``label`` column, its ``classes`` in the order of their numbers, and features.

    ``minimum_cell``: no count between 1 and this leaves a site; 0 only where the data are public.
    """

    kind: Literal["table"]
    label: Name
    classes: Annotated[tuple[Name, ...], Field(min_length=2, max_length=_MAXIMUM_NAMES)]
    minimum_cell: Cell = 5
    feature: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=_MAXIMUM_FEATURES)]

    @model_validator(mode="after")
    def _names_every_column_once(self) -> TableSchema:
        names = [self.label, *(feature.name for feature in self.feature)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"every column once, but {', '.join(map(repr, twice))} is there twice")
        return self

    @property
    def numbers(self) -> tuple[NumberFeature, ...]:
        """The numbers, in schema order."""
        return tuple(feature for feature in self.feature if isinstance(feature, NumberFeature))

    @property
    def categories(self) -> tuple[CategoryFeature, ...]:
        """The categories, in schema order."""
        return tuple(feature for feature in self.feature if isinstance(feature, CategoryFeature))

    @property
    def shape(self) -> tuple[int, ...]:
        """(d,), the columns of a sample."""
        return (sum(feature.width for feature in self.feature),)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, as hexadecimal text."""
        return _digest(self)


class ImageSchema(_Section):
    """Images of ``shape`` (channels, height, width), bytes, in one of ``classes``.

    ``minimum_cell``: no count between 1 and this leaves a site; 0 only where the data are public.
    """

    kind: Literal["images"]
    shape: tuple[
        Annotated[int, Field(ge=1, le=4)], Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]
    ]
    classes: Annotated[tuple[Name, ...], Field(min_length=2, max_length=_MAXIMUM_NAMES)]
    minimum_cell: Cell = 5

    @property
    def pixels(self) -> int:
        """Bytes of an image."""
        return math.prod(self.shape)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, as hexadecimal text."""
        return _digest(self)


Schema: TypeAlias = Annotated[TableSchema | ImageSchema, Field(discriminator="kind")]


def _digest(schema: TableSchema | ImageSchema) -> str:
    return hashlib.sha256(canonical_json(schema.model_dump(mode="json"))).hexdigest()
