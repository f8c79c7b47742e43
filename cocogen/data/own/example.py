"""A consortium to try own data with: one public table as six clinics and an attester have it, each in its own dialect.

The table is the diagnostic one that comes with scikit-learn (569 cases, public, so that no count of it is a secret).
Who has which rows is drawn once and for all: the dialects, or the same rows handed over plainly, are the same rows to
the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.extras import polars, xlsxwriter
from cocogen.data.own.site import ATTESTER
from cocogen.errors import WorkspaceError
from cocogen.files import write_atomically

__all__ = ["SITES", "write_example"]

_SEED = 569
_SHARES = {
    # rows, and the share of them that are malignant; the attester has the rest
    "north": (105, 0.25),
    "harbor": (85, 0.45),
    "riverside": (70, 0.30),
    "hillside": (60, 0.60),
    "meadow": (40, 0.35),
    "lakeview": (25, 0.48),
}
SITES = (*_SHARES, ATTESTER)
"""The folders that are written."""
_MISSING = ("mean symmetry", "worst texture")
"""Columns of which one site has not every value."""
_GAPS = 7
_MAXIMA = {
    "radius": (50, 5),
    "texture": (60, 10),
    "perimeter": (300, 50),
    "area": (5000, 1000),
    "smoothness": (0.5, 0.1),
    "compactness": (2, 0.5),
    "concavity": (2, 0.5),
    "concave points": (0.5, 0.1),
    "symmetry": (1, 0.1),
    "fractal dimension": (0.5, 0.05),
}
"""The largest of each quantity that the consortium admits: of mean and worst, and of the standard error."""
_CLASSES = ("malignant", "benign")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of one site: ``cases`` (n,), rows of the table from 1; ``values`` (n, 30) float64; ``labels`` (n,)."""

    names: tuple[str, ...]
    cases: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]

    def columns(self, names: Callable[[str], str] = str) -> dict[str, list[float | None]]:
        return {
            names(name): [None if np.isnan(value) else float(value) for value in self.values[:, place]]
            for place, name in enumerate(self.names)
        }

    def classes(self, malignant: str, benign: str) -> list[str]:
        return [(malignant, benign)[label] for label in self.labels]


_JUDGING = (
    "\n[split]\nvalidation = 0.5                # these judge models; the others measure generators and updates\n"
)


def write_example(folder: Path, *, plain: bool = False) -> tuple[Path, ...]:
    """Write ``terms.toml``, and a folder with data and ``site.toml`` for each of :data:`SITES`; the site files.

    ``plain``: the same rows in one way for all, an npz file of features and labels.

    Raises
    ------
    WorkspaceError
        The folder holds something already, or cannot be written.
    SiteError
        A library is not installed that writes one of the dialects.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError(f"{folder} is not empty", hint="name a folder that is not there yet, or an empty one")
    rows = _shared_out()
    written = []
    for name in SITES:
        own = folder / name
        try:
            own.mkdir(parents=True)
        except OSError as error:
            raise WorkspaceError(
                f"{own} cannot be made: {error.strerror or error}", hint="name a folder that you may write to"
            ) from error
        settings = (_plain if plain else _WRITERS[name])(own, rows[name])
        if name == ATTESTER:
            settings += _JUDGING
        site = own / "site.toml"
        write_atomically(site, f'organization = "{name}"\n{settings}'.encode())
        written.append(site)
    write_atomically(folder / "terms.toml", _terms(rows[ATTESTER].names).encode())
    return tuple(written)


def _shared_out() -> dict[str, _Rows]:
    """Each row of the table at one site, in the order of the table."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    names = tuple(str(name) for name in table.feature_names)
    labels = np.asarray(table.target, dtype=np.int64)  # malignant is 0, as the first of the classes
    values = np.array(table.data, dtype=np.float64)
    rng = np.random.default_rng(_SEED)
    left = [list(rng.permutation(np.flatnonzero(labels == label))) for label in range(len(_CLASSES))]
    found = {}
    for name, (count, share) in _SHARES.items():
        of_each = (round(count * share), count - round(count * share))
        places = np.sort([int(rows.pop()) for rows, own in zip(left, of_each, strict=True) for _ in range(own)])
        found[name] = _Rows(names, places + 1, values[places], labels[places])
    places = np.sort([int(row) for rows in left for row in rows])
    found[ATTESTER] = _Rows(names, places + 1, values[places], labels[places])
    gaps = found["hillside"].values
    for name in _MISSING:
        gaps[rng.choice(len(gaps), _GAPS, replace=False), names.index(name)] = np.nan
    return found


def _plain(folder: Path, rows: _Rows) -> str:
    np.savez(folder / "rows.npz", features=rows.values, labels=np.array(rows.classes(*_CLASSES)))
    return 'data = "rows.npz"\n'


def _north(folder: Path, rows: _Rows) -> str:
    """As a German Excel saves it: semicolons, decimal commas, points between thousands, Windows' encoding."""

    def cell(value: float | None) -> str:
        whole, rest = repr(value).split(".")
        return f"{int(whole):,}".replace(",", ".") + "," + rest

    lines = [["Fall", *rows.names, "Befund"]]
    columns = rows.columns().values()
    for case, label, values in zip(
        rows.cases, rows.classes("bösartig", "gutartig"), zip(*columns, strict=True), strict=True
    ):
        lines.append([str(case), *map(cell, values), label])
    text = "".join(";".join(line) + "\r\n" for line in lines)
    write_atomically(folder / "export.csv", text.encode("cp1252"))
    return """\
data = "export.csv"
identifiers = ["Fall"]

[csv]
separator = ";"
decimal = ","
thousands = "."
encoding = "cp1252"

[columns]
diagnosis = "Befund"

[values.diagnosis]
malignant = ["bösartig"]
benign = ["gutartig"]
"""


def _harbor(folder: Path, rows: _Rows) -> str:
    pl = polars()
    columns = {"case": rows.cases, **rows.columns(), "diagnosis": rows.classes(*_CLASSES)}
    pl.DataFrame(columns).write_parquet(folder / "cases.parquet")
    return 'data = "cases.parquet"\nidentifiers = ["case"]\n'


def _riverside(folder: Path, rows: _Rows) -> str:
    """Own names, and diameters where the consortium agreed on radii."""

    def own(name: str) -> str:
        return name.replace("radius", "diameter").replace(" ", "_").upper()

    columns = rows.columns(own)
    radii = [name for name in rows.names if "radius" in name]
    for name in radii:
        columns[own(name)] = [None if value is None else 2.0 * value for value in columns[own(name)]]
    frame = polars().DataFrame({"ID": rows.cases, "DIAG": rows.classes("M", "B"), **columns})
    frame.write_csv(folder / "lab.tsv", separator="\t")
    named = "".join(f'"{name}" = "{own(name)}"\n' for name in rows.names)
    factors = "".join(f'"{name}" = 0.5             # from diameters\n' for name in radii)
    return f"""\
data = "lab.tsv"
identifiers = ["ID"]

[columns]
diagnosis = "DIAG"
{named}
[values.diagnosis]
malignant = ["M"]
benign = ["B"]

[factors]
{factors}"""


def _hillside(folder: Path, rows: _Rows) -> str:
    """Two ways to say that there is no value."""
    columns: dict[str, Any] = {"patient": rows.cases, "diagnosis": rows.classes("1", "0")}
    for place, (name, values) in enumerate(rows.columns().items()):
        columns[name] = [("NA", "?")[place % 2] if value is None else repr(value) for value in values]
    polars().DataFrame(columns).write_csv(folder / "export.csv")
    return """\
data = "export.csv"
identifiers = ["patient"]

[csv]
missing = ["NA", "?"]

[values.diagnosis]
malignant = [1]
benign = [0]
"""


def _meadow(folder: Path, rows: _Rows) -> str:
    book = xlsxwriter().Workbook(str(folder / "cases.xlsx"))
    sheet = book.add_worksheet("cases")
    for place, (name, values) in enumerate(
        {"Case": rows.cases.tolist(), **rows.columns(), "diagnosis": rows.classes(*_CLASSES)}.items()
    ):
        sheet.write_column(0, place, [name, *values])
    book.add_worksheet("notes").write_string(0, 0, "exported for the consortium")
    book.close()
    return 'data = "cases.xlsx"\nidentifiers = ["Case"]\n\n[excel]\nsheet = "cases"\n'


def _lakeview(folder: Path, rows: _Rows) -> str:
    columns: dict[str, Any] = {name: np.array(values) for name, values in rows.columns().items()}
    np.savez_compressed(folder / "arrays.npz", diagnosis=np.array(rows.classes(*_CLASSES)), **columns)
    return 'data = "arrays.npz"\n'


def _attester(folder: Path, rows: _Rows) -> str:
    columns = {**rows.columns(), "diagnosis": rows.classes(*_CLASSES)}
    polars().DataFrame(columns).write_csv(folder / "holdout.csv")
    return 'data = "holdout.csv"            # never trained on by anybody\n'


_WRITERS: dict[str, Callable[[Path, _Rows], str]] = {
    "north": _north,
    "harbor": _harbor,
    "riverside": _riverside,
    "hillside": _hillside,
    "meadow": _meadow,
    "lakeview": _lakeview,
    ATTESTER: _attester,
}


def _terms(names: tuple[str, ...]) -> str:
    features = "".join(_feature(name) for name in names)
    return _HEAD + features + _TAIL


def _feature(name: str) -> str:
    quantity = name.removeprefix("mean ").removeprefix("worst ").removesuffix(" error")
    maximum = _MAXIMA[quantity][name.endswith(" error")]
    missing = 'missing = "mean"\n' if name in _MISSING else ""
    return (
        f'[[learning.schema.feature]]\nname = "{name}"\nkind = "number"\nminimum = 0\nmaximum = {maximum}\n{missing}\n'
    )


_HEAD = """\
# Six hospitals that compete for patients train one diagnostic model together, each on its own data.
# Every case is real: scikit-learn's Wisconsin diagnostic table (569 cases, 30 features), shared out once.

[consortium]
name = "hospitals"
mechanism = "cocogen+"
rounds = 5
seed = 7

[learning]
dataset = "own"                  # every organization brings its own, and its site.toml says how to read it
metric = "accuracy"
model = "mlp"
hidden = 32
local_epochs = 5
batch_size = 32
learning_rate = 0.05

[learning.schema]
kind = "table"
label = "diagnosis"
classes = ["malignant", "benign"]
minimum_cell = 0                 # public data; elsewhere 5, the default: no count may tell of a few people

"""
_TAIL = """\
[generation]
generator = "mixture"            # moments of each class: the average over hospitals is that of all their rows
pretraining_rounds = 1           # each asks every hospital once; a mixture of one component needs no more
maximum = 300                    # samples a round and hospital

[market]
accuracy = { kind = "power-law", ceiling = 1.0, scale = 4.0, exponent = 0.5 }

[market.competition]             # 0 none … 1 full; pairs that are not named get the default
default = 0.01
north = { harbor = 0.05, riverside = 0.03 }
harbor = { riverside = 0.04 }
hillside = { meadow = 0.03 }

[incentive]
redistribution = "optimal"       # the planner's optimum becomes the equilibrium; "uniform" is the published rule
offsets = "equal-surplus"        # everyone gains the same over going alone; "min-bond" needs the least bonds in all

[settlement]
wei_per_unit = 1_000_000_000_000_000
submit_window = "1 day"
dispute_window = "1 day"
quorum = 0.8
minimum_members = 5
dispute_bond = 2_000_000_000_000_000   # 2 units, locked by whoever disputes a round

[[organization]]
name = "north"
profitability = 2400.0           # currency per unit of accuracy and round
generation_cost = { linear = 0.02, quadratic = 0.0040 }

[[organization]]
name = "harbor"
profitability = 1900.0
generation_cost = { linear = 0.02, quadratic = 0.0050 }

[[organization]]
name = "riverside"
profitability = 1500.0
generation_cost = { linear = 0.03, quadratic = 0.0030 }

[[organization]]
name = "hillside"
profitability = 1100.0
generation_cost = { linear = 0.02, quadratic = 0.0025 }

[[organization]]
name = "meadow"
profitability = 900.0
generation_cost = { linear = 0.01, quadratic = 0.0020 }

[[organization]]
name = "lakeview"
profitability = 700.0
generation_cost = { linear = 0.01, quadratic = 0.0015 }
"""
