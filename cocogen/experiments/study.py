"""An experiment: measure one seed, judge all of them, draw. A study is a list of them, run in parallel.

What happens for each experiment, in this order: every seed is measured (in worker processes, each with one thread); the
rows are sorted by seed into one table; claims and figure are computed from the table alone; CSV, figure and the claims
so far are written whole. So results do not depend on the number of workers, and an interruption leaves finished
experiments. Left out: what is measured (the modules of each family).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cocogen.errors import ConfigurationError, FieldProblem, WorkspaceError
from cocogen.experiments.claims import Claim
from cocogen.experiments.figures import Figure
from cocogen.experiments.table import Row, Table, stack
from cocogen.files import write_atomically
from cocogen.report.style import figure_style, require_matplotlib, save_figure

__all__ = [
    "CLAIM_COLUMNS",
    "Experiment",
    "Progress",
    "StudyResult",
    "claims_markdown",
    "claims_table",
    "measure",
    "run_study",
    "summary",
]

Progress = Callable[[str, int, int], None]
Measure = Callable[[np.random.Generator, int], list[Row]]

CLAIM_COLUMNS = (
    "claim",
    "source",
    "statement",
    "parameters",
    "paper",
    "ours",
    "low",
    "high",
    "unit",
    "seeds",
    "verdict",
    "rule",
    "remark",
)
"""Columns of claims.csv; ``low`` and ``high`` bound the 95 % interval of ``ours``."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One measurement with its claims and its figure.

    Attributes
    ----------
    name : str
        Stem of its files.
    title : str
        What it shows.
    columns : tuple of str
        Of its table, without the leading "seed".
    measure : callable
        (generator, points) → rows of one seed; a module-level function, so that workers can be sent it. ``points``
        is the resolution of its grids. Called with equal generators by all experiments of a study, so that they see
        the same markets.
    judge : callable
        Table → claims.
    draw : callable
        Table → figure.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    measure: Measure
    judge: Callable[[Table], list[Claim]]
    draw: Callable[[Table], Figure]


@dataclass(frozen=True, slots=True)
class StudyResult:
    """Claims in the order of the experiments, and the files written."""

    claims: tuple[Claim, ...]
    files: tuple[Path, ...]


def run_study(
    experiments: Sequence[Experiment],
    output: Path,
    progress: Progress,
    *,
    seeds: int = 10,
    entropy: int = 0,
    points: int = 25,
    jobs: int = 1,
) -> StudyResult:
    """Measure, judge, draw and write experiments, one after another.

    Parameters
    ----------
    experiments : sequence of Experiment
        What to run.
    output : Path
        Folder of the files, created if need be: NAME.csv and NAME.png for each experiment; claims.csv, .json and .md.
    progress : callable
        Called with (description, done, total) after each seed.
    seeds : int
        Number of markets, at least 2; 10 or more for a claim that is to be quoted.
    entropy : int
        Root of all randomness, at least 0.
    points : int
        Resolution of the grids, at least 5.
    jobs : int
        Worker processes, at least 1; results do not depend on it.

    Raises
    ------
    ConfigurationError
        A number is out of range, or matplotlib is not installed.
    WorkspaceError
        The folder cannot be written.
    """
    for field, value, least in (("seeds", seeds, 2), ("seed", entropy, 0), ("points", points, 5), ("jobs", jobs, 1)):
        if value < least:
            problem = FieldProblem(field, str(value), f"at least {least}")
            raise ConfigurationError("the study cannot be run", problems=[problem])
    require_matplotlib()
    _prepare(output)
    claims: list[Claim] = []
    files: list[Path] = []
    for experiment in experiments:
        table = measure(experiment, progress, seeds=seeds, entropy=entropy, points=points, jobs=jobs)
        claims += experiment.judge(table)
        files += [output / f"{experiment.name}.csv", output / f"{experiment.name}.png"]
        with figure_style():
            figure = experiment.draw(table)
        write_atomically(files[-2], table.csv())
        save_figure(figure, files[-1])
        write_atomically(output / "claims.csv", claims_table(claims).csv())
        record = {"seeds": seeds, "seed": entropy, "points": points, "claims": [asdict(claim) for claim in claims]}
        text = json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        write_atomically(output / "claims.json", text.encode())
        write_atomically(output / "claims.md", claims_markdown(claims).encode())
    return StudyResult(tuple(claims), (*files, *(output / f"claims.{suffix}" for suffix in ("csv", "json", "md"))))


def measure(experiment: Experiment, progress: Progress, *, seeds: int, entropy: int, points: int, jobs: int) -> Table:
    """Measure all seeds of one experiment; rows sorted by seed, whatever order the workers finish in."""
    found: dict[int, list[Row]] = {}
    progress(experiment.name, 0, seeds)
    for seed, rows in _measured(experiment.measure, seeds, entropy, points, jobs):
        found[seed] = rows
        progress(experiment.name, len(found), seeds)
    return stack(("seed", *experiment.columns), [(seed, *row) for seed in range(seeds) for row in found[seed]])


def claims_table(claims: Sequence[Claim]) -> Table:
    """The summary, a row for each claim."""
    rows: list[Row] = []
    for claim in claims:
        ours, judged = claim.finding.ours, (str(claim.finding.verdict), claim.finding.rule, claim.remark)
        said = (claim.name, claim.source, claim.statement, claim.parameters, claim.paper)
        rows.append((*said, ours.mean, ours.low, ours.high, claim.unit, ours.count, *judged))
    return stack(CLAIM_COLUMNS, rows)


def claims_markdown(claims: Sequence[Claim]) -> str:
    """The summary as a Markdown table, for documents."""
    lines = ["| claim | under | paper | ours, 95 % interval | verdict |", "|---|---|---|---|---|"]
    for claim in claims:
        ours = claim.finding.ours
        figures = f"{ours.mean:.3g} ({ours.low:.3g} to {ours.high:.3g}) {claim.unit}"
        remark = f"; {claim.remark}" if claim.remark else ""
        cells = (claim.statement, claim.parameters, claim.paper, figures + remark, f"**{claim.finding.verdict}**")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _measured(function: Measure, seeds: int, entropy: int, points: int, jobs: int) -> Iterator[tuple[int, list[Row]]]:
    from joblib import Parallel, delayed, parallel_config

    workers = min(jobs, seeds)
    if workers == 1:
        for seed in range(seeds):
            yield _one(function, entropy, seed, points)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        calls = (delayed(_one)(function, entropy, seed, points) for seed in range(seeds))
        yield from Parallel(n_jobs=workers, return_as="generator_unordered")(calls)


def _one(function: Measure, entropy: int, seed: int, points: int) -> tuple[int, list[Row]]:
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(seed,)))
    return seed, function(rng, points)


def _prepare(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not os.access(output, os.W_OK | os.X_OK):
            raise PermissionError("permission denied")
    except OSError as error:
        raise WorkspaceError(
            f"{output} cannot be written: {error.strerror or error}",
            hint="choose another folder with --output",
        ) from error


def summary(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """The claims as plain values, for JSON."""
    table = claims_table(claims)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
