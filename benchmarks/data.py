"""A site's own table, two million rows by forty columns: checked, summed and registered, beside polars alone.

The table is made here, as CSV of about 600 MB in a temporary folder. Reading and describing it with polars and
``cocogen data check``, which adds up what a registration would disclose, run in turn in new processes: their ratio is
that of one run, peak memory each one's own; processor time is of both cores. Canonical rows, leaves (salts and hashes)
and tree are timed apart, and so is a whole registration. Where there is less memory than the table needs, name fewer
``--rows``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import in_fresh_process, less_than, publish, resident_peak_mb
from cocogen.data.own.check import check
from cocogen.data.own.conform import read_table
from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.rows import packed
from cocogen.data.own.site import load_site
from cocogen.data.own.sums import Sums
from cocogen.operations.register import own_rows, prepare
from cocogen.operations.site_state import SiteState, row_hashes
from cocogen.terms.consortium import load_consortium
from cocogen.terms.schema import TableSchema

TERMS = Path(__file__).parents[1] / "examples" / "clinics.toml"
NUMBERS, CATEGORIES = 32, 7
LEVELS = ("north", "east", "south", "west")
PIECE = 100_000
SECRET = bytes(range(32))
KEY = "0x" + "11" * 20


def make(folder: Path, rows: int) -> None:
    """Write the table, its site file, and terms whose schema it fits."""
    import polars as pl

    rng = np.random.default_rng(0)
    with (folder / "export.csv").open("wb") as file:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            columns: dict[str, Any] = {
                f"number {n}": rng.normal(100.0 * n, 40.0, count).round(2) for n in range(NUMBERS)
            }
            columns |= {f"category {n}": np.array(LEVELS)[rng.integers(0, 4, count)] for n in range(CATEGORIES)}
            columns["outcome"] = np.array(["survived", "died"])[(rng.random(count) < 0.2).astype(int)]
            frame = pl.DataFrame(columns)
            absent = pl.Series(rng.random(count) < 0.05)
            frame = frame.with_columns(pl.when(absent).then(None).otherwise(pl.col("number 3")).alias("number 3"))
            frame.write_csv(file, include_header=not start)
    features = "".join(
        f'[[learning.schema.feature]]\nname = "number {n}"\nkind = "number"\nminimum = {100 * n - 150}\n'
        f'maximum = {100 * n + 150}\nmissing = "{"indicator" if n == 3 else "refuse"}"\n'
        for n in range(NUMBERS)
    ) + "".join(
        f'[[learning.schema.feature]]\nname = "category {n}"\nkind = "category"\nlevels = {list(LEVELS)}\n'.replace(
            "'", '"'
        )
        for n in range(CATEGORIES)
    )
    text = TERMS.read_text()
    start, end = text.index("[learning]"), text.index("[generation]")
    section = '[learning]\ndataset = "own"\nmodel = "logistic"\n[learning.schema]\nkind = "table"\nlabel = "outcome"\n'
    section += f'classes = ["survived", "died"]\n{features}\n'
    (folder / "terms.toml").write_text(text[:start] + section + text[end:])
    (folder / "site.toml").write_text('organization = "north"\ndata = "export.csv"\n')


def described(folder: Path) -> dict[str, float]:
    """Reading and describing the file with polars alone."""
    import polars as pl

    return _measured(lambda: pl.read_csv(folder / "export.csv").describe())


def checked(folder: Path) -> dict[str, float]:
    """What ``cocogen data check`` does."""
    site, schema = _site(folder)
    import polars  # noqa: F401 - loaded before the clock starts, as for the other

    def run() -> None:
        report = check(site, schema)
        assert report.disclosed is not None, report.problems

    return _measured(run)


def _measured(run: Callable[[], Any]) -> dict[str, float]:
    begin, worked = time.perf_counter(), time.process_time()
    run()
    return {
        "seconds": time.perf_counter() - begin,
        "processor_seconds": time.process_time() - worked,
        "peak_mb": resident_peak_mb(),
    }


def parts(folder: Path) -> dict[str, float]:
    """Seconds of each part of a registration once the file is read, and peak MB of all of it."""
    site, schema = _site(folder)
    rows = own_rows(read_table(site, schema), site.split.validation, SECRET)
    found: dict[str, float] = {}

    def timed(name: str, part: Callable[[], Any]) -> Any:
        begin, worked = time.perf_counter(), time.process_time()
        made = part()
        found[name] = time.perf_counter() - begin
        found[f"{name}_processor"] = time.process_time() - worked
        return made

    timed("sums", lambda: Sums.of(rows))
    timed("canonical_rows", lambda: [len(packed(schema, rows.cells(*piece))) for piece in rows.pieces()])
    leaves = timed("rows_salts_leaves", lambda: leaf_digests(SECRET, rows))
    timed("tree", lambda: root(leaves))
    timed("comparison", lambda: row_hashes(SECRET, rows))
    return {**found, "peak_mb": resident_peak_mb()}


def registered(folder: Path) -> dict[str, float]:
    """What ``cocogen register`` does, up to the signature."""
    site, _ = _site(folder)
    terms = load_consortium(folder / "terms.toml")
    with tempfile.TemporaryDirectory() as state:
        return _measured(lambda: prepare(site, terms, SiteState(Path(state) / "north.state"), KEY))


def _site(folder: Path) -> tuple[Any, TableSchema]:
    schema = load_consortium(folder / "terms.toml").learning.schema_
    assert isinstance(schema, TableSchema)
    return load_site(folder / "site.toml"), schema


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each thing measured."""
    with tempfile.TemporaryDirectory(prefix="cocogen-benchmark-") as name:
        folder = Path(name)
        in_fresh_process(make, folder, options.rows)
        shape = {"rows": options.rows, "columns": NUMBERS + CATEGORIES + 1}
        size = (folder / "export.csv").stat().st_size / 1e6
        mine, theirs = [], []
        in_fresh_process(described, folder)  # warms the page cache
        for _ in range(options.repeats):
            theirs.append(in_fresh_process(described, folder))
            mine.append(in_fresh_process(checked, folder))
        for what, runs in (("polars read and describe", theirs), ("data check with sums", mine)):
            median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            yield {**shape, "what": what, "mb": size, **median}
        ratios = {
            name: statistics.median(own[name] / other[name] for own, other in zip(mine, theirs, strict=True))
            for name in ("seconds", "processor_seconds")
        }
        yield {**shape, "what": "check over polars", **ratios}
        yield {**shape, "what": "parts of a registration", **in_fresh_process(parts, folder)}
        yield {**shape, "what": "register", **in_fresh_process(registered, folder)}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data")
    whole = {"rows": 2_000_000, "repeats": 3}
    for name, default in whole.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    publish("data", cases(options), as_json=options.format == "json", skipped=less_than(options, whole))


if __name__ == "__main__":
    main()
