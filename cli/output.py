"""What a command shows: text for people, or exactly one JSON object on standard output for programs.

Progress and notes go to standard error in both cases. The envelope is
``{"schema_version": 1, "status": "ok", "data": {…}}`` or
``{"schema_version": 1, "status": "error", "error": {"code", "message", "hint"}}``, with ``details`` where an error has
more to hand over. A failed check (exit code 1) is a result, so it carries ``data``. Amounts of wei are strings, since
JSON numbers lose their last digits.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

__all__ = ["SCHEMA_VERSION", "emit", "fail", "note", "progress", "table", "units"]

SCHEMA_VERSION = 1
Progress = Callable[[str, int, int], None]


def emit(data: Mapping[str, Any], text: str | Callable[[], None], *, as_json: bool) -> None:
    """Print the result: the JSON envelope, or the text (a string, or a function that prints it)."""
    if as_json:
        envelope = {"schema_version": SCHEMA_VERSION, "status": "ok", "data": data}
        click.echo(json.dumps(envelope, allow_nan=False, indent=2))
    elif callable(text):
        text()
    else:
        click.echo(text)


def fail(code: str, message: str, hint: str, *, as_json: bool, details: Mapping[str, Any] | None = None) -> None:
    """Print an error: the JSON envelope on standard output, or message and hint on standard error."""
    if as_json:
        error = {"code": code, "message": message, "hint": hint, **({"details": details} if details else {})}
        click.echo(json.dumps({"schema_version": SCHEMA_VERSION, "status": "error", "error": error}, indent=2))
    else:
        click.echo(f"error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)


def note(text: str) -> None:
    """A line for the person watching, on standard error."""
    click.echo(text, err=True)


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """A callable (description, done, total) that draws bars on standard error, on a terminal; else plain lines."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        last: list[str] = [""]

        def plain(description: str, done: int, total: int) -> None:
            del done, total
            if description != last[0]:
                last[0] = description
                click.echo(f"  {description}", err=True)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def draw(description: str, done: int, total: int) -> None:
            if description not in tasks:
                for task in tasks.values():
                    bars.update(task, visible=False)
                tasks[description] = bars.add_task(description, total=total)
            bars.update(tasks[description], completed=done, total=total)

        yield draw


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> None:
    """Print a table; the first column is text, the others are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        drawn.add_column(column, justify="left" if position == 0 else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    width = None if sys.stdout.isatty() else 140
    console = Console(file=sys.stdout, width=width, highlight=False)
    console.print(title, style="bold")
    console.print(drawn)
    if caption:
        console.print(f"{caption}\n", style="dim")


def units(wei: int, wei_per_unit: int) -> str:
    """An amount of wei in the consortium's currency, exact to six decimals, with its sign."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), wei_per_unit)
    return f"{sign}{whole:,}.{rest * 10**6 // wei_per_unit:06d}"
