"""What a command shows: text for people, or exactly one JSON object on standard output for programs.

Progress and notes go to standard error in both cases. The envelope is
``{"schema_version": 1, "status": "ok", "data": {…}}`` or
``{"schema_version": 1, "status": "error", "error": {"code", "message", "hint"}}``, with ``details`` where an error has
more to hand over. A failed check (exit code 1) is a result, so it carries ``data``. Amounts of wei are strings, since
JSON numbers lose their last digits.

Everything that is shown goes through here, and nothing of it is trusted: each line is escaped and cut
(:mod:`cocogen.printable`), tables know no markup. A line break is one only where we put it: between the lines of
:func:`say`, of an error and of the text of :func:`emit`. A text with line breaks of its own therefore holds values that
strangers can supply as :func:`word` only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cli.streams import OutputLost

__all__ = [
    "SCHEMA_VERSION",
    "announced",
    "emit",
    "fail",
    "note",
    "progress",
    "say",
    "table",
    "units",
    "word",
    "wrapped",
]

SCHEMA_VERSION = 1
Progress = Callable[[str, int, int], None]

_COLUMNS = 80
_LINE = 2_000
"""Characters of a line."""
_LINES = 40
"""Lines of an error: whoever has a thousand fields wrong starts with the first."""
_WORD = 1_000
"""Characters of a value in a text; paths can be long."""
_CELL = 200
"""Characters of a line in a cell."""
_UNBOUNDED = 2**20
"""Columns of no terminal."""
_JSON_STRING = 2**16
"""Characters of a string in JSON; the longest of ours is a wallet's transaction."""


def word(value: object) -> str:
    """A value that a stranger can supply, to stand in a text that has line breaks of its own."""
    from cocogen.printable import printable

    return printable(str(value), _WORD)


def wrapped(*texts: str) -> list[str]:
    """Texts as lines of at most 80 columns; escaped first, so that no line ends where a stranger wants it to."""
    import textwrap

    return [part for text in texts for part in textwrap.wrap(_line(text), _COLUMNS, subsequent_indent="  ")]


def say(*lines: str) -> None:
    """Lines of a result, on standard output."""
    sys.stdout.write("".join(f"{_line(line)}\n" for line in lines))
    sys.stdout.flush()


def announced(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say at once that a command has begun: what it needs takes seconds to load."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def announcing(*arguments: Any, **options: Any) -> Any:
            note(f"  {what} ...")
            return command(*arguments, **options)

        return announcing

    return decorate


def note(text: str) -> None:
    """A line for the person watching, on standard error."""
    _tell(_line(text))


def emit(data: Mapping[str, Any], text: str | Callable[[], None], *, as_json: bool) -> None:
    """Print the result: the JSON envelope, or the text (a string, or a function that says it)."""
    try:
        if as_json:
            envelope = {"schema_version": SCHEMA_VERSION, "status": "ok", "data": _bounded(data)}
            _write(json.dumps(envelope, allow_nan=False, indent=2))
        elif callable(text):
            text()
        else:
            say(*text.split("\n"))
    except OutputLost as lost:
        lost.effects = _effects(data)
        raise


def fail(
    code: str, message: str | Sequence[str], hint: str, *, as_json: bool, details: Mapping[str, Any] | None = None
) -> None:
    """Print an error: the JSON envelope on standard output, or message and hint on standard error.

    ``message``: one line, or several. With ``details`` it is ours alone (a wallet's transaction) and cut much later.
    """
    from cocogen.printable import shorten

    limit = _JSON_STRING if details else _LINE
    lines = [message] if isinstance(message, str) else list(message)
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"  … and {len(lines) - _LINES:,} more lines"]
    as_text = [f"error: {lines[0]}", *lines[1:], *([f"hint: {hint}"] if hint else ())]
    if not as_json:
        _tell(*(_line(line, limit) for line in as_text))
        return
    error = {
        "code": code,
        "message": "\n".join(shorten(line, limit) for line in lines),
        "hint": shorten(hint, _LINE),
        **({"details": _bounded(details)} if details else {}),
    }
    try:
        _write(json.dumps({"schema_version": SCHEMA_VERSION, "status": "error", "error": error}, indent=2))
    except OutputLost:
        _tell(*(_line(line, limit) for line in as_text))
        raise


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """A callable (description, done, total) that draws bars on standard error, on a terminal; else plain lines."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        last: list[str] = [""]

        def plain(description: str, done: int, total: int) -> None:
            del done, total
            if description != last[0]:
                last[0] = description
                note(f"  {description}")

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
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
                tasks[description] = bars.add_task(word(description), total=total)
            bars.update(tasks[description], completed=done, total=total)

        yield draw


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Sequence[str]]], *, caption: str = ""
) -> None:
    """Print a table; the first column is text, the others are right-aligned.

    A cell is one line, or a list of lines; a column's title may have line breaks.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def cell_of(lines: Sequence[str]) -> Text:
        return Text("\n".join(_line(line, _CELL) for line in lines))

    def drawn(padding: int) -> Table:
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
        for position, column in enumerate(columns):
            heading = cell_of(column.split("\n"))
            made.add_column(heading, justify="left" if position == 0 else "right", no_wrap=True)
        for row in rows:
            made.add_row(*(cell_of([cell] if isinstance(cell, str) else cell) for cell in row))
        return made

    width = None if sys.stdout.isatty() else 140
    console = Console(file=sys.stdout, width=width, highlight=False)
    console.print(Text(_line(title)), style="bold")
    for padding in (1, 0):
        natural = console.measure(candidate := drawn(padding), options=console.options.update(max_width=_UNBOUNDED))
        if natural.maximum <= console.width:
            console.print(candidate)
            break
    else:
        _stacked(columns, rows)
    if caption:
        console.print(Text(f"{_line(caption)}\n"), style="dim")


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[str | Sequence[str]]]) -> None:
    """A table that is wider than the terminal, one value a line: numbers would lose their last digits otherwise."""
    titles = [_line(" ".join(column.split("\n")), _CELL) for column in columns]
    width = max(map(len, titles))
    for row in rows:
        say("")
        for title, cell in zip(titles, row, strict=True):
            first, *more = [cell] if isinstance(cell, str) else (cell or [""])
            say(f"{title:<{width}}  {_line(first, _CELL)}", *(f"{'':<{width}}  {_line(line, _CELL)}" for line in more))
    say("")


def units(wei: int, wei_per_unit: int) -> str:
    """An amount of wei in the consortium's currency, exact to six decimals, with its sign."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), wei_per_unit)
    return f"{sign}{whole:,}.{rest * 10**6 // wei_per_unit:06d}"


def _line(text: str, limit: int = _LINE) -> str:
    from cocogen.printable import printable

    return printable(text, limit)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _tell(*lines: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def _bounded(value: Any) -> Any:
    """The same JSON value with strings and keys of bounded length."""
    from cocogen.printable import shorten

    if isinstance(value, str):
        return shorten(value, _JSON_STRING)
    if isinstance(value, Mapping):
        return {shorten(str(key), _JSON_STRING): _bounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(entry) for entry in value]
    return value


def _effects(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What a command did on the ledger, for whoever cannot read its result."""
    lines = []
    receipts = [data["receipt"]] if data.get("receipt") else data.get("receipts", [])
    who = f" of {data['organization']}" if data.get("organization") else ""
    for kind in ("deposited", "withdrawn"):
        if kind in data and receipts:
            lines.append(f"{data[kind]} wei{who} were {kind}; the balance is {data['balance']} wei")
    for receipt in receipts:
        where = f" in the transaction {receipt['transaction']}" if receipt["transaction"] else ""
        lines.append(f"{receipt['operation']} took effect{where}")
    rounds = data.get("rounds")
    for played in (data, *(rounds if isinstance(rounds, list) else ())):
        if isinstance(played, Mapping) and played.get("transfers") and "status" in played:
            moved = ", ".join(f"{name} {int(wei):+}" for name, wei in played["transfers"].items())
            lines.append(f"round {played['round']} is {played['status']}; received (+) or paid (-) in wei: {moved}")
    return tuple(lines)
