"""What the organizations do in a round, each with its own data: choose samples, generate, train, and sign evidence.

On one machine all of them are played at once, so that their training can be stacked; an organization that is played
alone gets the same bundle up to floating point rounding. Left out: what the attester does with a bundle
(:mod:`cocogen.evidence.attester`), and how many samples to use, which is planned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count as count_from

import numpy as np
import torch
from numpy.typing import NDArray

from cocogen.data.holdings import Holdings
from cocogen.data.samples import Samples
from cocogen.errors import LearningError
from cocogen.evidence.bundle import Bundle, Manifest, TrainingLog, commitments
from cocogen.evidence.privacy import UpdatePrivacy, noise_stream, withheld
from cocogen.learning.generators.base import Generator, deficit_labels
from cocogen.learning.generators.quality import panel_labels
from cocogen.learning.models.classifiers import Classifier
from cocogen.learning.models.states import ModelState, SharedModel, average
from cocogen.learning.training.local import Advance, LocalResult, LocalWork, Schedule, train
from cocogen.learning.training.scaffold import Variate
from cocogen.streams import Purpose, Streams
from cocogen.terms.sections import Generation

__all__ = ["Assignment", "Organizations", "Progress", "report"]

Progress = Callable[[str, int, int], None]
"""Called with a description, what is done, and the total."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one organization uses in a round: ``data`` real samples, and ``raw`` synthetic ones that it generates."""

    data: int
    raw: int


class Organizations:
    """All organizations of a task.

    ``names``, ``salts``: of each, in the order of the terms; a salt is the secret of one organization. ``holdings``:
    who holds which samples. ``initial``: the untrained generator. ``generation``: with no pretraining and no panel
    where nobody generates. ``privacy``: of the updates, None when not agreed.
    """

    def __init__(
        self,
        names: Sequence[str],
        salts: Sequence[bytes],
        holdings: Holdings,
        classifier: Classifier,
        generator: Generator,
        initial: ModelState,
        generation: Generation,
        schedule: Schedule,
        privacy: UpdatePrivacy | None,
        streams: Streams,
        device: torch.device,
    ) -> None:
        self.names = tuple(names)
        self._salts = salts
        self._own, self._classes = list(holdings.own), holdings.classes
        counts = holdings.counts
        self._mix = counts.sum(axis=0) / counts.sum()
        self.registered = counts.sum(axis=1)
        self._classifier = classifier
        self._generator = generator
        self._initial = initial
        self._generation = generation
        self._shared = generation.training == "federated"
        self._schedule = schedule
        self._privacy = privacy
        self._streams = streams
        self._device = device
        self._private: dict[int, ModelState] = {}

    def pretrain(self, progress: Progress | None = None) -> ModelState:
        """The generator that all trained by federated averaging.

        If each trains its own alone, the shared one stays untrained: it is where all of them start.
        """
        if not self._shared:
            self._start_generators([self._initial] * len(self.names), range(len(self.names)), progress)
            return self._initial
        state, rounds = self._initial, self._generation.pretraining_rounds
        if not rounds:
            return state
        for number in range(rounds):
            report(progress, "training the generator", number, rounds)
            fitted = self._fit_generators([state] * len(self.names), self._own, Purpose.PRETRAINING, number)
            state = average(fitted, self.registered.tolist())
        report(progress, "training the generator", rounds, rounds)
        return state

    def first_panels(self, shared: ModelState) -> list[Samples]:
        """A panel of each organization before the first round, after it has trained the ``shared`` generator."""
        starts = self._start_generators([shared] * len(self.names), range(len(self.names)))
        fitted = self._fit_generators(starts, self._own, Purpose.GENERATOR_BATCHES, 0)
        return [self.panel(state, 0, n) for n, state in enumerate(fitted)]

    def train(
        self,
        round_number: int,
        bases: Sequence[SharedModel],
        assignments: Sequence[Assignment | None],
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        progress: Progress | None = None,
        variates: Sequence[Variate] = (),
    ) -> list[Bundle | None]:
        """The signed bundle of each organization that has an assignment, from its model in ``bases``.

        ``variates``: what SCAFFOLD keeps of each organization; empty where it is not agreed.

        Raises
        ------
        LearningError
            When an assignment exceeds the registered samples or is negative, or training diverges.
        """
        at_work = [n for n, assignment in enumerate(assignments) if assignment is not None]
        for n in at_work:
            self._check_assignment(n, assignments[n])
        count = len(at_work)
        listener = progress if self._generation.panel else None  # without it there is no generator
        advance = _counter(listener, f"round {round_number}: training generators", 0, 3 * count)
        chosen = {n: self._subset(round_number, n, assignments[n]) for n in at_work}
        own = [Samples(self._own[n].features[chosen[n]], self._own[n].labels[chosen[n]]) for n in at_work]
        starts = self._start_generators([bases[n].generator for n in at_work], at_work)
        generators = self._fit_generators(starts, own, Purpose.GENERATOR_BATCHES, round_number, at_work, advance)
        advance = _counter(progress, f"round {round_number}: training classifiers", count, 3 * count)
        synthetic = [
            self._generate(state, real, round_number, n, assignments[n])
            for n, state, real in zip(at_work, generators, own, strict=True)
        ]
        works = [
            LocalWork(
                bases[n].classifier,
                np.concatenate([real.features, extra.features]),
                np.concatenate([real.labels, extra.labels]),
                self._streams.get(Purpose.CLASSIFIER_BATCHES, round_number, n),
                synthetic=len(extra.labels),
                correction=variates[n].correction(bases[n]) if variates else None,
            )
            for n, real, extra in zip(at_work, own, synthetic, strict=True)
        ]
        results = train(self._classifier, works, self._schedule, self._device, advance)
        bundles: list[Bundle | None] = [None] * len(self.names)
        advance = _counter(progress, f"round {round_number}: signing evidence", 2 * count, 3 * count)
        for n, real, state, extra, result in zip(at_work, own, generators, synthetic, results, strict=True):
            sealed = commitments(self._salts[n], chosen[n].tolist(), real.features, real.labels)
            variate = variates[n] if variates else None
            bundles[n] = self._bundle(
                round_number, n, bases[n], terms_hash, sign, sealed, state, extra, result, variate
            )
            advance()
        return bundles

    def panel(self, state: ModelState, round_number: int, n: int) -> Samples:
        """The class-balanced panel that organization ``n`` draws from its generator."""
        labels = panel_labels(self._classes, self._generation.panel)
        rng = self._streams.get(Purpose.PANEL, round_number, n)
        return Samples(self._generator.sample(state, labels, rng), labels)

    def real_works(self, number: int, state: ModelState) -> list[LocalWork]:
        """Everybody's part of round ``number`` from ``state``, on all of its real samples."""
        return [
            LocalWork(state, own.features, own.labels, self._streams.get(Purpose.CLASSIFIER_BATCHES, number, n))
            for n, own in enumerate(self._own)
        ]

    def _start_generators(
        self, shared: Sequence[ModelState], indices: Sequence[int], progress: Progress | None = None
    ) -> list[ModelState]:
        """Where the generators of these organizations start in a round: at those ``shared``, or each at its own.

        Its own is pretrained on all that the organization holds; it follows from the seed, hence is kept nowhere.
        """
        if self._shared:
            return list(shared)
        missing = [n for n in indices if n not in self._private]
        states, rounds = [self._initial] * len(missing), self._generation.pretraining_rounds
        for number in range(rounds if missing else 0):
            report(progress, "training the generators", number, rounds)
            states = self._fit_generators(states, [self._own[n] for n in missing], Purpose.PRETRAINING, number, missing)
        self._private |= dict(zip(missing, states, strict=True))
        report(progress, "training the generators", rounds, rounds)
        return [self._private[n] for n in indices]

    def _check_assignment(self, n: int, assignment: Assignment | None) -> None:
        registered = int(self.registered[n])
        if assignment is not None and not (0 <= assignment.data <= registered and assignment.raw >= 0):
            raise LearningError(
                f"{self.names[n]} cannot use {assignment.data} real and {assignment.raw} synthetic samples: it "
                f"registered {registered}",
                hint=f"assign between 0 and {registered} real samples and at least 0 synthetic ones",
            )

    def _subset(self, round_number: int, n: int, assignment: Assignment | None) -> NDArray[np.int64]:
        registered, data = int(self.registered[n]), assignment.data if assignment else 0
        if data == registered:
            return np.arange(registered, dtype=np.int64)
        rng = self._streams.get(Purpose.SUBSET, round_number, n)
        return np.sort(rng.choice(registered, size=data, replace=False)).astype(np.int64)

    def _fit_generators(
        self,
        states: Sequence[ModelState],
        own: Sequence[Samples],
        purpose: Purpose,
        number: int,
        indices: Sequence[int] | None = None,
        advance: Advance = lambda: None,
    ) -> list[ModelState]:
        places = range(len(own)) if indices is None else indices
        return self._generator.fit(
            [
                LocalWork(state, samples.features, samples.labels, self._streams.get(purpose, number, n))
                for n, state, samples in zip(places, states, own, strict=True)
            ],
            advance,
        )

    def _generate(
        self, state: ModelState, real: Samples, round_number: int, n: int, assignment: Assignment | None
    ) -> Samples:
        counts = np.bincount(real.labels, minlength=self._classes).astype(np.int64)
        labels = deficit_labels(counts, self._mix, assignment.raw if assignment else 0)
        if not self._shared:
            labels = labels[np.isin(labels, self._own[n].labels)]
        rng = self._streams.get(Purpose.SYNTHETIC, round_number, n)
        return Samples(self._generator.sample(state, labels, rng), labels)

    def _bundle(
        self,
        round_number: int,
        n: int,
        base: SharedModel,
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        sealed: tuple[str, ...],
        generator: ModelState,
        synthetic: Samples,
        result: LocalResult,
        variate: Variate | None,
    ) -> Bundle:
        name = self.names[n]
        panel = self.panel(generator, round_number, n)
        state, log = result.state, TrainingLog.of(result.trace, self._schedule.epochs)
        if self._privacy is not None:
            used = len(sealed), len(synthetic.labels)
            noise = noise_stream(self._salts[n], terms_hash, round_number, base.digest(), *used)
            state, log = self._privacy.protect(state, base.classifier, noise), withheld(log)
        manifest = Manifest(
            organization=name,
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
        )
        return Bundle.signed(manifest, state, generator, synthetic, panel, lambda digest: sign(name, digest))


def _counter(progress: Progress | None, description: str, done: int, total: int) -> Advance:
    """Tells ``progress`` where it stands, now and each time that it is called: one further."""
    numbers = count_from(done)

    def advance() -> None:
        report(progress, description, next(numbers), total)

    advance()
    return advance


def report(progress: Progress | None, description: str, done: int, total: int) -> None:
    """Tell ``progress``, if somebody listens."""
    if progress is not None:
        progress(description, done, total)
