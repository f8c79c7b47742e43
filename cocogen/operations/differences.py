"""Between what a site registered and what it holds now: what differs, in words, and whether it differs by too few.

Words and values are for the site's own screen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cocogen.data.own.rows import SCALE
from cocogen.data.own.sums import NumberSums, Sums
from cocogen.errors import SiteError
from cocogen.operations.site_state import Kept, changed_rows
from cocogen.terms.schema import ImageSchema, NumberFeature, TableSchema

__all__ = ["check_far", "differences"]

_MOST = 6
"""Differences in one message."""


def check_far(kept: Kept, earlier: Kept, site_file: str) -> None:
    """See that what a new registration says, less what an earlier one said, is of nobody or of enough people.

    Under the same features the rows of both sides are compared one by one. Under others, what both state of the same
    class, level or number: the rows behind it cannot be compared, so that equal counts of other values are refused too.

    Raises
    ------
    SiteError
        They differ by fewer than ``minimum_cell`` of either schema.
    """
    least = max(kept.schema.minimum_cell, earlier.schema.minimum_cell)
    if least < 2:
        return
    if _same_rows(kept.schema, earlier.schema):
        found = [(f"{max(changed)} {side} rows", max(changed)) for side, changed in _sides(kept, earlier)]
    else:
        found = list(_figures(kept, earlier))
    few = [what for what, count in found if 0 < count < least]
    if few:
        made = earlier.registration.document
        raise SiteError(
            f"these data differ from what was registered for the consortium {made.consortium} (key {made.address}) by "
            f"{few[0]}: the difference of both would show fewer than {least} people",
            file=site_file,
            hint="register the same rows, or wait until more have changed; split.validation moves rows, too",
        )


def differences(before: Kept, now: Kept, sums: Sums) -> list[str]:
    """What differs between a registration and the rows of the same schema now; empty where the rows are the same.

    ``sums``: of the rows now.
    """
    if np.array_equal(before.rows, now.rows):
        return []
    gone, new = changed_rows(before.rows, now.rows)
    if not gone and not new:
        return ["the same rows are in another order, or on the other side of the split"]
    found = [f"{gone:,} of {len(before.rows):,} registered rows are not there, {new:,} others are"]
    found += list(_columns(before.registration.sums, sums, before.schema))
    return [*found[:_MOST], "…"] if len(found) > _MOST else found


def _sides(kept: Kept, earlier: Kept) -> Iterator[tuple[str, tuple[int, int]]]:
    new, old = kept.registration.document.training, earlier.registration.document.training
    yield "training", changed_rows(earlier.rows[:old], kept.rows[:new])
    yield "validation", changed_rows(earlier.rows[old:], kept.rows[new:])


def _same_rows(one: TableSchema | ImageSchema, other: TableSchema | ImageSchema) -> bool:
    alike = {"minimum_cell": 0}
    return one.model_copy(update=alike) == other.model_copy(update=alike)


def _figures(kept: Kept, earlier: Kept) -> Iterator[tuple[str, int]]:
    """What two registrations of different features both state, and by how many people it differs at least."""
    sums, others = kept.registration.sums, earlier.registration.sums
    for side, new, old in (
        ("training rows", sums.training, others.training),
        ("validation rows", sum(sums.validation), sum(others.validation)),
    ):
        yield f"{abs(new - old)} {side}", abs(new - old)
    if kept.schema.classes == earlier.schema.classes:
        for counts, before in ((sums.classes, others.classes), (sums.validation, others.validation)):
            for name, new, old in zip(kept.schema.classes, counts, before, strict=True):
                yield f"{abs(new - old)} rows of class {name}", abs(new - old)
    if isinstance(kept.schema, ImageSchema) or isinstance(earlier.schema, ImageSchema):
        return
    numbers = dict(zip(earlier.schema.numbers, others.numbers, strict=False))
    for feature, own in zip(kept.schema.numbers, sums.numbers, strict=False):
        if (said := numbers.get(feature)) is not None:
            apart = abs(own.count - said.count)
            other = (own.total, own.squares) != (said.total, said.squares)
            yield f"{apart or 'as many but other'} values of {feature.name}", apart or int(other)
    categories = dict(zip(earlier.schema.categories, others.categories, strict=False))
    for category, levels in zip(kept.schema.categories, sums.categories, strict=False):
        if (stated := categories.get(category)) is not None:
            for name, new, old in zip(category.levels, levels.counts, stated.counts, strict=True):
                yield f"{abs(new - old)} rows at level {name} of {category.name}", abs(new - old)


def _columns(before: Sums, now: Sums, schema: TableSchema | ImageSchema) -> Iterator[str]:
    label = schema.label if isinstance(schema, TableSchema) else "class"
    for name, *counts in zip(
        schema.classes, *([*zip(s.classes, s.validation, strict=True)] for s in (before, now)), strict=True
    ):
        registered, found = (sum(count) for count in counts)
        if registered != found:
            yield f"{label}: {registered:,} rows were {name}, and {found:,} are now"
    if isinstance(schema, ImageSchema):
        return
    for feature, said, own in zip(schema.numbers, before.numbers, now.numbers, strict=False):
        if (said.count, said.total, said.squares) != (own.count, own.total, own.squares):
            yield f"{feature.name}: {_said(feature, said)} were registered, and {_said(feature, own)} are there now"
    for category, levels, counted in zip(schema.categories, before.categories, now.categories, strict=False):
        for name, old, new in zip(category.levels, levels.counts, counted.counts, strict=True):
            if old != new:
                yield f"{category.name}: {old:,} rows were {name}, and {new:,} are now"


def _said(feature: NumberFeature, sums: NumberSums) -> str:
    if not sums.count:
        return "no values"
    mean = feature.minimum + sums.total / sums.count / SCALE * (feature.maximum - feature.minimum)
    return f"{sums.count:,} values of mean {mean:.6g}"
