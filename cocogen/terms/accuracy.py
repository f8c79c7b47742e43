"""The file that ``cocogen calibrate`` writes: measured accuracies, the function fitted to them, and what was run.

The same measurements give the same bytes: no dates, no machine. A record holds everything that is needed to fit again
or to go on measuring. Terms that name such a file get its fitted function inlined when they are loaded. Left out: the
measuring (:mod:`cocogen.operations.calibration`) and the fit (:mod:`cocogen.game.calibrated`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.files import read_bounded, write_atomically
from cocogen.game.accuracy import AccuracyFunction, PowerLaw, Saturating, SquareRootBound
from cocogen.game.calibrated import Calibrated, fit_accuracy
from cocogen.terms.reading import field_problems
from cocogen.terms.sections import AccuracyTerms, CalibratedTerms, Learning, LossTerms, TermsSection

__all__ = [
    "CalibrationCell",
    "CalibrationRecord",
    "CalibrationTask",
    "MeasuredAccuracy",
    "accuracy_function",
    "fit_record",
    "inline_accuracy",
    "read_record",
    "write_record",
]

_FIELD = "market.accuracy.file"
_MAXIMUM_FILE_BYTES = 10_000_000


class CalibrationTask(TermsSection):
    """What was run: the learning section (its partition states the proportions of the sizes), rounds and seed."""

    learning: Learning
    organizations: Annotated[int, Field(ge=1, strict=True)]
    rounds: Annotated[int, Field(ge=1, strict=True)]
    seed: Annotated[int, Field(ge=0, strict=True)]


class MeasuredAccuracy(TermsSection):
    """One federated run on ``samples`` real samples: ``accuracy`` on the test fold after all rounds, or what the metric
    of the terms is.

    ``heterogeneity`` is δ̄ of the partition, ``alpha`` the concentration of its Dirichlet label skew, ``repeat`` the
    number of the test fold and draw.
    """

    samples: Annotated[int, Field(ge=1, strict=True)]
    alpha: Annotated[float, Field(ge=1e-4, le=1e6)]
    repeat: Annotated[int, Field(ge=0, strict=True)]
    heterogeneity: Annotated[float, Field(ge=0, lt=1)]
    accuracy: Annotated[float, Field(ge=0, le=1)]


class CalibrationRecord(TermsSection):
    """A finished calibration, or with ``accuracy`` None one that is still being measured.

    ``residuals``: measured minus fitted accuracy of each run, in order.
    """

    schema_version: Literal[1] = 1
    task: CalibrationTask
    accuracy: CalibratedTerms | None = None
    largest_residual: Annotated[float, Field(ge=0, le=1)] | None = None
    residuals: tuple[float, ...] = ()
    runs: tuple[MeasuredAccuracy, ...] = ()

    @property
    def fitted(self) -> CalibratedTerms:
        """The fitted function; ConfigurationError while it is still being measured."""
        if self.accuracy is None:
            raise ConfigurationError("this calibration is unfinished", hint="finish it: cocogen calibrate")
        return self.accuracy

    def cells(self) -> list[CalibrationCell]:
        """The runs by sample count and label skew, fewest samples and mildest skew first."""
        grouped: dict[tuple[int, float], list[MeasuredAccuracy]] = {}
        for run in self.runs:
            grouped.setdefault((run.samples, -run.alpha), []).append(run)
        function = self.fitted.function()
        return [_cell(runs, function) for _, runs in sorted(grouped.items())]


@dataclass(frozen=True, slots=True)
class CalibrationCell:
    """The repeats of one sample count and label skew: mean ``heterogeneity``, mean, least and largest ``accuracy``.

    ``deviation`` is the standard deviation of the accuracies, None for a single run; ``fitted`` the function at mean δ̄.
    """

    samples: int
    alpha: float
    heterogeneity: float
    accuracy: float
    least: float
    largest: float
    deviation: float | None
    fitted: float


def _cell(runs: Sequence[MeasuredAccuracy], function: Calibrated) -> CalibrationCell:
    heterogeneity = fmean(run.heterogeneity for run in runs)
    accuracies = [run.accuracy for run in runs]
    return CalibrationCell(
        samples=runs[0].samples,
        alpha=runs[0].alpha,
        heterogeneity=heterogeneity,
        accuracy=fmean(accuracies),
        least=min(accuracies),
        largest=max(accuracies),
        deviation=stdev(accuracies) if len(runs) > 1 else None,
        fitted=float(function.with_heterogeneity(heterogeneity).value(runs[0].samples)),
    )


def fit_record(task: CalibrationTask, runs: Sequence[MeasuredAccuracy]) -> CalibrationRecord:
    """The finished record of these runs; InvalidAccuracy when they admit no increasing fit."""
    fit = fit_accuracy(
        [run.samples for run in runs], [run.heterogeneity for run in runs], [run.accuracy for run in runs]
    )
    function = fit.accuracy
    terms = CalibratedTerms(
        kind="calibrated",
        dataset=task.learning.dataset,
        model=task.learning.model,
        metric=task.learning.metric,
        floor=function.floor,
        skew=function.skew,
        losses=tuple(LossTerms(**loss._asdict()) for loss in function.losses),
        samples=function.samples,
        heterogeneity=function.measured_heterogeneity,
        rmse=fit.rmse,
    )
    return CalibrationRecord(
        task=task,
        accuracy=terms,
        largest_residual=fit.largest_residual,
        residuals=tuple(float(residual) for residual in fit.residuals),
        runs=tuple(runs),
    )


def write_record(path: Path, record: CalibrationRecord) -> None:
    """Write a record atomically as readable JSON; WorkspaceError when it cannot be written."""
    text = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_record(path: Path) -> CalibrationRecord:
    """Read :func:`write_record`'s file; ConfigurationError naming it, and every field at fault, when it is none."""
    hint = "name a file that `cocogen calibrate` wrote, or write it anew"
    try:
        return CalibrationRecord.model_validate_json(read_bounded(path, _MAXIMUM_FILE_BYTES))
    except ValidationError as error:
        raise ConfigurationError(
            "not a calibration:", file=str(path), problems=field_problems(error), hint=hint
        ) from error
    except (OSError, ValueError) as error:  # a ValueError for a name that no file can have, or too much in it
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot be read: {reason}", file=str(path), hint=hint) from error


def inline_accuracy(document: Mapping[str, Any], file: Path, stand_in: AccuracyTerms | None = None) -> dict[str, Any]:
    """A terms document with the fitted function in the place of the calibration file that it names.

    Parameters
    ----------
    document : mapping
        The terms, not validated yet; returned as it is when it names no calibration file.
    file : Path
        The terms file: the calibration's path is relative to it.
    stand_in : AccuracyTerms, optional
        Takes the place of whatever accuracy function the document states.

    Raises
    ------
    ConfigurationError
        When the calibration file is missing, malformed or unfinished.
    """
    market = document.get("market")
    if not isinstance(market, dict):
        return dict(document)
    stated = market.get("accuracy")
    if stand_in is not None:
        return {**document, "market": {**market, "accuracy": stand_in}}
    if not (isinstance(stated, dict) and stated.get("kind") == "calibrated" and "file" in stated):
        return dict(document)
    name = stated["file"]
    found, problem = _finished(file.parent, name)
    extra = set(stated) - {"kind", "file"}
    problems = [FieldProblem(f"market.accuracy.{key}", repr(stated[key]), "unknown beside file") for key in extra]
    if problem is not None or problems:
        target = file.parent / (name if isinstance(name, str) else f"{file.stem}.accuracy.json")
        trains = "learning" in document
        raise ConfigurationError(
            "the terms are not valid:",
            file=str(file),
            problems=[*problems, *([problem] if problem else [])],
            hint=f"measure it: cocogen calibrate {file if trains else 'CONFIG'} -o {target}",
        )
    return {**document, "market": {**market, "accuracy": found}}


def _finished(folder: Path, name: object) -> tuple[CalibratedTerms | None, FieldProblem | None]:
    if not isinstance(name, str):
        return None, FieldProblem(_FIELD, repr(name), "the name of a file, relative to the terms file")
    try:
        return read_record(folder / name).fitted, None
    except ConfigurationError as error:
        return None, FieldProblem(_FIELD, repr(name), str(error))


def accuracy_function(terms: AccuracyTerms) -> AccuracyFunction:
    """The accuracy function of the terms, without heterogeneity."""
    if terms.kind == "power-law":
        return PowerLaw(terms.ceiling, terms.scale, terms.exponent)
    if terms.kind == "square-root":
        return SquareRootBound(terms.ceiling, terms.epochs)
    if terms.kind == "calibrated":
        return terms.function()
    return Saturating(terms.ceiling, terms.scale)
