"""All organizations and the attester of one consortium, played on one machine: for runs and studies.

The members train stacked (:func:`cocogen.evidence.member.train_members`), on samples that are in memory once. Besides
rounds there is what only somebody who has everybody's samples can do: training without evidence, together or alone.
Whoever is alone on a machine is a :class:`~cocogen.evidence.member.Member`, or the
:class:`~cocogen.evidence.attester.Attester`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.heterogeneity import heterogeneity, label_mix
from cocogen.data.holdings import Holdings
from cocogen.data.sources.base import Source
from cocogen.errors import LearningError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.alone import tell
from cocogen.evidence.attester import Attester
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.here import train_assigned
from cocogen.evidence.member import Assignment, Member, Progress, first_panels, pretrain
from cocogen.evidence.own_patients import OwnPatients
from cocogen.learning.generators.memorization import Memorization
from cocogen.learning.generators.theta import GradientGap, gradient_gap
from cocogen.learning.metrics import Evaluation
from cocogen.learning.models.states import ModelState, SharedModel, average
from cocogen.learning.training.local import LocalWork, train
from cocogen.learning.training.scaffold import Variate
from cocogen.learning.training.threads import one_thread
from cocogen.learning.training.together import evaluate, train_alone, train_together
from cocogen.streams import Purpose

__all__ = ["Agreed", "Assignment", "Local", "Progress", "SharedModel"]


class Local:
    """The members and the attester of the ``agreed`` task.

    Parameters
    ----------
    agreed : what all agreed to learn.
    source : where the samples are read, by default the split of the data set that the terms name; it is not kept.
    salts : of each organization, as :class:`~cocogen.evidence.member.Member` takes them.
    device : where classifiers train, as :func:`cocogen.learning.training.devices.choose_device` reads it.

    Attributes
    ----------
    registered : (N,) int64, real samples of each organization.
    label_mix : (N, C) float64, rows sum to 1.
    heterogeneity : (N,) float64, δ_n in [0, 1].

    Raises
    ------
    DatasetError
        When the samples cannot be read.
    LearningError
        When local training takes more steps than evidence may log.
    """

    def __init__(
        self,
        agreed: Agreed,
        source: Source | None = None,
        *,
        salts: Sequence[bytes] | None = None,
        device: str | None = None,
    ) -> None:
        self.agreed = agreed
        self._salts, self._device = salts, device
        self._holdings = Holdings.of(source or agreed.source())
        counts = self._holdings.counts
        self.registered = counts.sum(axis=1)
        self.label_mix = label_mix(counts)
        self.heterogeneity = heterogeneity(counts)
        models = agreed.models(self._holdings)
        self._initial = models.initial
        self.members = [
            Member(agreed, self._holdings, n, salt=salts[n] if salts else None, device=device, models=models)
            for n in range(len(agreed.names))
        ]
        self.attester = Attester(agreed, self._holdings, models=models)

    def without_generation(self) -> Local:
        """The same where nobody generates, on the same samples in memory."""
        return Local(replace(self.agreed, generates=False), self._holdings, salts=self._salts, device=self._device)

    def initial_state(self) -> SharedModel:
        """Untrained classifier and generator."""
        return self._initial

    def pretrain(self, progress: Progress | None = None) -> SharedModel:
        """The initial model with a generator that all organizations trained by federated averaging.

        If each trains its own alone, the shared one stays untrained: it is where all of them start.
        """
        with one_thread():
            return SharedModel(self._initial.classifier, pretrain(self.members, progress))

    def measure_quality(self, shared: SharedModel) -> NDArray[np.float64]:
        """κ of each organization before the first round, shape (N,), in [0.01, 1]; NaN where nobody generates."""
        if not self.agreed.generates:
            return np.full(len(self.members), math.nan)
        with one_thread():
            panels = first_panels(self.members, shared.generator)
            return np.array([self.attester.measure_panel(panel, n) for n, panel in enumerate(panels)])

    def train(
        self,
        round_number: int,
        shared: SharedModel | Sequence[SharedModel],
        assignments: Sequence[Assignment | None],
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        progress: Progress | None = None,
        *,
        variates: Sequence[Variate] | None = None,
        challenge: str | None = None,
    ) -> list[Bundle | None]:
        """Generate, train and sign for every organization that has an assignment; the others get None.

        ``shared``: the model that everybody was given, or that of each. If each organization trains its generator
        alone, it generates fewer samples than assigned: those of the classes that it does not hold are left out.
        ``variates``: where the terms say SCAFFOLD, what it keeps of each organization, nothing of anybody when absent.
        ``challenge``: what the attester committed to, where rows are agreed to be opened.

        Raises
        ------
        LearningError
            When an assignment exceeds the registered samples or is negative, or training diverges.
        """
        bases = [shared] * len(self.members) if isinstance(shared, SharedModel) else list(shared)
        return train_assigned(
            self.members.__getitem__,
            round_number,
            bases,
            assignments,
            terms_hash,
            sign,
            progress,
            variates=variates,
            challenge=challenge,
        )

    def train_together(self, rounds: int) -> Evaluation:
        """All organizations together on all their real data, without generation or evidence, on the test fold."""
        with one_thread():
            state = train_together(
                self.attester.classifier,
                self._initial.classifier,
                self._real_works,
                self.agreed.schedule,
                rounds,
                self.agreed.aggregation.among_honest(),  # nobody lies here
                self.members[0].device,
                scaffold=self.agreed.learning.scaffold,
            )
            return self._judge(state)

    def train_alone(self, rounds: int) -> list[Evaluation]:
        """Each organization by itself: its own real data, the epochs of ``rounds`` rounds, the same initial model.

        It keeps the standardization that all agreed on, which is in its favour.
        """
        with one_thread():
            initial = self._initial.classifier
            works = [m.work(initial, m.own, Purpose.ALONE, 0) for m in self.members]
            schedule, device = self.agreed.schedule, self.members[0].device
            states = train_alone(self.attester.classifier, works, schedule, rounds, device)
            return [self._judge(state) for state in states]

    def own_patients(
        self, number: int, given: Mapping[int, Path], alone: Mapping[int, Path], rounds: int
    ) -> dict[int, OwnPatients]:
        """What organizations tell of a round on their own patients; nothing of those that keep none apart.

        ``given``: the file of the model that each was given, by index. ``alone``: that of the classifier that each
        trains by itself with the steps of ``rounds`` rounds, written where it is missing.

        Raises
        ------
        LearningError
            A file cannot be read.
        WorkspaceError
            One cannot be written.
        """
        told = {n: tell(self.members[n], number, path, alone[n], rounds) for n, path in given.items()}
        return {n: counts for n, counts in told.items() if counts is not None}

    def memorization(self, bundles: Sequence[Bundle | None]) -> dict[str, Memorization]:
        """Whether synthetic samples repeat the organization's own, for each that hands some in, by name.

        Each can tell only for itself, before its bundle leaves the house. The reference is the test fold.
        """
        return {
            bundle.organization: member.memorization(bundle.synthetic, self.attester.test)
            for member, bundle in zip(self.members, bundles, strict=True)
            if bundle is not None and len(bundle.synthetic.labels)
        }

    def measure_theta(self, shared: SharedModel, rounds: int = 5) -> GradientGap:
        """θ of the shared generator on the attester's holdout, along ``rounds`` of federated averaging on real data.

        Raises
        ------
        LearningError
            When each organization trains its own generator, so that none is shared, or no class has a gradient.
        """
        if not self.agreed.generates:
            raise LearningError("θ is that of a generator, but nobody generates", hint="set generation.maximum above 0")
        if not self.agreed.shares_generator:
            raise LearningError(
                "θ is that of one generator for all, but every organization trains its own",
                hint='set generation.training = "federated"',
            )
        classifier = self.attester.classifier
        with one_thread():
            states = [shared.classifier]
            for number in range(1, rounds + 1):
                results = train(classifier, self._real_works(number, states[-1]), self.agreed.schedule)
                states.append(average([result.state for result in results], self.registered.tolist()))
            return gradient_gap(classifier, states, self.attester.holdout, self.members[0].panel(shared.generator, 0))

    def _real_works(self, number: int, state: ModelState) -> list[LocalWork]:
        """Everybody's part of round ``number`` from ``state``, on all of its real samples."""
        return [member.work(state, member.own, Purpose.CLASSIFIER_BATCHES, number) for member in self.members]

    def _judge(self, state: ModelState) -> Evaluation:
        test = self.attester.test
        return evaluate(self.attester.classifier, state, test.features, test.labels, self.attester.metric)
