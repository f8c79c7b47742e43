"""Does an update stand out from the round's others? Its distance and direction against peers and attester.

The attester trains on its own samples from the same base: peers who agree on a lie are not the only measure. Left out:
what a bundle says of itself (:mod:`cocogen.evidence.checks`), and what an update does to the aggregate
(:mod:`cocogen.evidence.pooling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.samples import Samples
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation
from cocogen.learning.generators.base import Generator
from cocogen.learning.models.classifiers import Classifier
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import LocalWork, train
from cocogen.learning.training.together import evaluate
from cocogen.streams import Purpose, Streams

__all__ = ["REVERSED", "REVERSED_HARM", "UPDATE_FACTOR", "Comparison", "Movement"]

# Measured on honest rounds (docs/evidence.md), with a margin.
UPDATE_FACTOR = 6.0
REVERSED = -0.65
REVERSED_HARM = 3.0
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Movement:
    """How one update compares with the others of its round.

    ``ratio``, ``generator_ratio``: distance of classifier and generator over the reference distance, at least 0.
    ``cosine``: the larger of those of the angles with the attester's own update and with the peers' mean direction.
    ``harm``: held-out loss of the classifier alone minus that of its base, nats; 0 where it is not looked at, because
    the cosine is not below ``REVERSED``.
    """

    ratio: float
    generator_ratio: float
    cosine: float
    harm: float = 0.0

    def objection(self) -> str | None:
        """Why the update is refused, None when it is not.

        Neither a direction nor the distance of a classifier refuses anybody by itself [ours]: where labels are skewed
        or the model has converged, an honest update can come near any such limit, but does little harm then.
        """
        # So that the ratio of two infinite movements, which is no number, is refused too.
        if not self.generator_ratio <= UPDATE_FACTOR:
            return _far("generator", self.generator_ratio)
        if self.cosine < REVERSED and self.harm > REVERSED_HARM:
            return (
                f"its classifier moved against its peers and the attester's own training: the cosine of the angle is "
                f"{self.cosine:.2f} at most, less than {REVERSED:g}, and its loss on the attester's data is "
                f"{self.harm:.3f} nats higher than before, more than {REVERSED_HARM:g}"
            )
        return None

    def suspicion(self) -> str | None:
        """Why less harm to the aggregate is tolerated of it than of others, None when there is no reason."""
        return None if self.ratio <= UPDATE_FACTOR else _far("classifier", self.ratio)


def _far(part: str, ratio: float) -> str:
    return (
        f"its {part} moved {ratio:.1f} times as far as its peers' and the attester's own, more than {UPDATE_FACTOR:g} "
        "times"
    )


@dataclass(frozen=True, slots=True)
class _Reference:
    """The attester's own training from one base: how far, in how many steps, how far the generator, and where to."""

    distance: float
    steps: int
    generator: float
    classifier: ModelState


class Comparison:
    """Compares on the attester's ``holdout``.

    ``generators``: False where each organization trains its own from its own start, so that distances say nothing.
    """

    def __init__(
        self, classifier: Classifier, generator: Generator, holdout: Samples, streams: Streams, *, generators: bool
    ) -> None:
        self._classifier = classifier
        self._generator = generator
        self._holdout = holdout
        self._streams = streams
        self._generators = generators

    def movements(self, bundles: Mapping[int, Bundle], expectations: Sequence[Expectation]) -> dict[int, Movement]:
        """The movement of each of the ``bundles``, by organization; all are compared with all others.

        The reference of a distance is the larger of the median of the peers' and the attester's own. A reference of
        fewer steps is scaled up to the steps of the organization under test, never down.
        """
        moved = {
            n: (bundle.classifier.distance(expectations[n].base.classifier), len(bundle.manifest.training.real))
            for n, bundle in bundles.items()
        }
        generators = {
            n: self._generator.movement(expectations[n].base.generator, bundle.generator)
            for n, bundle in bundles.items()
        }
        references = self._own_updates([expectations[n] for n in bundles])
        cosines = _cosines(bundles, expectations, references)
        found = {}
        for n, (distance, steps) in moved.items():
            own = references[expectations[n].base.digest()]
            peers = [d * max(1.0, steps / t) for m, (d, t) in moved.items() if m != n and t]
            reference = max(own.distance * max(1.0, steps / own.steps), _median(peers))
            others = _median([d for m, d in generators.items() if m != n and d])
            found[n] = Movement(
                ratio=distance / max(reference, _LEAST),
                generator_ratio=generators[n] / max(own.generator, others, _LEAST) if self._generators else 0.0,
                cosine=cosines[n],
                harm=self._harm(bundles[n], expectations[n]) if cosines[n] < REVERSED else 0.0,
            )
        return found

    def _own_updates(self, expectations: Sequence[Expectation]) -> dict[str, _Reference]:
        """The attester's own training from each base model in use, by its digest."""
        references: dict[str, _Reference] = {}
        for expected in expectations:
            base = expected.base
            if (key := base.digest()) in references:
                continue
            result = train(
                self._classifier, [self._work(base.classifier, Purpose.REFERENCE, expected)], expected.schedule
            )[0]
            fitted = self._generator.fit([self._work(base.generator, Purpose.REFERENCE_GENERATOR, expected)])[0]
            distance = result.state.distance(base.classifier)
            if expected.privacy is not None:
                parameters = sum(array.size for array in result.state.values())
                distance = expected.privacy.expected_norm(distance, parameters)
            references[key] = _Reference(
                distance, len(result.trace.real), self._generator.movement(base.generator, fitted), result.state
            )
        return references

    def _harm(self, bundle: Bundle, expected: Expectation) -> float:
        after, before = (
            evaluate(self._classifier, state, self._holdout.features, self._holdout.labels).loss
            for state in (bundle.classifier, expected.base.classifier)
        )
        return after - before

    def _work(self, initial: ModelState, purpose: Purpose, expected: Expectation) -> LocalWork:
        rng = self._streams.get(purpose, expected.round)
        return LocalWork(initial, self._holdout.features, self._holdout.labels, rng)


def _cosines(
    bundles: Mapping[int, Bundle], expectations: Sequence[Expectation], references: Mapping[str, _Reference]
) -> dict[int, float]:
    """The larger cosine of each update's angle with the attester's own update and with the peers' mean direction.

    The attester's own training as root of trust is that of FLTrust (X. Cao et al., 2021); that the peers must agree
    with it before anybody is refused is ours: skewed honest updates often point away from one of the two.
    """
    bases = {n: expectations[n].base for n in bundles}
    units = {n: _direction(bundle.classifier, bases[n].classifier) for n, bundle in bundles.items()}
    together = sum(units.values())
    found = {}
    for n, unit in units.items():
        peers = together - unit
        length = max(float(np.linalg.norm(peers)), _LEAST)
        reference = _direction(references[bases[n].digest()].classifier, bases[n].classifier)
        found[n] = max(float(unit @ reference), float(unit @ peers) / length)
    return found


def _direction(state: ModelState, base: ModelState) -> NDArray[np.float64]:
    moved = np.concatenate([(state[k].astype(np.float64) - base[k]).ravel() for k in base])
    length: float = np.linalg.norm(moved).item()
    return moved / max(length, _LEAST)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
