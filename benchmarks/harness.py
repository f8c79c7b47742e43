"""What all benchmarks share: alternating timing, peak memory, the machine's description, output and files."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def paired(ours: Callable[[], Any], other: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Run both in turn (A B A B …) after one warm-up; median seconds of each, and the median of the paired ratios."""
    ours()
    other()
    mine, theirs = [], []
    for _ in range(repeats):
        for run, seconds in ((ours, mine), (other, theirs)):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
    return statistics.median(mine), statistics.median(theirs), ratio


def peak_mb() -> float:
    """Peak resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_peak_mb() -> float:
    """Peak resident memory of this program alone, MB.

    Where the kernel tells (Linux's VmHWM): the maximum of :func:`peak_mb` survives fork and exec, so a fresh process
    would start with that of its parent.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), peak_mb())


def in_fresh_process(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of an importable module in a new interpreter, so that its peak memory is its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def machine() -> dict[str, Any]:
    """Enough to judge whether two results are comparable."""
    return {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}


def main(name: str, cases: Callable[[argparse.Namespace], Iterable[dict[str, Any]]], **defaults: Any) -> None:
    """Parse the options, run the cases, print and keep them.

    ``cases`` names in ``options.skipped`` what it leaves out on this machine.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--only", help="run the cases whose solver, model or operation contains this text")
    parser.add_argument("--sizes", type=int, nargs="+", default=defaults["sizes"], help="organizations")
    parser.add_argument("--repeats", type=int, default=defaults["repeats"])
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    options.skipped = [f"--{option}" for option in less_than(options, defaults)]
    publish(name, cases(options), as_json=options.format == "json", skipped=options.skipped)


def less_than(options: argparse.Namespace, whole: dict[str, Any]) -> list[str]:
    """The options by which less is measured than by default: numbers below, lists without some entry, ``--only``."""
    found = ["only"] if getattr(options, "only", None) else []
    for option, default in whole.items():
        given = getattr(options, option)
        if set(default) - set(given) if isinstance(default, list) else given < default:
            found.append(option)
    return found


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for position, column in enumerate(columns):
        drawn.add_column(column, justify="left" if position == 0 else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    Console(width=140).print(drawn)


def publish(
    name: str, rows: Iterable[dict[str, Any]], *, as_json: bool, skipped: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Print the rows as they come and keep them in ``benchmarks/results/NAME.json``.

    With anything ``skipped`` when the rows have come, they go to ``benchmarks/results/partial/NAME.json``: committed
    results are those of whole runs.
    """
    results = []
    for row in rows:
        results.append(row)
        shown = ((key, f"{value:.4g}" if isinstance(value, float) else value) for key, value in row.items())
        line = "  ".join(f"{key}={value}" for key, value in shown)
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)
    envelope = {"schema_version": 1, "status": "ok", "data": {"machine": machine(), "results": results}}
    if as_json:
        json.dump(envelope, sys.stdout, indent=2)
        print()
    target = RESULTS / "partial" / f"{name}.json" if skipped else RESULTS / f"{name}.json"
    if skipped:
        print(f"partial ({', '.join(skipped)}): kept in {target}, the whole results stay", file=sys.stderr)
    target.parent.mkdir(exist_ok=True, parents=True)
    target.write_text(json.dumps(envelope, indent=2) + "\n")
    return results
