"""Measure the metric of the terms in real federated runs, over the number of samples and the label skew of the
organizations.

Each run trains the model of the terms for all their rounds on a subset of the real training data, without synthetic
samples, and is evaluated on a test fold. The design crosses sample counts (geometric) with label skews and repeats;
repeat r uses test fold r and its own draws, and all cells of a repeat share them, so that differences between cells are
paired. A run depends only on the task and its place in the design: measuring can stop anywhere and go on later, or
extend an earlier design, without changing a number. Left out: the fit and the file (:mod:`cocogen.terms.accuracy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from cocogen.data.sets import DataFolders
from cocogen.errors import DatasetError
from cocogen.evidence.local import Agreed, Local, Progress
from cocogen.game.accuracy import mean_heterogeneity
from cocogen.terms.accuracy import CalibrationTask, MeasuredAccuracy
from cocogen.terms.metrics import metric_words
from cocogen.terms.sections import OWN, Generation, Partition

__all__ = ["ALPHAS", "Design", "Run", "measure", "plan_design"]

ALPHAS = (100.0, 1.0, 0.1)
"""Concentrations of the Dirichlet label skew: nearly the common mix, uneven, nearly one class each."""

_LEAST_EACH = 2  # samples of an organization on average; with one each, no label mix is even
_LEAST_SHARE = 16  # the smallest subset is this part of the data


@dataclass(frozen=True, slots=True)
class Run:
    """One place in the design: ``samples`` of all organizations together, label skew ``alpha`` and ``repeat``."""

    samples: int
    alpha: float
    repeat: int


@dataclass(frozen=True, slots=True)
class Design:
    """Which runs to make: every sample count with every label skew in every repeat."""

    samples: tuple[int, ...]
    alphas: tuple[float, ...]
    repeats: int

    def runs(self) -> list[Run]:
        """Repeat by repeat, so that an interrupted calibration has seen the whole range."""
        cells = [(samples, alpha) for samples in self.samples for alpha in self.alphas]
        return [Run(samples, alpha, repeat) for repeat in range(self.repeats) for samples, alpha in cells]


def plan_design(
    task: CalibrationTask,
    points: int,
    repeats: int,
    alphas: tuple[float, ...] = ALPHAS,
    folders: DataFolders | None = None,
) -> Design:
    """Sample counts from a sixteenth of the training data (at least two an organization) to all of it, geometric.

    Parameters
    ----------
    task : CalibrationTask
        What is run.
    points : int
        Different sample counts, at least 3.
    repeats : int
        Runs of each cell, at least 1.
    folders : DataFolders, optional
        Where the files of the data set are looked for.

    Raises
    ------
    DatasetError
        When the data do not hold that many different sample counts for these organizations, or are their own.
    """
    if task.learning.dataset == OWN:
        raise DatasetError(
            "own data cannot be cut anew for each run, so no accuracy function can be measured on them",
            hint="state one in market.accuracy, or measure it on a public data set that resembles them",
        )
    whole = min(_pool(task, repeat, folders) for repeat in range(min(repeats, task.learning.splits)))
    least = max(_LEAST_EACH * task.organizations, -(-whole // _LEAST_SHARE))
    samples = np.unique(np.rint(np.geomspace(least, max(whole, least), points)).astype(np.int64)).tolist()
    if whole < least or len(samples) < points:
        raise DatasetError(
            f"{whole} training samples hold no {points} different subsets for {task.organizations} organizations with "
            f"at least {_LEAST_EACH} samples each on average",
            hint="calibrate with fewer organizations, or lower learning.holdout_fraction",
        )
    return Design(tuple(samples), tuple(alphas), repeats)


def measure(
    task: CalibrationTask,
    design: Design,
    known: Iterable[MeasuredAccuracy] = (),
    *,
    keep: Callable[[list[MeasuredAccuracy]], None] | None = None,
    progress: Progress | None = None,
    folders: DataFolders | None = None,
) -> list[MeasuredAccuracy]:
    """Measure what ``known`` lacks of the design; results in the order of :meth:`Design.runs`.

    ``keep`` is called after every run with all that is measured so far; ``folders`` is where the files of the data set
    are looked for.

    Raises
    ------
    LearningError
        When training diverges.
    DatasetError
        When the data cannot be split as the task says.
    """
    found = {Run(point.samples, point.alpha, point.repeat): point for point in known}
    runs = design.runs()
    measuring = f"measuring {metric_words(task.learning.metric)} in federated runs"
    for done, run in enumerate(runs):
        if progress is not None:
            progress(measuring, done, len(runs))
        if run not in found:
            found[run] = _measure(task, run, folders)
            if keep is not None:
                keep([found[each] for each in runs if each in found])
    if progress is not None:
        progress(measuring, len(runs), len(runs))
    return [found[run] for run in runs]


def _measure(task: CalibrationTask, run: Run, folders: DataFolders | None) -> MeasuredAccuracy:
    sizes = _shares(run.samples, task.learning.partition.sizes or (1,) * task.organizations)
    partition = Partition(kind="dirichlet", alpha=run.alpha, sizes=sizes)
    learning = _learning_task(task, run.repeat, partition, folders)
    heterogeneity = mean_heterogeneity(learning.heterogeneity, learning.registered)
    accuracy = learning.train_together(task.rounds).value
    return MeasuredAccuracy(
        samples=run.samples, alpha=run.alpha, repeat=run.repeat, heterogeneity=heterogeneity, accuracy=accuracy
    )


def _pool(task: CalibrationTask, repeat: int, folders: DataFolders | None) -> int:
    return int(_learning_task(task, repeat, Partition(kind="iid"), folders).registered.sum())


def _learning_task(task: CalibrationTask, repeat: int, partition: Partition, folders: DataFolders | None) -> Local:
    learning = task.learning.model_copy(update={"partition": partition})
    block, split = divmod(repeat, learning.splits)
    # The first repeats use the folds of the terms' own seed; further ones cut the data anew.
    seed = task.seed if block == 0 else int(np.random.SeedSequence(task.seed, spawn_key=(block,)).generate_state(1)[0])
    names = tuple(str(n) for n in range(task.organizations))
    agreed = Agreed(learning, Generation(), names, seed, split, generates=False)
    return Local(agreed, agreed.source(folders))


def _shares(total: int, proportions: tuple[int, ...]) -> tuple[int, ...]:
    """``total`` in whole shares of at least 1 that follow the proportions; the largest remainders are rounded up."""
    weights = np.asarray(proportions, dtype=np.float64)
    exact = (total - len(weights)) * weights / weights.sum()
    shares = np.floor(exact).astype(np.int64)
    missing = total - len(weights) - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    return tuple((shares + 1).tolist())
