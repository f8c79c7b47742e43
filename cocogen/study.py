"""Does it pay for the model? The same consortium over several stratified test folds, three ways.

For every fold the whole loop is played on an in-memory ledger: with the planned generation, without generation, and,
as the reference, every organization trains alone for as many epochs on its own data. The incentive is the agreed
one; local counts, label mixes and κ are measured anew in each fold, since the members' samples differ.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cocogen.consortium import Consortium
from cocogen.ledger import LedgerProvider
from cocogen.registration import Registration, register
from cocogen.rounds import RoundLoop
from cocogen.workspace import Workspace

if TYPE_CHECKING:
    from cocogen.learning.task import LearningTask
    from cocogen.rounds import Progress

__all__ = ["Study", "study"]


@dataclass(frozen=True, slots=True)
class Study:
    """Test accuracy per fold, each in [0, 1]: ``federated`` as planned, ``no_generation``, ``alone`` (the mean over
    the organizations), and ``alone_by_organization`` (folds × organizations).
    """

    federated: tuple[float, ...]
    no_generation: tuple[float, ...]
    alone: tuple[float, ...]
    alone_by_organization: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> dict[str, float]:
        """Mean accuracy over the folds."""
        return {
            "federated": float(np.mean(self.federated)),
            "no_generation": float(np.mean(self.no_generation)),
            "alone": float(np.mean(self.alone)),
        }


def study(
    consortium: Consortium,
    incentive: float,
    provider: Callable[[], LedgerProvider],
    *,
    settled: float | None = None,
    progress: Progress | None = None,
) -> Study:
    """Play every fold three ways; ``provider`` makes a fresh in-memory ledger for each.

    ``incentive`` (currency per effective sample) replaces "auto", so that all folds play the agreed game.
    ``settled``: the final accuracy of a run that has already been played on the first fold with these terms; the same
    seed would only give it again.
    """
    from cocogen.learning.task import LearningTask

    agreed = consortium.with_incentive(incentive)
    federated, without, alone = [], [], []
    splits = consortium.learning.splits
    for split in range(splits):
        if progress is not None:
            progress("comparing over test folds", split, splits)
        task = LearningTask(
            consortium.learning, consortium.generation, consortium.names, consortium.consortium.seed, split
        )
        registration = register(agreed, provider(), task)
        if split == 0 and settled is not None:
            federated.append(settled)
        else:
            federated.append(_play(registration, provider(), task, split, None))
        without.append(_play(registration, provider(), task, split, "vcfl"))
        alone.append(tuple(e.accuracy for e in task.train_alone(consortium.consortium.rounds)))
    if progress is not None:
        progress("comparing over test folds", splits, splits)
    return Study(tuple(federated), tuple(without), tuple(float(np.mean(row)) for row in alone), tuple(alone))


def _play(
    registration: Registration, provider: LedgerProvider, task: LearningTask, split: int, mechanism_name: str | None
) -> float:
    resolved = registration.resolved
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        workspace = Workspace(Path(folder))
        registration.shared.save(workspace.initial_model)
        ledger = provider.deploy(resolved.settlement_terms())
        loop = RoundLoop(resolved, ledger, workspace, split=split, mechanism_name=mechanism_name, task=task)
        accuracy = 0.0
        for _ in range(resolved.consortium.rounds):
            loop.bond()
            accuracy = loop.play().evaluation["accuracy"]
    provider.close()
    return accuracy
