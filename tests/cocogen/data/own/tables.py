"""Tables and images as a site's file becomes them: drawn, with every kind of feature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cocogen.data.own.table import Images, Table
from cocogen.terms.schema import ImageSchema, NumberFeature, TableSchema
from tests.examples import CLINICS

FEATURES: tuple[dict[str, Any], ...] = (
    {"name": "age", "kind": "number", "minimum": 0.0, "maximum": 120.0},
    {"name": "sex", "kind": "category", "levels": ["f", "m"]},
    {"name": "glucose", "kind": "number", "minimum": -3.5, "maximum": 1e6, "missing": "mean"},
    {"name": "stage", "kind": "category", "levels": ["I", "II", "III"], "missing": "level"},
    {"name": "pressure", "kind": "number", "minimum": 1e-3, "maximum": 0.3, "missing": "indicator"},
)
SECRET = bytes(range(32))


def schema(minimum_cell: int = 0, features: tuple[dict[str, Any], ...] = FEATURES, classes: int = 2) -> TableSchema:
    return TableSchema.model_validate(
        {
            "kind": "table",
            "label": "outcome",
            "classes": [f"class {n}" for n in range(classes)],
            "minimum_cell": minimum_cell,
            "feature": features,
        }
    )


def table(rows: int = 200, seed: int = 0, *, of: TableSchema | None = None, missing: float = 0.1) -> Table:
    """``missing``: the share of missing values where the schema allows them."""
    rng = np.random.default_rng(seed)
    found = schema() if of is None else of
    numbers = np.zeros((rows, len(found.numbers)))
    clipped = np.zeros(len(found.numbers), dtype=np.int64)
    for column, number in enumerate(found.numbers):
        width = number.maximum - number.minimum
        drawn = number.minimum + width * rng.normal(0.5, 0.3, rows)
        clipped[column] = np.sum((drawn < number.minimum) | (drawn > number.maximum))
        numbers[:, column] = np.clip(drawn, number.minimum, number.maximum)
        if number.missing != "refuse":
            numbers[rng.random(rows) < missing, column] = np.nan
    levels = np.zeros((rows, len(found.categories)), dtype=np.int32)
    for column, category in enumerate(found.categories):
        levels[:, column] = rng.integers(0, len(category.levels), rows)
        if category.missing != "refuse":
            levels[rng.random(rows) < missing, column] = -1
    return Table(found, numbers, levels, rng.integers(0, len(found.classes), rows), clipped)


def part(whole: Table, rows: np.ndarray) -> Table:
    return Table(whole.schema, whole.numbers[rows], whole.levels[rows], whole.labels[rows], whole.clipped * 0)


def images(count: int = 40, seed: int = 0, shape: tuple[int, int, int] = (3, 4, 5), minimum_cell: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    found = ImageSchema.model_validate(
        {"kind": "images", "shape": shape, "classes": ["cat", "dog"], "minimum_cell": minimum_cell}
    )
    return Images(found, rng.integers(0, 256, (count, found.pixels), dtype=np.uint8), rng.integers(0, 2, count))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def terms_of(path: Path, found: TableSchema | ImageSchema, *edits: tuple[str, str]) -> Path:
    """Write terms of six clinics that bring their own data; ``edits`` replace texts."""
    text = CLINICS.read_text()
    start, end = text.index("[learning]"), text.index("[generation]")
    plain = found.model_dump(mode="json")
    features = "".join(f"[[learning.schema.feature]]\n{_section(one)}" for one in plain.pop("feature", []))
    section = f'[learning]\ndataset = "own"\nmodel = "logistic"\n[learning.schema]\n{_section(plain)}{features}\n'
    text = text[:start] + section + text[end:]
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


def _section(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def site_of(folder: Path, own: Table, organization: str = "north", *, more: str = "", data: str = "export.csv") -> Path:
    """Write a table as CSV, and the site file that reads it; ``more`` goes to its end."""
    columns = [*(feature.name for feature in own.schema.feature), own.schema.label]
    lines = [",".join(columns)]
    for row in range(len(own)):
        numbers, levels = iter(own.numbers[row]), iter(own.levels[row])
        cells = []
        for feature in own.schema.feature:
            if isinstance(feature, NumberFeature):
                value = next(numbers)
                cells.append("" if np.isnan(value) else repr(float(value)))
            else:
                level = next(levels)
                cells.append("" if level < 0 else feature.levels[level])
        lines.append(",".join([*cells, own.schema.classes[own.labels[row]]]))
    (folder / data).write_text("\n".join(lines) + "\n")
    path = folder / "site.toml"
    path.write_text(f'organization = "{organization}"\ndata = "{data}"\n{more}')
    return path
