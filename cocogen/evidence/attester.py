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
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cocogen.contribution import Utility, reaggregated
from cocogen.data.samples import Samples
from cocogen.data.sources.base import Source
from cocogen.errors import EvidenceRejected
from cocogen.evidence.agreed import Agreed, Models
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.challenge import Opened, require_leaves
from cocogen.evidence.checks import Expectation, check_arrays, check_identity, check_log, check_update
from cocogen.evidence.copies import copies
from cocogen.evidence.measurement import Caps, Credit, Measurement, RoundEvidence, credit_of
from cocogen.evidence.outliers import Comparison
from cocogen.evidence.pooling import Pool, with_variates
from cocogen.evidence.replay import check_drawn, check_worth
from cocogen.files import evidence_hash, measured_quality
from cocogen.learning.aggregation.base import Aggregation
from cocogen.learning.generators.quality import QualityMeter
from cocogen.learning.metrics import Evaluation, require_measurable
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.learning.training.scaffold import Variate
from cocogen.learning.training.threads import one_thread
from cocogen.learning.training.together import evaluate
from cocogen.ledger import Contribution
from cocogen.terms.sections import Metric

__all__ = ["GAIN_TOLERANCE", "SUSPECT_TOLERANCE", "Agreed", "Attester", "Score"]

# Nats; measured on honest rounds (docs/evidence.md), with a margin.
GAIN_TOLERANCE = 1.0
SUSPECT_TOLERANCE = 0.1

Score: TypeAlias = Literal["loss"] | Metric
"""What a coalition's model is judged by."""


class Attester:
    """Verifies and measures on real samples that no organization has seen: its own holdout, and the test fold.

    All draws that it repeats, synthetic samples and panels, follow from the agreed seed. It holds no member's samples.

    Parameters
    ----------
    agreed : what all agreed to learn.
    source : where holdout, test fold and the registered counts are read; it is not kept.
    models : those of ``agreed`` for this source, where they are built already.

    Attributes
    ----------
    meter : measures κ; None where nobody generates: then the holdout need not be one on which it can be measured.
    rows : what each organization registered of its own data, None where one data set was shared out.
    held : the classes of each organization if each trains its own generator alone: κ is then that of these classes, the
        shared generator stays as it is, and how far theirs moved says nothing. None else.

    Raises
    ------
    DatasetError
        When its samples cannot be read, or κ cannot be measured on them.
    LearningError
        When local training takes more steps than evidence may log.
    """

    def __init__(self, agreed: Agreed, source: Source, *, models: Models | None = None) -> None:
        models = models or agreed.models(source)
        self.agreed = agreed
        self.classifier = models.classifier
        self.generator = models.generator
        self.holdout, self.test = source.of_attester()
        self.registered = source.counts.sum(axis=1)
        self.classes = source.counts.shape[1]
        self.rows = [source.registered(n) for n in range(len(agreed.names))]
        self.metric = agreed.learning.metric
        require_measurable(self.metric, self.test.labels, self.classes, "the test fold")
        self.streams = agreed.streams
        self.aggregation: Aggregation = agreed.aggregation
        self.held = None if agreed.shares_generator else [np.flatnonzero(counts) for counts in source.counts]
        self.meter: QualityMeter | None = None
        if agreed.generates:
            with one_thread():
                self.meter = QualityMeter(self.holdout.features, self.holdout.labels, self.classes, agreed.panel)
        self._compares_generators = self.held is None and self.meter is not None
        self.comparison = Comparison(
            self.classifier, self.generator, self.holdout, self.streams, generators=self._compares_generators
        )

    @property
    def doubt(self) -> tuple[str, str] | None:
        """Why κ tells little on this holdout, and what would do; None when it does, or nobody generates."""
        if self.meter is None or self.meter.doubt is None:
            return None
        wanted = 100 * self.agreed.learning.holdout_fraction * self.meter.enough
        enough = math.ceil(wanted) / 100 if self.meter.enough < 100 else math.inf
        advice = f"learning.holdout_fraction = {enough:g} would do" if enough <= 0.6 else "it takes more samples"
        return self.meter.doubt, f"{advice}; or set generation.maximum = 0, and nothing is generated or measured"

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
        round_number: int,
        shared: SharedModel | Sequence[SharedModel],
        bundles: Sequence[Bundle | None],
        addresses: Sequence[str],
        verify: Callable[[str, bytes, bytes], bool],
        quality: Sequence[float] | NDArray[np.float64],
        caps: Sequence[Caps],
        terms_hash: bytes,
        progress: Callable[[str, int, int], None] | None = None,
        *,
        planned: Sequence[int] | None = None,
        variates: Sequence[Variate] | None = None,
        refused: Mapping[str, str] | None = None,
        opened: Opened | None = None,
    ) -> RoundEvidence:
        """Verify every bundle, exclude what harms, measure the rest; nothing in a bundle is believed.

        ``shared``: the model that everybody was given, or that of each. ``quality``: κ in force this round, shape (N,).
        ``caps``: the largest contributions of the terms; an organization that generates more than its
        ``generated_cap`` is rejected. ``planned``: effective synthetic samples of the plan, shape (N,); more is not
        credited, because nothing proves that it was trained on. ``variates``: where the terms say SCAFFOLD, what it
        keeps of each organization, those that take no part included; nothing of anybody when absent. ``refused``: whose
        evidence could not even be read, or never came, and why; the documents say it too. ``opened``: the
        rows that were drawn and shown, where openings are agreed.

        The models are averaged with the weights that were measured and capped; clipped and trimmed first where the
        terms say so. The server's optimizer then steps from the newest base; what an organization harms or gains is
        judged by the average alone, before that step. Without any weight the base stands. Where the terms say SCAFFOLD,
        the control variates of all, absent organizations included, are averaged too.

        Raises
        ------
        LearningError
            When openings are agreed and nothing was drawn, or the registered leaves are not here.
        """
        require_leaves(self.agreed.openings, opened, self.rows)
        expectations = self._expectations(round_number, shared, addresses, caps, terms_hash, variates, opened)
        in_force = [float(value) for value in quality]
        with one_thread():
            return self._attest(bundles, expectations, in_force, caps, verify, progress, planned, refused, opened)

    def _expectations(
        self,
        round_number: int,
        shared: SharedModel | Sequence[SharedModel],
        addresses: Sequence[str],
        caps: Sequence[Caps],
        terms_hash: bytes,
        variates: Sequence[Variate] | None,
        opened: Opened | None,
    ) -> list[Expectation]:
        names, agreed = self.agreed.names, self.agreed
        bases = [shared] * len(names) if isinstance(shared, SharedModel) else list(shared)
        known = list(variates) if variates is not None else [Variate()] * len(names)
        return [
            Expectation(
                organization=name,
                address=addresses[n],
                round=round_number,
                terms_hash=terms_hash,
                registered=int(self.registered[n]),
                maximum=caps[n].generated_cap if agreed.generates else 0,
                base=bases[n],
                inputs=self.holdout.features.shape[1],
                classes=self.classes,
                panel=agreed.panel,
                schedule=agreed.schedule,
                privacy=agreed.privacy,
                variate=known[n] if agreed.learning.scaffold else None,
                challenge=None if opened is None else opened.challenge.commitment,
                leaves=None if (rows := self.rows[n]) is None else rows.training,
            )
            for n, name in enumerate(names)
        ]

    def _attest(
        self,
        bundles: Sequence[Bundle | None],
        expectations: Sequence[Expectation],
        quality: Sequence[float],
        caps: Sequence[Caps],
        verify: Callable[[str, bytes, bytes], bool],
        progress: Callable[[str, int, int], None] | None,
        planned: Sequence[int] | None,
        refused: Mapping[str, str] | None,
        opened: Opened | None,
    ) -> RoundEvidence:
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
                if opened is not None:
                    opened.check(n, bundle.manifest, self.agreed, self.rows[n])
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
        aggregated = with_variates(pool.step(), accepted, credit, expectations)
        digest = aggregated.digest()
        evaluation = self._judge(aggregated.classifier)

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
            shown = None if opened is None else opened.answers[n].digest()
            document = measurement.document(expectations[n], digest, evaluation, rejected, shown)
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
        with one_thread():
            return self.meter.measure(panel.features, panel.labels, known)

    def evaluate(self, shared: SharedModel) -> Evaluation:
        """The classifier on the test fold, in the metric of the terms."""
        with one_thread():
            return self._judge(shared.classifier)

    def _judge(self, state: ModelState) -> Evaluation:
        return evaluate(self.classifier, state, self.test.features, self.test.labels, self.metric)

    def coalition_utility(
        self,
        updates: Sequence[SharedModel],
        bases: Sequence[SharedModel],
        weights: Sequence[int],
        base: SharedModel,
        score: Score = "loss",
    ) -> Utility:
        """What a coalition of a round's accepted organizations is worth: how its aggregate does on the holdout.

        ``updates``, ``bases``, ``weights``: of each accepted organization the models it handed in, those it started
        from, and its data + generated as attested. ``base``: the model that the server stepped from, with what its
        optimizer remembered (:func:`cocogen.learning.aggregation.server.newest`); the worth of nobody. ``score``: minus
        the mean cross-entropy in nats, or a metric.

        A coalition's model is that which the server would have made of it alone: its average, clipped as in the
        round, and one step of the server's optimizer. Hence v(all) is the worth of the recorded model; with
        ``optimizer = "average"`` and the loss, leave-one-out is the ``gain`` of the evidence, which is judged before
        the step.

        Raises
        ------
        LearningError
            When what ``base`` remembers is not of the optimizer of the terms, or the area under the ROC curve is asked
            of a holdout of one class.
        ConfigurationError
            When it is asked of other than two classes.
        """
        metric: Metric = "accuracy" if score == "loss" else score
        require_measurable(metric, self.holdout.labels, self.classes, "the attester's holdout")
        clipped = self.aggregation.clip([u.classifier for u in updates], [b.classifier for b in bases])

        def aggregate(states: Sequence[ModelState], shares: Sequence[int]) -> ModelState:
            return self.aggregation.step(base.classifier, self.aggregation.combine(states, shares), base.server)[0]

        def measure(state: ModelState) -> float:
            with one_thread():
                evaluation = evaluate(self.classifier, state, self.holdout.features, self.holdout.labels, metric)
            return -evaluation.loss if score == "loss" else evaluation.value

        return reaggregated(clipped, weights, base.classifier, measure, aggregate)

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

    def _held_out_loss(self, state: ModelState) -> float:
        return evaluate(self.classifier, state, self.holdout.features, self.holdout.labels).loss
