"""A small table in any dialect, its schema and its site file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from cocogen.data.own.conform import read_table
from cocogen.data.own.site import Site, load_site
from cocogen.data.own.table import Table
from cocogen.terms.schema import TableSchema

CSV = """\
patient,age,glucose,sex,outcome
a1,40,5.5,f,survived
a2,70,,m,died
a3,130,7.25,f,survived
a4,55,6,m,died
"""


def schema_of(*features: dict[str, Any], **others: Any) -> TableSchema:
    default = (
        {"name": "age", "kind": "number", "minimum": 0, "maximum": 120},
        {"name": "glucose", "kind": "number", "minimum": 0, "maximum": 50, "missing": "mean"},
        {"name": "sex", "kind": "category", "levels": ["f", "m"]},
    )
    document = {"kind": "table", "label": "outcome", "classes": ["survived", "died"], "feature": features or default}
    return TableSchema.model_validate({**document, **others})


SCHEMA = schema_of()


def write(folder: Path, content: str | bytes = CSV, settings: str = "", name: str = "export.csv") -> Site:
    """The site of a file that is written with it."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return site_of(folder, name, settings)


def site_of(folder: Path, name: str, settings: str = "", organization: str = "north") -> Site:
    head = f'organization = "{organization}"\ndata = "{name}"\n'
    (folder / "site.toml").write_text(head + textwrap.dedent(settings), encoding="utf-8")
    return load_site(folder / "site.toml")


def rows_of(site: Site, schema: TableSchema = SCHEMA, **options: Any) -> Table:
    table = read_table(site, schema, **options)
    assert isinstance(table, Table)
    return table
