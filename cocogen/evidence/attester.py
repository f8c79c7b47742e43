"""The attester: what an organization really contributed, measured rather than believed.

One bundle is checked alone (:mod:`cocogen.evidence.checks`) and against what its generator really makes
(:mod:`cocogen.evidence.replay`), then all are compared (:mod:`cocogen.evidence.copies`,
:mod:`cocogen.evidence.outliers`), and whoever harms the aggregate is left out (:mod:`cocogen.evidence.pooling`); what
remains is written down in one evidence document for each organization (:mod:`cocogen.evidence.measurement`), whose
digest the ledger carries. The table of lies that this catches, and of those that it does not, is docs/evidence.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.samples import Samples
from cocogen.errors import EvidenceRejected
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation, check_arrays, check_identity, check_log, check_update
from cocogen.evidence.copies import copies
from cocogen.evidence.measurement import Caps, Credit, Measurement, RoundEvidence, credit_of
from cocogen.evidence.outliers import Comparison
from cocogen.evidence.pooling import Pool
from cocogen.evidence.replay import check_drawn, check_worth
from cocogen.files import evidence_hash, measured_quality
from cocogen.learning.aggregation.robust import Aggregation
from cocogen.learning.aggregation.server import ServerOptimizer
from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.quality import QualityMeter
from cocogen.learning.models.classifiers import Classifier
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.learning.training.scaffold import remembered
from cocogen.learning.training.together import evaluate
from cocogen.ledger import Contribution
from cocogen.streams import Streams

__all__ = ["GAIN_TOLERANCE", "SUSPECT_TOLERANCE", "Attester"]

# Nats; measured on honest rounds (docs/evidence.md), with a margin.
GAIN_TOLERANCE = 1.0
SUSPECT_TOLERANCE = 0.1


class Attester:
    """Verifies and measures on its own real ``holdout``, which no organization has seen.

    ``streams`` are public: the draws of synthetic samples and panels follow from the seed of the terms, so that the
    attester repeats them. ``held``: the classes of each organization if each trains its own generator alone: κ is
    then that of these classes, the shared generator stays as it is, and how far theirs moved says nothing.
    ``panel``: samples of each class that organizations hand in; None where nobody generates: then κ is NaN, and the
    holdout need not be one on which it can be measured.
    """

    def __init__(
        self,
        classifier: Classifier,
        generator: Generator,
        holdout: Samples,
        classes: int,
        streams: Streams,
        aggregation: Aggregation | None = None,
        server: ServerOptimizer = ServerOptimizer(),  # noqa: B008  # frozen
        *,
        held: Sequence[NDArray[np.int64]] | None = None,
        panel: int | None = None,
    ) -> None:
        self.classifier = classifier
        self.generator = generator
        self.holdout = holdout
        self.classes = classes
        self.streams = streams
        self.aggregation = aggregation or Aggregation()
        self.server = server
        self.held = held
        self.meter = None if panel is None else QualityMeter(holdout.features, holdout.labels, classes, panel)
        self._compares_generators = held is None and self.meter is not None
        self.comparison = Comparison(classifier, generator, holdout, streams, generators=self._compares_generators)

    def verify(
        self,
        bundle: Bundle,
        index: int,
        expected: Expectation,
        quality: float,
        verify: Callable[[str, bytes, bytes], bool],
    ) -> float:
        """Check organization ``index``'s bundle alone and measure κ of its generator; ``quality``: κ in force.

        Raises
        ------
        EvidenceRejected
            With the first claim that does not hold.
        """
        check_identity(bundle, expected, verify)
        check_arrays(bundle, expected)
        check_log(bundle, expected)
        check_update(bundle, expected)
        if not math.isfinite(loss := self._held_out_loss(bundle.classifier)):
            raise EvidenceRejected(
                expected.organization,
                f"the loss of its classifier on the attester's data is {loss:g}",
                hint="train again, with a lower learning rate",
            )
        check_drawn(bundle, index, expected, self.generator, self.streams)
        measured = self.measure_panel(bundle.panel, index)
        if self.meter is not None:
            check_worth(bundle, expected, measured, quality, self.meter.standard_error(quality))
        return measured

    def attest(
        self,
        bundles: Sequence[Bundle | None],
        expectations: Sequence[Expectation],
        quality: Sequence[float],
        caps: Sequence[Caps],
        verify: Callable[[str, bytes, bytes], bool],
        test: Samples,
        progress: Callable[[str, int, int], None] | None = None,
        planned: Sequence[int] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> RoundEvidence:
        """Verify every bundle, exclude what harms, measure the rest.

        ``refused``: whose evidence could not even be read, or never came, and why; the documents say it too.

        The models are averaged with the weights that were measured and capped; clipped and trimmed first where the
        terms say so. The server's optimizer then steps from the newest base; what an organization harms or gains is
        judged by the average alone, before that step. Without any weight the base stands. Where the terms say SCAFFOLD,
        the control variates of all, absent organizations included, are averaged too.
        """
        total = len(bundles)
        rejected: dict[str, str] = dict(refused or {})
        accepted: dict[int, Bundle] = {}
        measured: dict[int, float] = {}
        for n, (bundle, expected) in enumerate(zip(bundles, expectations, strict=True)):
            if progress is not None:
                progress("verifying evidence", n, total)
            if bundle is None:
                continue
            try:
                measured[n] = self.verify(bundle, n, expected, quality[n], verify)
                accepted[n] = bundle
            except EvidenceRejected as error:
                rejected[expected.organization] = error.reason
        for n, copied in copies(accepted, expectations).items():
            rejected[expectations[n].organization] = copied
            del accepted[n]
        movements = self.comparison.movements(accepted, expectations)
        suspicions: dict[int, str] = {}
        for n, movement in movements.items():
            if (reason := movement.objection()) is not None:
                rejected[expectations[n].organization] = reason
                del accepted[n]
            elif (reason := movement.suspicion()) is not None:
                suspicions[n] = reason
        credit = {
            n: credit_of(bundle, quality[n], caps[n], None if planned is None else planned[n])
            for n, bundle in accepted.items()
        }
        pool, gains = self._exclude_harm(accepted, credit, expectations, suspicions, rejected)
        aggregated = self._remember(pool.step(self.server), accepted, credit, expectations)
        digest = aggregated.digest()
        evaluation = evaluate(self.classifier, aggregated.classifier, test.features, test.labels)

        in_force = measured_quality(quality)
        found = dict(zip(measured, measured_quality(measured.values()), strict=True))
        quality_next = np.array(quality, dtype=np.float64)
        measurements: list[Measurement | None] = [None] * total
        contributions: list[Contribution | None] = [None] * total
        documents: list[dict[str, Any] | None] = [None] * total
        for n, bundle in accepted.items():
            quality_next[n] = measured[n]
            given = credit[n]
            measurement = Measurement(
                organization=expectations[n].organization,
                data=given.data,
                generated=given.generated,
                compute=given.compute,
                raw=len(bundle.synthetic.labels),
                quality_in_force=in_force[n],
                quality=found[n],
                update_ratio=movements[n].ratio,
                gain=gains[n],
                bundle=bundle.digest().hex(),
            )
            document = measurement.document(expectations[n], digest, evaluation, rejected)
            measurements[n], documents[n] = measurement, document
            contributions[n] = Contribution(given.data, given.generated, given.compute, evidence_hash(document))
        if progress is not None:
            progress("verifying evidence", total, total)
        return RoundEvidence(
            measurements=tuple(measurements),
            contributions=tuple(contributions),
            documents=tuple(documents),
            rejected=rejected,
            aggregated=aggregated,
            evaluation=evaluation,
            quality_next=quality_next,
        )

    def measure_panel(self, panel: Samples, index: int) -> float:
        """κ in [0.01, 1] of the panel of organization ``index``; NaN where nobody generates."""
        if self.meter is None:
            return math.nan
        known = None if self.held is None else self.held[index]
        return self.meter.measure(panel.features, panel.labels, known)

    def _exclude_harm(
        self,
        accepted: dict[int, Bundle],
        credit: Mapping[int, Credit],
        expectations: Sequence[Expectation],
        suspicions: Mapping[int, str],
        rejected: dict[str, str],
    ) -> tuple[Pool, dict[int, float]]:
        """Reject, worst first, whoever raises the aggregate's held-out loss beyond the tolerance.

        Whoever stands out from the others is tolerated less. What remains, and how much each of it lowers that loss,
        nats.
        """
        bases: list[SharedModel] = [expected.base for expected in expectations]
        tolerance = {n: SUSPECT_TOLERANCE if n in suspicions else GAIN_TOLERANCE for n in accepted}
        while True:
            pool = Pool(accepted, credit, bases, self.aggregation, generators=self._compares_generators)
            gains = pool.gains(self._held_out_loss)
            harmful = [n for n, gain in gains.items() if not gain >= -tolerance[n]]  # a gain that is no number is harm
            if not harmful:
                return pool, gains
            worst = min(harmful, key=lambda n: (gains[n] if math.isfinite(gains[n]) else -math.inf, n))
            seen = f"{suspicions[worst]}, and " if worst in suspicions else ""
            rejected[expectations[worst].organization] = (
                f"{seen}with it the aggregate's loss on the attester's data is {-gains[worst]:.3f} nats higher than "
                f"without, more than {tolerance[worst]:g}"
            )
            del accepted[worst]

    def _remember(
        self,
        aggregated: SharedModel,
        accepted: Mapping[int, Bundle],
        credit: Mapping[int, Credit],
        expectations: Sequence[Expectation],
    ) -> SharedModel:
        """The aggregate with SCAFFOLD's shared control variate, unchanged where it is not agreed or nobody counts."""
        if not any(credit[n].weight for n in accepted):
            return aggregated
        variates = []
        for n, expected in enumerate(expectations):
            if (variate := expected.variate) is None:
                return aggregated
            if n in accepted:
                steps, rate = len(accepted[n].manifest.training.real), expected.schedule.learning_rate
                variate = variate.renewed(expected.base, accepted[n].classifier, steps, rate, credit[n].weight)
            variates.append(variate)
        return replace(aggregated, server=remembered(variates, aggregated.server))

    def _held_out_loss(self, state: ModelState) -> float:
        return evaluate(self.classifier, state, self.holdout.features, self.holdout.labels).loss
