"""What one organization does in a round with its own data: choose samples, generate, train, and sign evidence.

A member holds its own samples and its own salt, nobody else's. Members that are played on one machine train stacked
(:func:`train_members`); one that is played alone gets the same bundle up to floating point rounding. Left out: what the
attester does with a bundle (:mod:`cocogen.evidence.attester`), how many samples to use, which is planned, and where the
samples come from (:mod:`cocogen.data.sources`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cocogen.data.samples import Samples
from cocogen.data.sources.base import Source
from cocogen.errors import DatasetError, LearningError
from cocogen.evidence.agreed import Agreed, Models
from cocogen.evidence.bundle import Bundle, Manifest, TrainingLog, commitments
from cocogen.evidence.challenge import Answer, Challenge, answer
from cocogen.evidence.leaves import bitmap
from cocogen.evidence.privacy import noise_stream, withheld
from cocogen.evidence.progress import Progress, counter, tell
from cocogen.learning.generators.base import deficit_labels
from cocogen.learning.generators.memorization import Memorization, memorization
from cocogen.learning.generators.quality import panel_labels
from cocogen.learning.models.states import ModelState, SharedModel, average
from cocogen.learning.training.devices import choose_device
from cocogen.learning.training.local import Advance, LocalResult, LocalWork, train
from cocogen.learning.training.scaffold import Variate
from cocogen.learning.training.threads import one_thread
from cocogen.streams import Purpose

__all__ = [
    "Agreed",
    "Assignment",
    "Member",
    "Progress",
    "first_panels",
    "pretrain",
    "pretraining_step",
    "train_members",
]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one organization uses in a round: ``data`` real samples, and ``raw`` synthetic ones that it generates."""

    data: int
    raw: int


class Member:
    """Organization ``index`` of the ``agreed`` task, with its own samples from ``source``, which it does not keep.

    Parameters
    ----------
    salt : the secret that hides its real samples behind their commitments. Derived from the agreed seed when absent,
        which hides nothing from whoever knows the seed and may guess samples: for local runs. Rows that it registered
        are named by their leaves and need none; with differential privacy it must be given.
    device : where its classifier trains, as :func:`cocogen.learning.training.devices.choose_device` reads it.
    models : those of ``agreed`` for this source, where they are built already.

    Attributes
    ----------
    own : its samples.
    registered : how many they are.
    rows : what it registered of its own data, None where one data set was shared out.
    patients : its samples that are never trained on, None in a rehearsal.

    Raises
    ------
    DatasetError
        When its samples cannot be read, or are not as many as were registered.
    LearningError
        When there is no such device, local training takes more steps than evidence may log, or updates of own data
        would be protected by noise that others can draw.
    """

    def __init__(
        self,
        agreed: Agreed,
        source: Source,
        index: int,
        *,
        salt: bytes | None = None,
        device: str | None = None,
        models: Models | None = None,
    ) -> None:
        self.agreed = agreed
        self.index = index
        self.name = agreed.names[index]
        self.device: torch.device = choose_device(device)
        self.models = models or agreed.models(source)
        self.own = source.of_member(index)
        self.registered = len(self.own.labels)
        self.rows = source.registered(index)
        self.patients = source.own_patients(index)
        counts = source.counts
        self._check_registered(salt)
        self._classes = counts.shape[1]
        self._mix = counts.sum(axis=0) / counts.sum()
        self._salt = salt or agreed.streams.get(Purpose.SALT, 0, index).bytes(32)
        self._start: ModelState | None = None

    def _check_registered(self, salt: bytes | None) -> None:
        if self.rows is None:
            return
        if self.rows.training != self.registered:
            raise DatasetError(
                f"{self.name} has {self.registered} samples to train on, but registered {self.rows.training}",
                hint="give back the data as they were registered",
            )
        if self.agreed.privacy is not None and salt is None:
            raise LearningError(
                f"the noise on the updates of {self.name} would follow from the public seed",
                hint="pass the organization's secret",
            )

    def train(
        self,
        round_number: int,
        base: SharedModel,
        assignment: Assignment,
        terms_hash: bytes,
        sign: Callable[[bytes], bytes],
        *,
        variate: Variate | None = None,
        challenge: str | None = None,
    ) -> Bundle:
        """Its signed bundle of a round, as :func:`train_members` makes it; ``variate``: what SCAFFOLD keeps of it.

        Raises
        ------
        LearningError
            When the assignment exceeds the registered samples or is negative, training diverges, or rows are to be
            opened and the attester has not committed to anything.
        """
        with one_thread():
            (bundle,) = train_members(
                [self],
                round_number,
                [base],
                [assignment],
                terms_hash,
                lambda _, digest: sign(digest),
                variates=[variate or Variate()],
                challenge=challenge,
            )
        return bundle

    def answer(self, challenge: Challenge, manifest: Manifest) -> Answer:
        """The rows that it opens to the attester, of those that its bundle used: the agreed number of them.

        Raises
        ------
        LearningError
            Nothing was agreed to be opened, or registered here; or the challenge is not the one for this bundle.
        """
        if not self.agreed.openings or self.rows is None or self.rows.open is None:
            raise LearningError(
                f"{self.name} opens no row: none was agreed to be opened, or none is registered here",
                hint="attestation.openings of the terms says how many are",
            )
        return answer(challenge, manifest, self.agreed.openings, self.rows.open)

    def panel(self, state: ModelState, round_number: int) -> Samples:
        """The class-balanced panel that it draws from its generator."""
        labels = panel_labels(self._classes, self.agreed.panel)
        rng = self.agreed.streams.get(Purpose.PANEL, round_number, self.index)
        return Samples(self.models.generator.sample(state, labels, rng), labels)

    def memorization(self, synthetic: Samples, reference: Samples) -> Memorization:
        """Whether its ``synthetic`` samples repeat its own, beside real ones of others, the ``reference``.

        Only it can tell, before its bundle leaves the house.
        """
        return memorization(synthetic, self.own, reference)

    def check(self, assignment: Assignment, challenge: str | None = None) -> None:
        """LearningError when the assignment is more than it registered, or negative, or the challenge not as agreed."""
        if (challenge is None) != (not self.agreed.openings):
            raise LearningError(
                f"{self.name} agreed to open {self.agreed.openings} rows a round, and its order "
                f"{'commits to no draw of them' if challenge is None else 'commits to a draw'}",
                hint="rows are drawn by a nonce whose hash goes out with the orders, where the terms agree on openings",
            )
        if not (0 <= assignment.data <= self.registered and assignment.raw >= 0):
            raise LearningError(
                f"{self.name} cannot use {assignment.data} real and {assignment.raw} synthetic samples: it "
                f"registered {self.registered}",
                hint=f"assign between 0 and {self.registered} real samples and at least 0 synthetic ones",
            )

    def subset(self, round_number: int, data: int) -> NDArray[np.int64]:
        """Which ``data`` of its samples it uses in a round: sorted indices."""
        if data == self.registered:
            return np.arange(self.registered, dtype=np.int64)
        rng = self.agreed.streams.get(Purpose.SUBSET, round_number, self.index)
        return np.sort(rng.choice(self.registered, size=data, replace=False)).astype(np.int64)

    def generate(self, state: ModelState, real: Samples, round_number: int, raw: int) -> Samples:
        """``raw`` synthetic samples of the classes that ``real`` lacks; fewer where it trains its generator alone."""
        counts = np.bincount(real.labels, minlength=self._classes).astype(np.int64)
        labels = deficit_labels(counts, self._mix, raw)
        if not self.agreed.shares_generator:
            labels = labels[np.isin(labels, self.own.labels)]
        rng = self.agreed.streams.get(Purpose.SYNTHETIC, round_number, self.index)
        return Samples(self.models.generator.sample(state, labels, rng), labels)

    def work(self, state: ModelState, samples: Samples, purpose: Purpose, number: int) -> LocalWork:
        """Its part of round ``number`` of what is trained from ``state``, on ``samples`` of its own."""
        rng = self.agreed.streams.get(purpose, number, self.index)
        return LocalWork(state, samples.features, samples.labels, rng)

    def bundle(
        self,
        round_number: int,
        base: SharedModel,
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        chosen: NDArray[np.int64],
        generator: ModelState,
        synthetic: Samples,
        result: LocalResult,
        variate: Variate | None,
        challenge: str | None = None,
    ) -> Bundle:
        """The signed evidence of a round, for the ``chosen`` of its samples and what came of training."""
        sealed: tuple[str, ...] = ()
        if self.rows is None:
            sealed = commitments(self._salt, chosen.tolist(), self.own.features[chosen], self.own.labels[chosen])
        panel, privacy = self.panel(generator, round_number), self.agreed.privacy
        state, log = result.state, TrainingLog.of(result.trace, self.agreed.learning.local_epochs)
        if privacy is not None:
            used = len(chosen), len(synthetic.labels)
            noise = noise_stream(self._salt, terms_hash, round_number, base.digest(), *used)
            state, log = privacy.protect(state, base.classifier, noise), withheld(log)
        manifest = Manifest(
            organization=self.name,
            round=round_number,
            terms_hash=terms_hash.hex(),
            base=base.digest(),
            classifier=state.digest(),
            generator=generator.digest(),
            synthetic=synthetic.digest(),
            panel=panel.digest(),
            commitments=sealed,
            raw=len(synthetic.labels),
            update_norm=state.distance(base.classifier),
            generator_update_norm=generator.distance(base.generator),
            training=log,
            control_variate=None if variate is None else variate.state.digest(),
            leaves=None if self.rows is None else bitmap(chosen, self.rows.training),
            challenge=challenge,
        )
        return Bundle.signed(manifest, state, generator, synthetic, panel, lambda digest: sign(self.name, digest))


def pretrain(members: Sequence[Member], progress: Progress | None = None) -> ModelState:
    """The generator that all ``members`` trained by federated averaging.

    If each trains its own alone, the shared one stays untrained: it is where all of them start.
    """
    agreed, state = members[0].agreed, members[0].models.initial.generator
    if not agreed.shares_generator:
        _starts(members, [state] * len(members), progress)
        return state
    rounds = agreed.pretraining_rounds
    if not rounds:
        return state
    own, registered = [member.own for member in members], [member.registered for member in members]
    for number in range(rounds):
        tell(progress, "training the generator", number, rounds)
        state = average(_fit(members, [state] * len(members), own, Purpose.PRETRAINING, number), registered)
    tell(progress, "training the generator", rounds, rounds)
    return state


def pretraining_step(member: Member, state: ModelState, number: int) -> ModelState:
    """The part of one ``member`` in round ``number`` (from 0) of :func:`pretrain`: the generator after its own data."""
    return _fit([member], [state], [member.own], Purpose.PRETRAINING, number)[0]


def first_panels(members: Sequence[Member], shared: ModelState) -> list[Samples]:
    """A panel of each member before the first round, after it has trained the ``shared`` generator."""
    own, starts = [member.own for member in members], _starts(members, [shared] * len(members))
    fitted = _fit(members, starts, own, Purpose.GENERATOR_BATCHES, 0)
    return [member.panel(state, 0) for member, state in zip(members, fitted, strict=True)]


def train_members(
    members: Sequence[Member],
    round_number: int,
    bases: Sequence[SharedModel],
    assignments: Sequence[Assignment],
    terms_hash: bytes,
    sign: Callable[[str, bytes], bytes],
    progress: Progress | None = None,
    *,
    variates: Sequence[Variate],
    challenge: str | None = None,
) -> list[Bundle]:
    """The signed bundle of each of ``members``, all of one agreement, from its model in ``bases``.

    The generator goes on training on the member's own real samples, then generates; the classifier trains on both, all
    of them stacked. ``sign``: a signature by name over a digest. ``variates``: what SCAFFOLD keeps of each, looked at
    where it is agreed. ``challenge``: what the attester committed to, where rows are agreed to be opened.

    Raises
    ------
    LearningError
        When an assignment exceeds the registered samples or is negative, training diverges, or ``challenge`` is not
        there where it is agreed.
    """
    for member, assignment in zip(members, assignments, strict=True):
        member.check(assignment, challenge)
    if not members:
        return []
    agreed, models, count = members[0].agreed, members[0].models, len(members)
    corrections = list(variates) if agreed.learning.scaffold else [None] * count
    listener = progress if agreed.generates else None
    advance = counter(listener, f"round {round_number}: training generators", 0, 3 * count)
    chosen = [member.subset(round_number, a.data) for member, a in zip(members, assignments, strict=True)]
    own = [Samples(m.own.features[rows], m.own.labels[rows]) for m, rows in zip(members, chosen, strict=True)]
    starts = _starts(members, [base.generator for base in bases])
    generators = _fit(members, starts, own, Purpose.GENERATOR_BATCHES, round_number, advance)
    advance = counter(progress, f"round {round_number}: training classifiers", count, 3 * count)
    synthetic = [
        member.generate(state, real, round_number, assignment.raw)
        for member, state, real, assignment in zip(members, generators, own, assignments, strict=True)
    ]
    works = [
        LocalWork(
            base.classifier,
            np.concatenate([real.features, extra.features]),
            np.concatenate([real.labels, extra.labels]),
            agreed.streams.get(Purpose.CLASSIFIER_BATCHES, round_number, member.index),
            synthetic=len(extra.labels),
            correction=None if variate is None else variate.correction(base),
        )
        for member, base, real, extra, variate in zip(members, bases, own, synthetic, corrections, strict=True)
    ]
    results = train(models.classifier, works, agreed.schedule, members[0].device, advance)
    bundles = []
    advance = counter(progress, f"round {round_number}: signing evidence", 2 * count, 3 * count)
    for n, (member, variate) in enumerate(zip(members, corrections, strict=True)):
        made = chosen[n], generators[n], synthetic[n], results[n], variate
        bundles.append(member.bundle(round_number, bases[n], terms_hash, sign, *made, challenge))
        advance()
    return bundles


def _starts(
    members: Sequence[Member], shared: Sequence[ModelState], progress: Progress | None = None
) -> list[ModelState]:
    """Where the generators of these members start in a round: at those ``shared``, or each at its own.

    Its own is pretrained on all that the member holds; it follows from the seed, hence is kept nowhere.
    """
    agreed = members[0].agreed
    if agreed.shares_generator:
        return list(shared)
    missing = [member for member in members if member._start is None]
    states, rounds = [member.models.initial.generator for member in missing], agreed.pretraining_rounds
    for number in range(rounds if missing else 0):
        tell(progress, "training the generators", number, rounds)
        states = _fit(missing, states, [member.own for member in missing], Purpose.PRETRAINING, number)
    for member, state in zip(missing, states, strict=True):
        member._start = state
    tell(progress, "training the generators", rounds, rounds)
    return [member._start for member in members if member._start is not None]


def _fit(
    members: Sequence[Member],
    states: Sequence[ModelState],
    own: Sequence[Samples],
    purpose: Purpose,
    number: int,
    advance: Advance = lambda: None,
) -> list[ModelState]:
    works = [
        member.work(state, samples, purpose, number)
        for member, state, samples in zip(members, states, own, strict=True)
    ]
    return members[0].models.generator.fit(works, advance)
