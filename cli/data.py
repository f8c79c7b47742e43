"""``cocogen data``: look at one's own data before anything is registered, and write an example of it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.options import format_option
from cli.output import announced, emit, say, word, wrapped
from cocogen.data.own.check import Column, Problem, Report
from cocogen.data.own.check import check as check_site_data
from cocogen.data.own.example import write_example
from cocogen.data.own.site import load_site
from cocogen.data.own.sums import Sums
from cocogen.terms.consortium import load_consortium

__all__ = ["data"]

_REFUSED = 4
_NAME = 22
_ALIKE = 6
_CLASSES = 20
"""Classes or levels of a column that are shown; --format json has all."""


@click.group(short_help="Check your own data against the terms.")
def data() -> None:
    """Your own data: what the terms would make of them. Nothing is changed, and nothing leaves this machine."""


@data.command(short_help="What the terms would make of a site's data.")
@click.argument("site_file", metavar="SITE.TOML", type=click.Path(dir_okay=False))
@click.option("--terms", required=True, metavar="FILE", type=click.Path(dir_okay=False), help="Terms file (TOML).")
@format_option
@announced("reading the data")
def check(site_file: str, terms: str, format_: str) -> int:
    """Match every column with the schema of the terms, and say all that is wrong or odd.

    Shows what a registration would disclose. Nothing is changed, and nothing leaves this machine. Exit code 4: a
    registration would be refused.
    """
    schema = load_consortium(terms).learning.schema_
    if schema is None:
        raise click.UsageError(f'{word(terms)} has no [learning.schema]: dataset = "own" brings one')
    report = check_site_data(load_site(site_file), schema)
    emit(_document(report), lambda: say(*_lines(report, site_file, terms)), as_json=format_ == "json")
    return 0 if report.passed else _REFUSED


@data.command(short_help="Write a consortium of six sites to try own data with.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--plain", is_flag=True, help="The same rows in one way for all: an .npz file of features and labels.")
@format_option
def example(folder: str, plain: bool, format_: str) -> None:
    """Write one public table as six hospitals and an attester may have it, each in its own dialect.

    DIR gets terms.toml, and a folder with data and site.toml for each of them.
    """
    written = write_example(Path(folder), plain=plain)
    terms = Path(folder) / "terms.toml"
    document = {"folder": folder, "terms": str(terms), "sites": {site.parent.name: str(site) for site in written}}

    def text() -> None:
        say(*wrapped(f"{word(folder)}: terms.toml, and data and site.toml of {len(written)} sites:"))
        say(*(f"  {site.parent.name:<10} {_data_of(site)}" for site in written))
        say(
            "",
            f"look:  cocogen data check {word(written[0])} --terms {word(terms)}",
            f"play:  cocogen run {word(terms)} --sites {word(folder)}",
        )

    emit(document, text, as_json=format_ == "json")


def _data_of(site: Path) -> str:
    return load_site(site).data


def _document(report: Report) -> dict[str, Any]:
    sums = report.disclosed
    document = asdict(report)
    document["passed"] = report.passed
    if sums is not None:
        document["disclosed"] = {
            "classes": list(sums.classes),
            "validation": list(sums.validation),
            "leaves": sum(sums.classes) + sum(sums.validation),
            # Sums are exact integers beyond what many programs read from JSON: as text, as in a registration.
            "numbers": [] if report.attester else [_texts(asdict(number)) for number in sums.numbers],
            "categories": [] if report.attester else [asdict(category) for category in sums.categories],
            "channels": [] if report.attester else [_texts(asdict(channel)) for channel in sums.channels],
        }
    return document


def _texts(sums: dict[str, int]) -> dict[str, int | str]:
    return {name: str(value) if name in ("total", "squares") else value for name, value in sums.items()}


def _lines(report: Report, site_file: str, terms: str) -> list[str]:
    found = f", {len(report.columns)} columns of the schema found" if report.columns else ""
    lines = [*wrapped(f"{report.organization}: {report.file}, {report.rows:,} rows{found}"), ""]
    lines += _table_of_classes(report)
    lines += _numbers(report) + _categories(report)
    if report.unused:
        lines += [*wrapped("not used, and kept here: " + ", ".join(report.unused[:40])), ""]
    if report.remarks:
        lines += ["worth a look:", *_listed(report.remarks), ""]
    if report.problems:
        lines.append(f"to mend, before a registration is made ({len(report.problems)}):")
        for alike in _alike(report.problems):
            lines += _told(alike)
        lines.append("")
    if report.disclosed is not None:
        lines += [*_disclosure(report, report.disclosed), ""]
    if report.passed:
        register = f"  cocogen register {word(site_file)} --terms {word(terms)}"
        return [*lines, "nothing stands in the way:", register]
    return [*lines, "nothing was changed, and nothing was sent"]


def _alike(problems: Sequence[Problem]) -> list[list[Problem]]:
    """Problems that one step mends, together: those of one hint, in the order of the first of them."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.hint, []).append(problem)
    return list(found.values())


def _told(alike: Sequence[Problem]) -> list[str]:
    """The first of problems with one hint in full, the others by their columns."""
    first = alike[0]
    column = f"column {first.column!r}" if first.column else ""
    place = ", ".join(part for part in (column, f"row {first.row:,}" if first.row else "") if part)
    lines = _listed([f"{place}: {first.message}" if place else first.message])
    if others := [problem.column or problem.message for problem in alike[1:]]:
        shown = ", ".join(repr(name) for name in others[:_ALIKE])
        more = f" and {len(others) - _ALIKE} more" if len(others) > _ALIKE else ""
        lines += [f"    {line}" for line in _narrow(f"and the like in {shown}{more}", 76)]
    return lines + [f"      {line}" for line in _narrow(f"hint: {first.hint}", 72)]


def _listed(texts: tuple[str, ...] | list[str]) -> list[str]:
    lines = []
    for text in texts:
        first, *more = _narrow(text, 76)
        lines += [f"  - {first}", *(f"    {line}" for line in more)]
    return lines


def _narrow(text: str, width: int) -> list[str]:
    return textwrap.wrap(word(text), width) or [""]


def _table_of_classes(report: Report) -> list[str]:
    if not report.classes:
        return []
    shown = list(report.classes.items())[:_CLASSES]
    width = max(len(_cut(name, 40)) for name, _ in shown)
    more = [f"  and {len(report.classes) - len(shown)} more"] if len(report.classes) > len(shown) else []
    lines = [f"  {_cut(name, 40):<{width}}  {count:>10,}" for name, count in shown]
    return ["rows of each class", *lines, *more, ""]


def _numbers(report: Report) -> list[str]:
    numbers = [column for column in report.columns if column.kind == "number"]
    if not numbers:
        return []
    heading = f"{'number':<{_NAME}} {'missing':>8} {'found':>22} {'agreed':>15} {'clipped':>8}"
    lines = [heading]
    for column in numbers:
        found = "none" if column.low is None else f"{_figure(column.low)} to {_figure(column.high)}"
        agreed = f"{_figure(column.minimum)} to {_figure(column.maximum)}"
        lines.append(
            f"{_cut(column.name, _NAME):<{_NAME}} {column.missing:>8,} {found:>22} {agreed:>15} {column.clipped:>8,}"
        )
        lines += _apart(column)
    return [*lines, ""]


def _categories(report: Report) -> list[str]:
    lines = []
    for column in report.columns:
        if column.kind == "number":
            continue
        if column.kind == "category":
            counts = ", ".join(f"{name}: {count:,}" for name, count in list(column.counts.items())[:_CLASSES])
            lines += wrapped(f"{column.name} (category): {counts}; missing: {column.missing:,}")
        elif column.unknown and column.own == column.name:
            lines.append(f"{_cut(column.name, 60)} (label)")
        lines += _apart(column)
        if column.unknown:
            shown = ", ".join(f"{value!r}: {count:,}" for value, count in list(column.unknown.items())[:_CLASSES])
            lines += [f"  {line}" for line in _narrow(f"unknown values: {shown}", 76)]
    return [*lines, ""] if lines else []


def _apart(column: Column) -> list[str]:
    """What differs from a plain column of the schema's name."""
    lines = []
    if column.own != column.name:
        label = f"{column.name} (label): " if column.kind == "label" else "  "
        lines += [f"{label}from the column {_cut(column.own, 50)!r}"]
    if column.unreadable and column.kind == "number":
        lines.append(f"  {column.unreadable:,} cells are no numbers")
    return lines


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _each(count: int, one: str, many: str = "") -> str:
    return f"the one {one}" if count == 1 else f"each of {count} {many or one + 's'}"


def _cut(text: str, width: int) -> str:
    shown = word(text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def _disclosure(report: Report, sums: Sums) -> list[str]:
    names = list(report.classes)
    cells = [f"{name} {sums.classes[k]:,}" for k, name in enumerate(names)]
    kept = [f"{name} {sums.validation[k]:,}" for k, name in enumerate(names)]
    leaves = sum(sums.classes) + sum(sums.validation)
    lines = ["what a registration would disclose, and nothing else:"]
    if report.attester:
        lines += _listed([f"rows of each class of the holdout: {', '.join(cells)}"])
    else:
        lines += _listed(
            [
                f"training rows of each class: {', '.join(cells)}",
                f"validation rows of each class: {', '.join(kept)}",
            ]
        )
        if sums.numbers:
            lines += _listed(
                [
                    f"of {_each(len(sums.numbers), 'number')}, over the training rows: how many values, how many are "
                    "missing and clipped, their sum and the sum of their squares, from which mean and deviation follow"
                    + (f" (counts below {report.minimum_cell} leave as 0)" if report.minimum_cell > 1 else "")
                ]
            )
        if sums.categories:
            lines += _listed(
                [f"of {_each(len(sums.categories), 'category', 'categories')}: training rows at each level"]
            )
        if sums.channels:
            lines += _listed([f"of {_each(len(sums.channels), 'channel')}: the sums of its bytes and of their squares"])
    lines += _listed(
        [
            f"that there are {leaves:,} rows, and one hash over them all, from which no row can be told",
            "which rows are kept for validation is drawn anew by the site's own secret, so that sums differ a little; "
            "--format json has them to the last digit",
        ][: 1 if report.attester else 2]
    )
    return lines
