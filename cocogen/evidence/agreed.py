"""What all agreed to learn: the sections of the terms, and the models, schedule and streams that follow from them.

Every organization, the attester and whoever plays them all start from this and a source of samples
(:mod:`cocogen.evidence.member`, :mod:`cocogen.evidence.attester`, :mod:`cocogen.evidence.local`). Left out: the plan
(how much to contribute) and the ledger (what it is worth).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cocogen.data.sets import DataFolders
from cocogen.data.sources.base import Source
from cocogen.data.sources.split import SplitSource
from cocogen.evidence.bundle import require_loggable
from cocogen.evidence.privacy import UpdatePrivacy
from cocogen.learning.aggregation.individual import IndividualUpdates
from cocogen.learning.generators import NoGenerator, build_generator
from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.quality import LEAST_OF_A_CLASS
from cocogen.learning.models.classifiers import Classifier, build_classifier
from cocogen.learning.models.states import SharedModel
from cocogen.learning.training.local import Schedule
from cocogen.streams import Purpose, Streams
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.sections import Generation, Learning

__all__ = ["Agreed", "Models"]


@dataclass(frozen=True, slots=True)
class Models:
    """The ``classifier`` and the ``generator`` of the terms, and both untrained (``initial``)."""

    classifier: Classifier
    generator: Generator
    initial: SharedModel


@dataclass(frozen=True, slots=True)
class Agreed:
    """The learning side of a consortium on test fold ``split``, everything derived from ``seed``.

    ``learning``, ``generation``: the sections of the terms. ``names``: organizations in the order of the terms; index n
    everywhere. ``generates``: False where nobody generates: there is no generator then, and no κ. ``generator``: used
    in place of the one that the terms name, to measure what another would be worth. ``openings``: rows that each member
    opens to the attester in every round.
    """

    learning: Learning
    generation: Generation
    names: tuple[str, ...]
    seed: int
    split: int = 0
    generates: bool = True
    generator: Generator | None = None
    openings: int = 0

    @classmethod
    def of(cls, terms: Consortium | ResolvedTerms, split: int = 0) -> Agreed:
        """What the ``terms`` say."""
        seed = terms.consortium.seed
        openings = terms.attestation.openings
        return cls(
            terms.learning, terms.generation, terms.names, seed, split, generates=terms.generates, openings=openings
        )

    @property
    def streams(self) -> Streams:
        """All random draws."""
        return Streams(self.seed, self.split)

    @property
    def schedule(self) -> Schedule:
        """Local training of the classifier."""
        learning = self.learning
        return Schedule(
            learning.local_epochs,
            learning.batch_size,
            learning.learning_rate,
            momentum=learning.momentum,
            weight_decay=learning.weight_decay,
            proximal=learning.proximal,
        )

    @property
    def privacy(self) -> UpdatePrivacy | None:
        """What protects the updates, None when not agreed."""
        agreed = self.learning.privacy
        return UpdatePrivacy(agreed.clip, agreed.noise_multiplier, agreed.delta) if agreed else None

    @property
    def aggregation(self) -> IndividualUpdates:
        """How the updates of a round become the next shared model."""
        return IndividualUpdates.of(self.learning)

    @property
    def shares_generator(self) -> bool:
        """Whether there is one generator for all, rather than that of each organization, trained alone."""
        return not self.generates or self.generation.training == "federated"

    @property
    def pretraining_rounds(self) -> int:
        """Rounds in which the generator is trained before the first; 0 where nobody generates."""
        return self.generation.pretraining_rounds if self.generates else 0

    @property
    def panel(self) -> int:
        """Samples of each class that everybody draws from its generator for κ; 0 where nobody generates."""
        return self.generation.panel if self.generates else 0

    def source(self, folders: DataFolders | None = None) -> SplitSource:
        """Where everybody's samples come from: a split of the terms' data set, whose files are in ``folders``.

        Raises
        ------
        DatasetError
            When the data set is unknown, missing or malformed, or cannot be split as the terms say.
        """
        least = LEAST_OF_A_CLASS if self.generates else 0
        return SplitSource(self.learning, len(self.names), self.streams, folders, least=least)

    def models(self, source: Source) -> Models:
        """The models for the samples of ``source``.

        Raises
        ------
        LearningError
            When local training takes more steps than evidence may log.
        """
        shape, counts, streams = source.shape, source.counts, self.streams
        require_loggable(self.learning.local_epochs * -(-int(counts.sum(axis=1).max()) // self.learning.batch_size))
        classes = counts.shape[1]
        classifier = build_classifier(self.learning.model, shape=shape, classes=classes, hidden=self.learning.hidden)
        generator: Generator = NoGenerator(math.prod(shape))
        if self.generates:
            generator = self.generator or build_generator(self.generation, shape=shape, classes=classes)
        initial = SharedModel(
            classifier.initial_state(streams.get(Purpose.CLASSIFIER)),
            generator.initial_state(streams.get(Purpose.GENERATOR)),
        )
        return Models(classifier, generator, initial)
