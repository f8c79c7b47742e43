"""One consortium's learning task: the facade that the round loop and the commands use.

It holds the partition of one split and derives every random draw from the seed of the terms. On one machine it plays
all organizations and the attester; the methods name what each of them would do with its own data. Left out: the plan
(how much to contribute) and the ledger (what it is worth).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cocogen.contribution import Utility, reaggregated
from cocogen.data.heterogeneity import heterogeneity, label_mix
from cocogen.data.holdings import Holdings, distribute
from cocogen.data.sets import DataFolders
from cocogen.errors import LearningError
from cocogen.evidence.attester import Attester
from cocogen.evidence.bundle import Bundle, require_loggable
from cocogen.evidence.checks import Expectation
from cocogen.evidence.measurement import Caps, RoundEvidence
from cocogen.evidence.member import Assignment, Organizations, Progress
from cocogen.evidence.privacy import UpdatePrivacy
from cocogen.learning.aggregation.robust import Aggregation
from cocogen.learning.aggregation.server import ServerOptimizer
from cocogen.learning.generators import NoGenerator, build_generator
from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.memorization import Memorization, memorization
from cocogen.learning.generators.quality import LEAST_OF_A_CLASS
from cocogen.learning.generators.theta import GradientGap, gradient_gap
from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import ModelState, SharedModel, average
from cocogen.learning.training.devices import choose_device
from cocogen.learning.training.local import LocalWork, Schedule, train
from cocogen.learning.training.scaffold import Variate
from cocogen.learning.training.threads import one_thread
from cocogen.learning.training.together import Evaluation, evaluate, train_alone, train_together
from cocogen.streams import Purpose, Streams
from cocogen.terms.sections import Generation, Learning

__all__ = ["Assignment", "Evaluation", "LearningTask", "Progress", "RoundEvidence", "SharedModel"]


class LearningTask:
    """The learning side of a consortium on test fold ``split``, everything derived from ``seed``.

    Parameters
    ----------
    learning, generation : the sections of the terms.
    names : organizations in the order of the terms; index n everywhere.
    salts : one secret per organization that hides its real samples behind their commitments. Derived from ``seed``
        when absent, which hides nothing from whoever knows the seed and may guess samples: for local runs.
    folders : where the files of the data set are looked for.
    device : where classifiers train, as :func:`cocogen.learning.training.devices.choose_device` reads it.
    generator : used in place of the one that the terms name, to measure what another would be worth.
    generates : False where nobody generates: there is no generator then, and no κ.
    holdings : who holds which samples, where that is known already; else the data set is read and cut.

    Attributes
    ----------
    registered : (N,) int64, real samples of each organization.
    label_mix : (N, C) float64, rows sum to 1.
    heterogeneity : (N,) float64, δ_n in [0, 1].

    Raises
    ------
    DatasetError
        When the data set is unknown, missing or malformed, or cannot be split as the terms say.
    LearningError
        When local training takes more steps than evidence may log.
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
        generates: bool = True,
        holdings: Holdings | None = None,
    ) -> None:
        self.names = tuple(names)
        self._device = choose_device(device)
        self._streams = Streams(seed, split)
        if holdings is None:
            least = LEAST_OF_A_CLASS if generates else 0
            holdings = distribute(learning, len(self.names), self._streams, folders, least=least)
        self._without_generation = partial(
            LearningTask, learning, generation, names, seed, split, salts=salts, device=device, holdings=holdings
        )
        self._own, self._test = list(holdings.own), holdings.test
        self._classes = holdings.classes
        counts = holdings.counts
        self.registered = counts.sum(axis=1)
        self.label_mix = label_mix(counts)
        self.heterogeneity = heterogeneity(counts)

        self._scaffold = learning.scaffold
        self._holdout_fraction = learning.holdout_fraction
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
        require_loggable(self._schedule.epochs * -(-int(self.registered.max()) // self._schedule.batch_size))
        server = learning.server
        self._server = ServerOptimizer(
            server.optimizer, server.learning_rate, server.momentum, server.second_moment, server.adaptivity
        )
        self._classifier = build_classifier(
            learning.model, shape=holdings.shape, classes=self._classes, hidden=learning.hidden
        )
        if generates:
            generator = generator or build_generator(generation, shape=holdings.shape, classes=self._classes)
        else:
            generator = NoGenerator(math.prod(holdings.shape))
            generation = generation.model_copy(update={"training": "federated", "pretraining_rounds": 0, "panel": 0})
        self._generation, self._generates = generation, generates
        self._shared_generator = generation.training == "federated"
        self._initial = SharedModel(
            self._classifier.initial_state(self._streams.get(Purpose.CLASSIFIER)),
            generator.initial_state(self._streams.get(Purpose.GENERATOR)),
        )
        self._organizations = Organizations(
            self.names,
            salts or [self._streams.get(Purpose.SALT, 0, n).bytes(32) for n in range(len(self.names))],
            holdings,
            self._classifier,
            generator,
            self._initial.generator,
            generation,
            self._schedule,
            self._privacy,
            self._streams,
            self._device,
        )
        with one_thread():
            self.attester = Attester(
                self._classifier,
                generator,
                holdings.holdout,
                self._classes,
                self._streams,
                Aggregation(learning.aggregation, learning.trim, learning.clip_norm),
                self._server,
                held=None if self._shared_generator else [np.unique(own.labels) for own in self._own],
                panel=generation.panel if generates else None,
            )

    @property
    def doubt(self) -> tuple[str, str] | None:
        """Why κ tells little on this holdout, and what would do; None when it does, or nobody generates."""
        meter = self.attester.meter
        if meter is None or meter.doubt is None:
            return None
        enough = math.ceil(100 * self._holdout_fraction * meter.enough) / 100 if meter.enough < 100 else math.inf
        advice = f"learning.holdout_fraction = {enough:g} would do" if enough <= 0.6 else "it takes more samples"
        return meter.doubt, f"{advice}; or set generation.maximum = 0, and nothing is generated or measured"

    def without_generation(self) -> LearningTask:
        """The same task where nobody generates, on the same samples in memory."""
        return self._without_generation(generates=False)

    def initial_state(self) -> SharedModel:
        """Untrained classifier and generator."""
        return self._initial

    def pretrain(self, progress: Progress | None = None) -> SharedModel:
        """The initial model with a generator that all organizations trained by federated averaging.

        If each trains its own alone, the shared one stays untrained: it is where all of them start.
        """
        with one_thread():
            return SharedModel(self._initial.classifier, self._organizations.pretrain(progress))

    def measure_quality(self, shared: SharedModel) -> NDArray[np.float64]:
        """κ of each organization before the first round, shape (N,), in [0.01, 1]; NaN where nobody generates."""
        if not self._generates:
            return np.full(len(self.names), math.nan)
        with one_thread():
            panels = self._organizations.first_panels(shared.generator)
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
    ) -> list[Bundle | None]:
        """Generate, train and sign for every organization that has an assignment; the others get None.

        The generator goes on training on the organization's own real samples, then generates; the classifier trains
        on both. If each organization trains its generator alone, it generates fewer samples than assigned: those of the
        classes that it does not hold are left out. An organization trained alone gives the same bundle up to floating
        point rounding. ``variates``: where the terms say SCAFFOLD, what it keeps of each organization, nothing of
        anybody when absent.

        Raises
        ------
        LearningError
            When an assignment exceeds the registered samples or is negative, or training diverges.
        """
        with one_thread():
            return self._organizations.train(
                round_number, self._bases(shared), assignments, terms_hash, sign, progress, self._variates(variates)
            )

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
        variates: Sequence[Variate] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> RoundEvidence:
        """Verify, measure and aggregate as the attester; nothing in a bundle is believed.

        ``quality``: κ in force this round, shape (N,). ``caps``: the largest contributions of the terms; an
        organization that generates more than its ``generated_cap`` is rejected. ``planned``: effective synthetic
        samples of the plan, shape (N,); more is not credited, because nothing proves that it was trained on.
        ``variates``: as in :meth:`train`, those of organizations that take no part included. ``refused``: whose
        evidence could not be read, or never came, and why.
        """
        bases = self._bases(shared)
        known = self._variates(variates)
        inputs = self._test.features.shape[1]
        expectations = [
            Expectation(
                organization=name,
                address=addresses[n],
                round=round_number,
                terms_hash=terms_hash,
                registered=int(self.registered[n]),
                maximum=caps[n].generated_cap if self._generates else 0,
                base=bases[n],
                inputs=inputs,
                classes=self._classes,
                panel=self._generation.panel,
                schedule=self._schedule,
                privacy=self._privacy,
                variate=known[n] if known else None,
            )
            for n, name in enumerate(self.names)
        ]
        in_force = [float(value) for value in quality]
        with one_thread():
            return self.attester.attest(
                bundles, expectations, in_force, caps, verify, self._test, progress, planned, refused
            )

    def evaluate(self, shared: SharedModel) -> Evaluation:
        """The classifier on the test fold."""
        with one_thread():
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
        from, and its data + generated as attested. ``base``: the model that the server stepped from, with what its
        optimizer remembered (:func:`cocogen.learning.aggregation.server.newest`); the worth of nobody. ``score``: minus
        the mean cross-entropy in nats, or the accuracy.

        A coalition's model is that which the server would have made of it alone: its average, clipped as in the
        round, and one step of the server's optimizer. Hence v(all) is the worth of the recorded model; with
        ``optimizer = "average"`` and the loss, leave-one-out is the ``gain`` of the evidence, which is judged before
        the step.

        Raises
        ------
        LearningError
            When what ``base`` remembers is not of the optimizer of the terms.
        """
        aggregation, holdout = self.attester.aggregation, self.attester.holdout
        clipped = aggregation.clip([u.classifier for u in updates], [b.classifier for b in bases])

        def aggregate(states: Sequence[ModelState], shares: Sequence[int]) -> ModelState:
            mean = aggregation.combine(states, shares)
            return self.attester.server.step(base.classifier, mean, base.server)[0]

        def measure(state: ModelState) -> float:
            with one_thread():
                evaluation = evaluate(self._classifier, state, holdout.features, holdout.labels)
            return evaluation.accuracy if score == "accuracy" else -evaluation.loss

        return reaggregated(clipped, weights, base.classifier, measure, aggregate)

    def train_together(self, rounds: int) -> Evaluation:
        """All organizations together on all their real data, without generation or evidence, on the test fold."""
        with one_thread():
            initial = self.initial_state().classifier
            state = train_together(
                self._classifier,
                initial,
                self._organizations.real_works,
                self._schedule,
                rounds,
                self._server,
                self._device,
                scaffold=self._scaffold,
            )
            return evaluate(self._classifier, state, self._test.features, self._test.labels)

    def train_alone(self, rounds: int) -> list[Evaluation]:
        """Each organization by itself: its own real data, the epochs of ``rounds`` rounds, the same initial model.

        It keeps the standardization that all agreed on, which is in its favour.
        """
        with one_thread():
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
        if not self._generates:
            raise LearningError("θ is that of a generator, but nobody generates", hint="set generation.maximum above 0")
        if not self._shared_generator:
            raise LearningError(
                "θ is that of one generator for all, but every organization trains its own",
                hint='set generation.training = "federated"',
            )
        with one_thread():
            states = [shared.classifier]
            for number in range(1, rounds + 1):
                parts = self._organizations.real_works(number, states[-1])
                results = train(self._classifier, parts, self._schedule)
                states.append(average([result.state for result in results], self.registered.tolist()))
            return gradient_gap(
                self._classifier, states, self.attester.holdout, self._organizations.panel(shared.generator, 0, 0)
            )

    def _bases(self, shared: SharedModel | Sequence[SharedModel]) -> list[SharedModel]:
        return [shared] * len(self.names) if isinstance(shared, SharedModel) else list(shared)

    def _variates(self, variates: Sequence[Variate] | None) -> list[Variate]:
        """What SCAFFOLD keeps of each organization; empty where the terms do not say SCAFFOLD."""
        if not self._scaffold:
            return []
        return [Variate()] * len(self.names) if variates is None else list(variates)
