"""One consortium's learning task: the facade that the round loop and the commands use.

It holds the partition of one split and derives every random draw from the seed of the terms. On one machine it plays
all organizations and the attester; the methods name what each of them would do with its own data. Left out: the plan
(how much to contribute) and the ledger (what it is worth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cocogen.errors import LearningError
from cocogen.learning.aggregation import ServerOptimizer
from cocogen.learning.attester import Attester, Caps, RoundEvidence
from cocogen.learning.checks import Expectation
from cocogen.learning.contribution import Utility, reaggregated
from cocogen.learning.datasets import DataFolders
from cocogen.learning.devices import choose_device
from cocogen.learning.evidence import Bundle, Manifest, Samples, TrainingLog, commitments
from cocogen.learning.federated import Evaluation, evaluate, train_alone, train_together
from cocogen.learning.generators.base import Generator, deficit_labels
from cocogen.learning.generators.choice import build_generator
from cocogen.learning.generators.memorization import Memorization, memorization
from cocogen.learning.generators.quality import panel_labels
from cocogen.learning.generators.theta import GradientGap, gradient_gap
from cocogen.learning.heterogeneity import heterogeneity, label_mix
from cocogen.learning.holdings import distribute
from cocogen.learning.models import build_classifier
from cocogen.learning.privacy import UpdatePrivacy, noise_stream, withheld
from cocogen.learning.robust import Aggregation
from cocogen.learning.states import ModelState, SharedModel, average
from cocogen.learning.streams import Purpose, Streams
from cocogen.learning.training import LocalResult, LocalWork, Schedule, train
from cocogen.sections import Generation, Learning

__all__ = ["Assignment", "Evaluation", "LearningTask", "Progress", "RoundEvidence", "SharedModel"]

Progress = Callable[[str, int, int], None]
"""Called with a description, what is done, and the total."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one organization uses in a round: ``data`` real samples, and ``raw`` synthetic ones that it generates."""

    data: int
    raw: int


class LearningTask:
    """The learning side of a consortium on test fold ``split``, everything derived from ``seed``.

    Parameters
    ----------
    learning, generation : the sections of the terms.
    names : organizations in the order of the terms; index n everywhere.
    salts : one secret per organization that hides its real samples behind their commitments. Derived from ``seed``
        when absent, which hides nothing from whoever knows the seed and may guess samples: for local runs.
    folders : where the files of the data set are looked for.
    device : where classifiers train, as :func:`cocogen.learning.devices.choose_device` reads it.
    generator : used in place of the one that the terms name, to measure what another would be worth.

    Attributes
    ----------
    registered : (N,) int64, real samples of each organization.
    label_mix : (N, C) float64, rows sum to 1.
    heterogeneity : (N,) float64, δ_n in [0, 1].

    Raises
    ------
    DatasetError
        When the data set is unknown, missing or malformed, or cannot be split as the terms say.
    """

    def __init__(
        self,
        learning: Learning,
        generation: Generation,
        names: Sequence[str],
        seed: int,
        split: int = 0,
        *,
        salts: Sequence[bytes] | None = None,
        folders: DataFolders | None = None,
        device: str | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.names = tuple(names)
        self._device = choose_device(device)
        self._streams = Streams(seed, split)
        holdings = distribute(learning, len(self.names), self._streams, folders)
        self._own, self._test = list(holdings.own), holdings.test
        self._classes = holdings.classes
        counts = holdings.counts
        self._mix = counts.sum(axis=0) / counts.sum()
        self.registered = counts.sum(axis=1)
        self.label_mix = label_mix(counts)
        self.heterogeneity = heterogeneity(counts)

        self._generation = generation
        agreed = learning.privacy
        self._privacy = UpdatePrivacy(agreed.clip, agreed.noise_multiplier, agreed.delta) if agreed else None
        self._schedule = Schedule(
            learning.local_epochs,
            learning.batch_size,
            learning.learning_rate,
            momentum=learning.momentum,
            weight_decay=learning.weight_decay,
            proximal=learning.proximal,
        )
        server = learning.server
        self._server = ServerOptimizer(
            server.optimizer, server.learning_rate, server.momentum, server.second_moment, server.adaptivity
        )
        self._classifier = build_classifier(
            learning.model, shape=holdings.shape, classes=self._classes, hidden=learning.hidden
        )
        self._generator = generator or build_generator(generation, shape=holdings.shape, classes=self._classes)
        self._shared_generator = generation.training == "federated"
        self._private: dict[int, ModelState] = {}
        self._salts = salts or [self._streams.get(Purpose.SALT, 0, n).bytes(32) for n in range(len(self.names))]
        with _one_thread():
            self.attester = Attester(
                self._classifier,
                self._generator,
                holdings.holdout,
                self._classes,
                self._streams,
                Aggregation(learning.aggregation, learning.trim, learning.clip_norm),
                self._server,
                held=None if self._shared_generator else [np.unique(own.labels) for own in self._own],
            )

    def initial_state(self) -> SharedModel:
        """Untrained classifier and generator."""
        return SharedModel(
            self._classifier.initial_state(self._streams.get(Purpose.CLASSIFIER)),
            self._generator.initial_state(self._streams.get(Purpose.GENERATOR)),
        )

    def pretrain(self, progress: Progress | None = None) -> SharedModel:
        """The initial model with a generator that all organizations trained by federated averaging.

        If each trains its own alone, the shared one stays untrained: it is where all of them start.
        """
        with _one_thread():
            initial = self.initial_state()
            if not self._shared_generator:
                self._start_generators([initial] * len(self.names), range(len(self.names)), progress)
                return initial
            state, rounds = initial.generator, self._generation.pretraining_rounds
            for number in range(rounds):
                _report(progress, "training the generator", number, rounds)
                fitted = self._fit_generators([state] * len(self.names), self._own, Purpose.PRETRAINING, number)
                state = average(fitted, self.registered.tolist())
            _report(progress, "training the generator", rounds, rounds)
            return SharedModel(initial.classifier, state)

    def measure_quality(self, shared: SharedModel) -> NDArray[np.float64]:
        """κ of each organization before the first round, shape (N,), in [0.01, 1]."""
        with _one_thread():
            starts = self._start_generators([shared] * len(self.names), range(len(self.names)))
            fitted = self._fit_generators(starts, self._own, Purpose.GENERATOR_BATCHES, 0)
            panels = [self._panel(state, 0, n) for n, state in enumerate(fitted)]
            return np.array([self.attester.measure_panel(panel, n) for n, panel in enumerate(panels)])

    def train(
        self,
        round_number: int,
        shared: SharedModel | Sequence[SharedModel],
        assignments: Sequence[Assignment | None],
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        progress: Progress | None = None,
    ) -> list[Bundle | None]:
        """Generate, train and sign for every organization that has an assignment; the others get None.

        The generator goes on training on the organization's own real samples, then generates; the classifier trains
        on both. If each organization trains its generator alone, it generates fewer samples than assigned: those of the
        classes that it does not hold are left out. An organization trained alone gives the same bundle up to floating
        point rounding.

        Raises
        ------
        LearningError
            When an assignment exceeds the registered samples or is negative, or training diverges.
        """
        bases = self._bases(shared)
        at_work = [n for n, assignment in enumerate(assignments) if assignment is not None]
        for n in at_work:
            self._check_assignment(n, assignments[n])
        with _one_thread():
            steps = len(at_work) + 2
            _report(progress, f"round {round_number}: training generators", 0, steps)
            chosen = {n: self._subset(round_number, n, assignments[n]) for n in at_work}
            own = [Samples(self._own[n].features[chosen[n]], self._own[n].labels[chosen[n]]) for n in at_work]
            generators = self._fit_generators(
                self._start_generators(bases, at_work), own, Purpose.GENERATOR_BATCHES, round_number, at_work
            )
            _report(progress, f"round {round_number}: training classifiers", 1, steps)
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
                )
                for n, real, extra in zip(at_work, own, synthetic, strict=True)
            ]
            results = train(self._classifier, works, self._schedule, self._device)
            bundles: list[Bundle | None] = [None] * len(self.names)
            for done, (n, real, state, extra, result) in enumerate(
                zip(at_work, own, generators, synthetic, results, strict=True)
            ):
                _report(progress, f"round {round_number}: signing evidence", done + 2, steps)
                sealed = commitments(self._salts[n], chosen[n].tolist(), real.features, real.labels)
                bundles[n] = self._bundle(round_number, n, bases[n], terms_hash, sign, sealed, state, extra, result)
            _report(progress, f"round {round_number}: signing evidence", steps, steps)
            return bundles

    def attest(
        self,
        round_number: int,
        shared: SharedModel | Sequence[SharedModel],
        bundles: Sequence[Bundle | None],
        addresses: Sequence[str],
        verify: Callable[[str, bytes, bytes], bool],
        quality: Sequence[float] | NDArray[np.float64],
        caps: Sequence[Caps],
        terms_hash: bytes,
        progress: Progress | None = None,
        *,
        planned: Sequence[int] | None = None,
    ) -> RoundEvidence:
        """Verify, measure and aggregate as the attester; nothing in a bundle is believed.

        ``quality``: κ in force this round, shape (N,). ``caps``: the largest contributions of the terms; an
        organization that generates more than its ``generated_cap`` is rejected. ``planned``: effective synthetic
        samples of the plan, shape (N,); more is not credited, because nothing proves that it was trained on.
        """
        bases = self._bases(shared)
        inputs = self._test.features.shape[1]
        expectations = [
            Expectation(
                organization=name,
                address=addresses[n],
                round=round_number,
                terms_hash=terms_hash,
                registered=int(self.registered[n]),
                maximum=caps[n].generated_cap,
                base=bases[n],
                inputs=inputs,
                classes=self._classes,
                panel=self._generation.panel,
                schedule=self._schedule,
                privacy=self._privacy,
            )
            for n, name in enumerate(self.names)
        ]
        in_force = [float(value) for value in quality]
        with _one_thread():
            return self.attester.attest(bundles, expectations, in_force, caps, verify, self._test, progress, planned)

    def evaluate(self, shared: SharedModel) -> Evaluation:
        """The classifier on the test fold."""
        with _one_thread():
            return evaluate(self._classifier, shared.classifier, self._test.features, self._test.labels)

    def coalition_utility(
        self,
        updates: Sequence[SharedModel],
        bases: Sequence[SharedModel],
        weights: Sequence[int],
        base: SharedModel,
        score: Literal["loss", "accuracy"] = "loss",
    ) -> Utility:
        """What a coalition of a round's accepted organizations is worth: how its aggregate does on the attester's data.

        ``updates``, ``bases``, ``weights``: of each accepted organization the models it handed in, those it started
        from, and its data + generated as attested. ``base``: worth of nobody. ``score``: minus the mean cross-entropy
        in nats, so that leave-one-out is the ``gain`` of the evidence; or the accuracy.
        """
        aggregation, holdout = self.attester.aggregation, self.attester.holdout
        clipped = aggregation.clip([u.classifier for u in updates], [b.classifier for b in bases])

        def measure(state: ModelState) -> float:
            with _one_thread():
                evaluation = evaluate(self._classifier, state, holdout.features, holdout.labels)
            return evaluation.accuracy if score == "accuracy" else -evaluation.loss

        return reaggregated(clipped, weights, base.classifier, measure, aggregation.combine)

    def train_together(self, rounds: int) -> Evaluation:
        """All organizations together on all their real data, without generation or evidence, on the test fold."""
        with _one_thread():
            initial = self.initial_state().classifier
            state = train_together(
                self._classifier, initial, self._real_works, self._schedule, rounds, self._server, self._device
            )
            return evaluate(self._classifier, state, self._test.features, self._test.labels)

    def train_alone(self, rounds: int) -> list[Evaluation]:
        """Each organization by itself: its own real data, the epochs of ``rounds`` rounds, the same initial model.

        It keeps the standardization that all agreed on, which is in its favour.
        """
        with _one_thread():
            initial = self.initial_state().classifier
            works = [
                LocalWork(initial, own.features, own.labels, self._streams.get(Purpose.ALONE, 0, n))
                for n, own in enumerate(self._own)
            ]
            states = train_alone(self._classifier, works, self._schedule, rounds, self._device)
            return [evaluate(self._classifier, s, self._test.features, self._test.labels) for s in states]

    def memorization(self, bundles: Sequence[Bundle | None]) -> dict[str, Memorization]:
        """Whether synthetic samples repeat the organization's own, for each that hands some in, by name.

        Each can tell only for itself, before its bundle leaves the house. The reference is the test fold.
        """
        return {
            bundle.organization: memorization(bundle.synthetic, self._own[n], self._test)
            for n, bundle in enumerate(bundles)
            if bundle is not None and len(bundle.synthetic.labels)
        }

    def measure_theta(self, shared: SharedModel, rounds: int = 5) -> GradientGap:
        """θ of the shared generator on the attester's holdout, along ``rounds`` of federated averaging on real data.

        Raises
        ------
        LearningError
            When each organization trains its own generator, so that none is shared, or no class has a gradient.
        """
        if not self._shared_generator:
            raise LearningError(
                "θ is that of one generator for all, but every organization trains its own",
                hint='set generation.training = "federated"',
            )
        with _one_thread():
            states = [shared.classifier]
            for number in range(1, rounds + 1):
                parts = self._real_works(number, states[-1])
                results = train(self._classifier, parts, self._schedule)
                states.append(average([result.state for result in results], self.registered.tolist()))
            return gradient_gap(self._classifier, states, self.attester.holdout, self._panel(shared.generator, 0, 0))

    def _real_works(self, number: int, state: ModelState) -> list[LocalWork]:
        return [
            LocalWork(state, own.features, own.labels, self._streams.get(Purpose.CLASSIFIER_BATCHES, number, n))
            for n, own in enumerate(self._own)
        ]

    def _start_generators(
        self, bases: Sequence[SharedModel], indices: Sequence[int], progress: Progress | None = None
    ) -> list[ModelState]:
        """Where the generators of these organizations start in a round: at the shared one, or each at its own.

        Its own is pretrained on all that the organization holds; it follows from the seed, hence is kept nowhere.
        """
        if self._shared_generator:
            return [bases[n].generator for n in indices]
        missing = [n for n in indices if n not in self._private]
        states, rounds = [self.initial_state().generator] * len(missing), self._generation.pretraining_rounds
        for number in range(rounds if missing else 0):
            _report(progress, "training the generators", number, rounds)
            states = self._fit_generators(states, [self._own[n] for n in missing], Purpose.PRETRAINING, number, missing)
        self._private |= dict(zip(missing, states, strict=True))
        _report(progress, "training the generators", rounds, rounds)
        return [self._private[n] for n in indices]

    def _bases(self, shared: SharedModel | Sequence[SharedModel]) -> list[SharedModel]:
        return [shared] * len(self.names) if isinstance(shared, SharedModel) else list(shared)

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
    ) -> list[ModelState]:
        places = range(len(own)) if indices is None else indices
        return self._generator.fit(
            [
                LocalWork(state, samples.features, samples.labels, self._streams.get(purpose, number, n))
                for n, state, samples in zip(places, states, own, strict=True)
            ]
        )

    def _generate(
        self, state: ModelState, real: Samples, round_number: int, n: int, assignment: Assignment | None
    ) -> Samples:
        counts = np.bincount(real.labels, minlength=self._classes).astype(np.int64)
        labels = deficit_labels(counts, self._mix, assignment.raw if assignment else 0)
        if not self._shared_generator:
            labels = labels[np.isin(labels, self._own[n].labels)]
        rng = self._streams.get(Purpose.SYNTHETIC, round_number, n)
        return Samples(self._generator.sample(state, labels, rng), labels)

    def _panel(self, state: ModelState, round_number: int, n: int) -> Samples:
        labels = panel_labels(self._classes, self._generation.panel)
        rng = self._streams.get(Purpose.PANEL, round_number, n)
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
    ) -> Bundle:
        name = self.names[n]
        panel = self._panel(generator, round_number, n)
        state, log = result.state, TrainingLog.of(result.trace, self._schedule.epochs)
        if self._privacy is not None:
            noise = noise_stream(self._salts[n], terms_hash, round_number)
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
        )
        return Bundle.signed(manifest, state, generator, synthetic, panel, lambda digest: sign(name, digest))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch and the linear algebra of scikit-learn on one thread and give the others back afterwards.

    Batches here are small: a second thread costs more than it gains (ten times as much on a busy machine), and the
    rounding of a sum, hence the accuracies of a seed, would depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _report(progress: Progress | None, description: str, done: int, total: int) -> None:
    if progress is not None:
        progress(description, done, total)
