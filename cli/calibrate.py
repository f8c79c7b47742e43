"""``cocogen calibrate``: measure what data are worth, instead of assuming it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common, device_option
from cli.output import emit, note, progress, say, table
from cocogen.terms.metrics import metric_words

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.data.sets import DataFolders
    from cocogen.terms.accuracy import CalibrationRecord, CalibrationTask, MeasuredAccuracy
    from cocogen.terms.consortium import Consortium

__all__ = ["calibrate"]


@click.command(short_help="Fit the accuracy function to real federated runs.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where points and fit go (JSON).  [default: CONFIG with the ending .accuracy.json]",
)
@click.option(
    "--points", type=click.IntRange(3, 50), default=6, show_default=True, help="Different numbers of samples."
)
@click.option(
    "--repeats", type=click.IntRange(1, 1000), default=5, show_default=True, help="Runs of each cell of the design."
)
@click.option("--rounds", type=click.IntRange(1, 10_000), help="Federated rounds of a run.  [default: those of CONFIG]")
@click.option(
    "--figure", type=click.Path(dir_okay=False, path_type=Path), metavar="PNG", help="Draw the fit (.png, .svg, .pdf)."
)
@device_option
@common(config_argument=True)
def calibrate(
    request: Request, output: Path | None, points: int, repeats: int, rounds: int | None, figure: Path | None
) -> None:
    """Measure accuracy, or what learning.metric is, in real federated runs on CONFIG's data and model, and fit an
    accuracy function to it.

    The runs cross numbers of samples with label skews and repeats. If it is interrupted, the same command goes on
    where it stopped; more --repeats or other --points use what is there. Then put into the terms:

        accuracy = { kind = "calibrated", file = "FILE" }
    """
    from cocogen.report.style import figure_format
    from cocogen.terms.accuracy import CalibrationTask, fit_record, write_record

    consortium = _consortium(request)
    target = output or Path(consortium.file).with_suffix(".accuracy.json")
    if figure is not None:
        figure_format(figure)
    section = consortium.learning
    # The design sets kind and strength of the skew; with fixed values here they are no difference between two tasks.
    partition = section.partition.model_copy(update={"kind": "dirichlet", "alpha": 1.0})
    task = CalibrationTask(
        learning=section.model_copy(update={"partition": partition}),
        organizations=len(consortium.names),
        rounds=rounds or consortium.consortium.rounds,
        seed=consortium.consortium.seed,
    )
    measured, reused = _measure(task, target, points, repeats, request.folders(consortium))
    record = fit_record(task, measured)
    write_record(target, record)
    _unfinished(target).unlink(missing_ok=True)
    reach = _reach(consortium, record)
    if figure is not None:
        from cocogen.report.calibration import calibration_figure
        from cocogen.report.style import save_figure

        save_figure(calibration_figure(record, reach), figure)
    data = _data(record, target, figure, reach, reused)
    emit(data, lambda: _print(data, Path(consortium.file).parent), as_json=request.as_json)


def _consortium(request: Request) -> Consortium:
    """The terms; their own accuracy function is not needed, and may be the one that is about to be measured."""
    from cocogen.systems import load_consortium
    from cocogen.terms.sections import SaturatingTerms

    if request.config is None:
        return request.consortium()
    return load_consortium(request.config, accuracy=SaturatingTerms(kind="saturating", scale=1.0))


def _measure(
    task: CalibrationTask, target: Path, points: int, repeats: int, folders: DataFolders
) -> tuple[list[MeasuredAccuracy], int]:
    """All runs of the design, and how many of them an earlier command had made."""
    from cocogen.operations.calibration import measure, plan_design
    from cocogen.terms.accuracy import CalibrationRecord, write_record

    unfinished = _unfinished(target)
    known = {(run.samples, run.alpha, run.repeat): run for path in (target, unfinished) for run in _known(path, task)}

    def keep(runs: Sequence[MeasuredAccuracy]) -> None:
        write_record(unfinished, CalibrationRecord(task=task, runs=tuple(runs)))

    # Also finds out, before anything takes long, whether the file can be written at all.
    keep(tuple(known.values()))
    design = plan_design(task, points, repeats, folders=folders)
    reused = sum((run.samples, run.alpha, run.repeat) in known for run in design.runs())
    if reused:
        note(f"{reused} of {len(design.runs())} runs were measured before")
    with progress() as bars:
        return measure(task, design, known.values(), keep=keep, progress=bars, folders=folders), reused


def _known(path: Path, task: CalibrationTask) -> Sequence[MeasuredAccuracy]:
    """What an earlier command measured of the same task."""
    from cocogen.errors import ConfigurationError
    from cocogen.terms.accuracy import read_record

    if not path.exists():
        return ()
    try:
        found = read_record(path)
    except ConfigurationError as error:
        error.hint = "it would be overwritten: choose another file with --output, or remove it"
        raise
    if found.task == task:
        return found.runs
    note(f"{path} holds a calibration of other terms and will be replaced")
    return ()


def _unfinished(target: Path) -> Path:
    return target.with_name(f"{target.name}.partial")


def _reach(consortium: Consortium, record: CalibrationRecord) -> float:
    """The largest Ω of the game that these terms describe: all registered samples and all that may be generated."""
    sizes = consortium.learning.partition.sizes
    registered = sum(sizes) if sizes else max(run.samples for run in record.runs)
    return float(registered + sum(consortium.generation_maximum()))


def _data(record: CalibrationRecord, target: Path, figure: Path | None, reach: float, reused: int) -> dict[str, Any]:
    function = record.fitted
    cells = record.cells()
    variances = [cell.deviation**2 for cell in cells if cell.deviation is not None]
    return {
        "file": str(target),
        "figure": None if figure is None else str(figure),
        "runs": len(record.runs),
        "reused": reused,
        "rmse": function.rmse,
        "largest_residual": record.largest_residual,
        "repeat_deviation": math.sqrt(sum(variances) / len(variances)) if variances else None,
        "samples": list(function.samples),
        "heterogeneity": list(function.heterogeneity),
        "reach": reach,
        "extrapolated": bool(function.function().extrapolates(reach)),
        "cells": [asdict(cell) for cell in cells],
        "accuracy": function.model_dump(mode="json"),
    }


def _print(data: dict[str, Any], folder: Path) -> None:
    rows = [
        [
            f"{cell['samples']:,}",
            f"{cell['alpha']:g}",
            f"{cell['heterogeneity']:.3f}",
            f"{cell['accuracy']:.4f}",
            "" if cell["deviation"] is None else f"{cell['deviation']:.4f}",
            f"{cell['fitted']:.4f}",
        ]
        for cell in data["cells"]
    ]
    words = metric_words(data["accuracy"].get("metric", "accuracy"))
    least, most = data["samples"]
    spread = data["repeat_deviation"]
    noise = "" if spread is None else f"; repeats alone differ by {spread:.4f}"
    beyond = (
        f"measured for {least:,.0f} to {most:,.0f} samples; the terms reach {data['reach']:,.0f}, by extrapolation"
        if data["extrapolated"]
        else f"measured for {least:,.0f} to {most:,.0f} samples, as far as the terms reach"
    )
    table(
        f"{words} of {data['accuracy']['model']} on {data['accuracy']['dataset']}",
        ["samples", "alpha", "heterogeneity", words.replace(" ", "\n"), "deviation", "fitted"],
        rows,
        caption=f"RMSE {data['rmse']:.4f} over {data['runs']} runs{noise}; {beyond}",
    )
    say(f"written to {data['file']}; to use it, put into the terms:")
    say(f'  accuracy = {{ kind = "calibrated", file = "{os.path.relpath(data["file"], folder)}" }}')
