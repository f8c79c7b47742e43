"""Does it pay for the model? The same consortium over several stratified test folds, three ways.

For every fold the whole loop is played on an in-memory ledger: with the planned generation, without generation, and,
as the reference, every organization trains alone for as many epochs on its own data. The incentive is the agreed
one; local counts, label mixes and κ are measured anew in each fold, since the members' samples differ.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cocogen.errors import LearningError
from cocogen.ledger import LedgerProvider
from cocogen.mechanisms import mechanism
from cocogen.operations.registration import Registration, register
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.report import RoundReport
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium
from cocogen.terms.metrics import metric_field
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from cocogen.data.sources.base import Source
    from cocogen.evidence.local import Agreed, Local
    from cocogen.rounds.loop import Progress

__all__ = ["Study", "StudyRun", "play_rounds"]


@dataclass(frozen=True, slots=True)
class Study:
    """The metric per test fold, each in [0, 1]: ``federated`` as planned, ``no_generation``, ``alone`` (the
    mean over the organizations), and ``alone_by_organization`` (folds × organizations).
    """

    federated: tuple[float, ...]
    no_generation: tuple[float, ...]
    alone: tuple[float, ...]
    alone_by_organization: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> dict[str, float]:
        """Means over the folds."""
        return {
            "federated": float(np.mean(self.federated)),
            "no_generation": float(np.mean(self.no_generation)),
            "alone": float(np.mean(self.alone)),
        }


@dataclass(frozen=True, slots=True)
class _Fold:
    federated: float | None
    no_generation: float
    alone: tuple[float, ...]


class StudyRun:
    """A study under way: the folds are played in processes of their own, as many as there are cores, at once.

    It starts when it is made, so that a run can settle its rounds meanwhile; :meth:`result` waits for it.

    Parameters
    ----------
    consortium
        Valid terms; addresses that they state do not matter, since nobody's key signs here.
    incentive
        Currency per effective sample; replaces "auto", so that all folds play the agreed game. An optimal
        redistribution is designed anew in each fold, as its weights follow from the members' samples.
    provider
        Makes a fresh in-memory ledger; must be picklable.
    first_fold
        False leaves the first fold's federated run to the caller, who plays it anyway: the same seed would only give
        it again.
    source
        Where samples come from, by default the data set that the terms name; must be picklable. Own data have no folds
        but that of the attester's own test samples.
    processes
        At most so many processes; default the number of cores. The result does not depend on it.
    """

    def __init__(
        self,
        consortium: Consortium,
        incentive: float,
        provider: Callable[[], LedgerProvider],
        *,
        first_fold: bool = True,
        source: Callable[[Agreed], Source] | None = None,
        processes: int | None = None,
    ) -> None:
        self._splits = 1 if consortium.learning.dataset == OWN else consortium.learning.splits
        uniform = consortium.incentive.redistribution == "uniform"
        agreed = (consortium.with_incentive(incentive) if uniform else consortium).without_accounts()
        play = partial(_fold, agreed, provider, first_fold, source)
        jobs = min(self._splits, processes or os.cpu_count() or 1)
        self._pool: ProcessPoolExecutor | None = None
        self._workers: list[BaseProcess] = []
        self._folds: Iterator[_Fold] = map(play, range(self._splits))
        if jobs > 1:
            others = set(active_children())
            # Not forked: torch and an open chain do not survive a fork.
            threads = max(1, (os.cpu_count() or 1) // jobs)
            self._pool = ProcessPoolExecutor(
                jobs, get_context("spawn"), initializer=_prepare_worker, initargs=(threads,)
            )
            self._folds = self._pool.map(play, range(self._splits))
            self._workers = [process for process in active_children() if process not in others]

    def cancel(self) -> None:
        """Stop whatever is still running; harmless once the result is there."""
        self._folds = iter(())
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.kill()
            self._pool.shutdown(wait=True)
            self._pool = None

    def result(self, *, settled: float | None = None, progress: Progress | None = None) -> Study:
        """Wait for all folds; ``settled`` is how the first fold's run ended if the caller played it.

        Raises
        ------
        LearningError
            A fold failed, the study was cancelled, or ``settled`` is missing.
        """
        folds: list[_Fold] = []
        while len(folds) < self._splits:
            if progress is not None:
                progress("comparing over test folds", len(folds), self._splits)
            try:
                fold = next(self._folds, None)
            except BrokenProcessPool as error:
                raise LearningError(
                    "a process of the comparison over test folds was killed", hint="free memory and run it again"
                ) from error
            if fold is None:
                raise LearningError("the comparison over test folds was cancelled", hint="run it again")
            folds.append(fold)
        if progress is not None:
            progress("comparing over test folds", self._splits, self._splits)
        self.cancel()
        federated = [settled if fold.federated is None else fold.federated for fold in folds]
        if None in federated:
            raise LearningError("the first fold was left to the caller, who gave no result for it")
        return Study(
            tuple(value for value in federated if value is not None),
            tuple(fold.no_generation for fold in folds),
            tuple(float(np.mean(fold.alone)) for fold in folds),
            tuple(fold.alone for fold in folds),
        )


def _prepare_worker(threads: int) -> None:
    # Ctrl-C and SIGTERM can reach the whole process group; the parent decides what becomes of its workers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    from cocogen.learning.training.threads import share_cores

    share_cores(threads)


def _fold(
    consortium: Consortium,
    provider: Callable[[], LedgerProvider],
    first_fold: bool,
    source: Callable[[Agreed], Source] | None,
    split: int,
) -> _Fold:
    from cocogen.evidence.local import Agreed, Local

    agreed = Agreed.of(consortium, split)
    task = Local(agreed, None if source is None else source(agreed))
    registration = register(consortium, provider(), task)
    field = metric_field(consortium.learning.metric)

    def final(registration: Registration, task: Local, rule: str | None = None) -> float:
        reports = play_rounds(registration, provider(), task, split=split, mechanism_name=rule)
        found = next((report.evaluation[field] for report in reversed(reports) if report.evaluation), None)
        # Rounds that were voided left nobody another model.
        return task.attester.evaluate(registration.shared).value if found is None else found

    plain = task.without_generation()
    return _Fold(
        final(registration, task) if first_fold or split > 0 else None,
        final(registration.without_generation(plain.initial_state()), plain, "vcfl"),
        tuple(evaluation.value for evaluation in task.train_alone(consortium.consortium.rounds)),
    )


def play_rounds(
    registration: Registration,
    provider: LedgerProvider,
    task: Local,
    *,
    split: int = 0,
    mechanism_name: str | None = None,
) -> list[RoundReport]:
    """All rounds of the terms on a fresh ledger of ``provider``, which is closed afterwards; nothing is kept.

    ``task``: that of ``split``. ``mechanism_name`` replaces the mechanism of the terms: "vcfl" generates nothing.
    """
    resolved = registration.resolved
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        workspace = Workspace(Path(folder))
        registration.shared.save(workspace.initial_model)
        ledger = provider.deploy(resolved.settlement_terms())
        rule = None if mechanism_name is None else mechanism(mechanism_name)
        loop = RoundLoop(resolved, ledger, workspace, split=split, rule=rule, task=task)
        reports = []
        for _ in range(resolved.consortium.rounds):
            loop.bond()
            reports.append(loop.play())
    provider.close()
    return reports
