"""The attester: what an organization really contributed, measured rather than believed.

One bundle is checked alone (:mod:`cocogen.learning.checks`), then against what its generator really makes, its peers
and the attester's own data; what remains is measured, aggregated, and written down in one evidence document for
each organization, whose digest the ledger carries. The table of lies that this catches, and of those that it does
not, is docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.attested import evidence_hash
from cocogen.errors import EvidenceRejected
from cocogen.game.effective import effective_samples
from cocogen.learning.aggregation import ServerOptimizer, newest
from cocogen.learning.checks import Expectation, check_arrays, check_identity, check_log, check_update
from cocogen.learning.control import remembered
from cocogen.learning.evidence import Bundle, Samples
from cocogen.learning.federated import Evaluation, evaluate
from cocogen.learning.generators.base import Generator
from cocogen.learning.generators.quality import QualityMeter
from cocogen.learning.models import Classifier
from cocogen.learning.robust import Aggregation
from cocogen.learning.states import ModelState, SharedModel
from cocogen.learning.streams import Purpose, Streams
from cocogen.learning.training import LocalWork, train
from cocogen.ledger import Contribution

__all__ = [
    "GAIN_TOLERANCE",
    "LEAST_QUALITY_KEPT",
    "REVERSED",
    "UPDATE_FACTOR",
    "Attester",
    "Caps",
    "Measurement",
    "RoundEvidence",
]

# Measured on honest rounds (docs/evidence.md): each leaves the worst of them a margin.
UPDATE_FACTOR = 6.0
REVERSED = -0.65
GAIN_TOLERANCE = 1.0
LEAST_QUALITY_KEPT = 0.5
_SAMPLE_TOLERANCE = 1e-3


class Caps(Protocol):
    """The largest contribution that the ledger accepts, as :class:`cocogen.ledger.Member` states it."""

    @property
    def data_cap(self) -> int: ...
    @property
    def generated_cap(self) -> int: ...
    @property
    def compute_cap(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the attester found in one accepted bundle.

    ``data``: real samples used; ``raw``: synthetic samples used; ``generated``: ⌊κ · raw⌋ with κ =
    ``quality_in_force``; ``compute``: gradient steps; all capped by the terms but ``raw``. ``quality``: κ measured now,
    in force next round. ``update_ratio``: distance of the update over the reference distance (limit
    ``UPDATE_FACTOR``). ``gain``: held-out loss of the aggregate without this organization
    minus with it, nats. ``bundle``: digest of the bundle, hexadecimal.
    """

    organization: str
    data: int
    generated: int
    compute: int
    raw: int
    quality_in_force: float
    quality: float
    update_ratio: float
    gain: float
    bundle: str


@dataclass(frozen=True, slots=True)
class RoundEvidence:
    """A round as attested; everything is in the order of the organizations, None for those without contribution.

    ``rejected``: reason by organization. ``aggregated``: the shared model of the accepted updates.
    ``evaluation``: of that model on the test fold. ``quality_next``: κ in force next round, shape (N,).
    ``documents``: the JSON objects whose digests the ``contributions`` carry.
    """

    measurements: tuple[Measurement | None, ...]
    contributions: tuple[Contribution | None, ...]
    documents: tuple[dict[str, Any] | None, ...]
    rejected: dict[str, str]
    aggregated: SharedModel
    evaluation: Evaluation
    quality_next: NDArray[np.float64]


class Attester:
    """Verifies and measures on its own real ``holdout``, which no organization has seen.

    ``streams`` are public: the draws of synthetic samples and panels follow from the seed of the terms, so that the
    attester repeats them. ``held``: the classes of each organization if each trains its own generator alone: κ is
    then that of these classes, the shared generator stays as it is, and how far theirs moved says nothing.
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
    ) -> None:
        self.classifier = classifier
        self.generator = generator
        self.holdout = holdout
        self.classes = classes
        self.streams = streams
        self.aggregation = aggregation or Aggregation()
        self.server = server
        self.held = held
        self.meter = QualityMeter(holdout.features, holdout.labels, classes)

    def verify(
        self,
        bundle: Bundle,
        index: int,
        expected: Expectation,
        quality: float,
        verify: Callable[[str, bytes, bytes], bool],
    ) -> float:
        """Check organization ``index``'s bundle alone and measure κ of its generator.

        Synthetic samples are credited at ``quality``, the κ in force, which was measured on an earlier generator.
        Since samples and panel are shown to come from the generator handed in, whose κ is measured here, samples of
        a generator that has lost more than half of that worth are refused.

        Raises
        ------
        EvidenceRejected
            With the first claim that does not hold.
        """
        check_identity(bundle, expected, verify)
        check_arrays(bundle, expected)
        check_log(bundle, expected)
        check_update(bundle, expected)
        for purpose, what, samples in (
            (Purpose.SYNTHETIC, "synthetic samples", bundle.synthetic),
            (Purpose.PANEL, "panel", bundle.panel),
        ):
            rng = self.streams.get(purpose, expected.round, index)
            drawn = self.generator.sample(bundle.generator, samples.labels, rng)
            if not np.allclose(drawn, samples.features, rtol=_SAMPLE_TOLERANCE, atol=_SAMPLE_TOLERANCE):
                raise EvidenceRejected(
                    expected.organization,
                    f"its {what} are not what its generator draws from the agreed seed: they differ by up to "
                    f"{float(np.abs(drawn - samples.features).max()):.3g}",
                    hint="hand in what the generator made",
                )
        measured = self.measure_panel(bundle.panel, index)
        if bundle.synthetic.labels.size and measured < LEAST_QUALITY_KEPT * quality:
            raise EvidenceRejected(
                expected.organization,
                f"its synthetic samples are worth {measured:g}, less than {LEAST_QUALITY_KEPT:g} of the {quality:g} "
                "that they would be credited at",
                hint="retrain the generator",
            )
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
    ) -> RoundEvidence:
        """Verify every bundle, exclude what harms, measure the rest.

        The classifiers are averaged with weights data + generated as measured and capped, the generators with data,
        so that nobody gains weight by a claim that is not attested; clipped and trimmed first where the terms say so.
        Where the terms say SCAFFOLD, the control variates of all, absent organizations included, are averaged too.
        The server's optimizer then steps from the newest base; what an organization harms or gains is judged by the
        average alone, before that step. Without any weight the base stands: the newest that an optimizer made, or that
        of the first organization.
        """
        total = len(bundles)
        rejected: dict[str, str] = {}
        accepted: dict[int, tuple[Bundle, float]] = {}
        for n, (bundle, expected) in enumerate(zip(bundles, expectations, strict=True)):
            if progress is not None:
                progress("verifying evidence", n, total)
            if bundle is None:
                continue
            try:
                accepted[n] = (bundle, self.verify(bundle, n, expected, quality[n], verify))
            except EvidenceRejected as error:
                rejected[expected.organization] = error.reason
        ratios = self._exclude_outliers(accepted, expectations, rejected)
        credit = {
            n: self._credit(accepted[n][0], quality[n], caps[n], None if planned is None else planned[n])
            for n in accepted
        }
        gains = self._exclude_harm(accepted, credit, expectations, rejected)
        updates = self._updates(accepted, expectations)
        aggregated = self._step(updates, credit, [expected.base for expected in expectations])
        aggregated = self._remember(aggregated, accepted, credit, expectations)
        digest = aggregated.digest()

        quality_next = np.array(quality, dtype=np.float64)
        measurements: list[Measurement | None] = [None] * total
        contributions: list[Contribution | None] = [None] * total
        documents: list[dict[str, Any] | None] = [None] * total
        for n, (bundle, measured) in accepted.items():
            quality_next[n] = measured
            data, generated, compute = credit[n]
            measurement = Measurement(
                organization=expectations[n].organization,
                data=data,
                generated=generated,
                compute=compute,
                raw=len(bundle.synthetic.labels),
                quality_in_force=float(quality[n]),
                quality=measured,
                update_ratio=ratios[n],
                gain=gains[n],
                bundle=bundle.digest().hex(),
            )
            document = {
                "version": 1,
                "round": expectations[n].round,
                "terms_hash": expectations[n].terms_hash.hex(),
                "base_model": expectations[n].base.digest(),
                "aggregated_model": digest,
                "measurement": asdict(measurement),
            }
            measurements[n], documents[n] = measurement, document
            contributions[n] = Contribution(data, generated, compute, evidence_hash(document))
        if progress is not None:
            progress("verifying evidence", total, total)
        return RoundEvidence(
            measurements=tuple(measurements),
            contributions=tuple(contributions),
            documents=tuple(documents),
            rejected=rejected,
            aggregated=aggregated,
            evaluation=evaluate(self.classifier, aggregated.classifier, test.features, test.labels),
            quality_next=quality_next,
        )

    def measure_panel(self, panel: Samples, index: int) -> float:
        """κ in [0.01, 1] of the panel of organization ``index``."""
        known = None if self.held is None else self.held[index]
        return self.meter.measure(panel.features, panel.labels, known)

    def _credit(self, bundle: Bundle, quality: float, caps: Caps, planned: int | None) -> tuple[int, int, int]:
        data = min(len(bundle.manifest.commitments), caps.data_cap)
        generated = min(effective_samples(len(bundle.synthetic.labels), float(quality)), caps.generated_cap)
        if planned is not None:
            generated = min(generated, planned)
        return data, generated, min(len(bundle.manifest.training.real), caps.compute_cap)

    def _exclude_outliers(
        self,
        accepted: dict[int, tuple[Bundle, float]],
        expectations: Sequence[Expectation],
        rejected: dict[str, str],
    ) -> dict[int, float]:
        """Reject updates far beyond the reference: the larger of the median of the peers' and the attester's own; and
        those that go against both.

        A reference of fewer steps is scaled up to the steps of the organization under test, never down.
        """
        moved = {
            n: (bundle.classifier.distance(expectations[n].base.classifier), len(bundle.manifest.training.real))
            for n, (bundle, _) in accepted.items()
        }
        generators = {
            n: self.generator.movement(expectations[n].base.generator, bundle.generator)
            for n, (bundle, _) in accepted.items()
        }
        references = self._own_updates(accepted, expectations)
        against = self._directions(accepted, expectations, references)
        ratios: dict[int, float] = {}
        for n, (distance, steps) in moved.items():
            own, own_steps, own_generator, _ = references[expectations[n].base.digest()]
            peers = [d * max(1.0, steps / t) for m, (d, t) in moved.items() if m != n and t]
            reference = max(own * max(1.0, steps / own_steps), float(np.median(peers)) if peers else 0.0)
            others = [d for m, d in generators.items() if m != n and d]
            generator_reference = max(own_generator, float(np.median(others)) if others else 0.0)
            ratios[n] = distance / max(reference, 1e-12)
            generator_ratio = generators[n] / max(generator_reference, 1e-12) if self.held is None else 0.0
            for part, ratio in (("classifier", ratios[n]), ("generator", generator_ratio)):
                # So that the ratio of two infinite movements, which is no number, is refused too.
                if not ratio <= UPDATE_FACTOR and n in accepted:
                    rejected[expectations[n].organization] = (
                        f"its {part} moved {ratio:.1f} times as far as its peers' and the attester's own, more than "
                        f"{UPDATE_FACTOR:g} times"
                    )
                    del accepted[n]
            if against[n] < REVERSED and n in accepted:
                rejected[expectations[n].organization] = (
                    f"its classifier moved against its peers and the attester's own training: the cosine of the angle "
                    f"is {against[n]:.2f} at most, less than {REVERSED:g}"
                )
                del accepted[n]
        return ratios

    def _directions(
        self,
        accepted: dict[int, tuple[Bundle, float]],
        expectations: Sequence[Expectation],
        references: dict[str, tuple[float, int, float, ModelState]],
    ) -> dict[int, float]:
        """The larger cosine of each update's angle with the attester's own update and with the peers' mean direction.

        The attester's own training as root of trust is that of FLTrust (X. Cao et al., 2021); that the peers must agree
        with it before anybody is rejected is ours: skewed honest updates often point away from one of the two.
        """

        def direction(state: ModelState, base: ModelState) -> NDArray[np.float64]:
            moved = np.concatenate([(state[k].astype(np.float64) - base[k]).ravel() for k in base])
            length: float = np.linalg.norm(moved).item()
            return moved / max(length, 1e-12)

        bases = {n: expectations[n].base for n in accepted}
        own = {key: reference[3] for key, reference in references.items()}
        units = {n: direction(bundle.classifier, bases[n].classifier) for n, (bundle, _) in accepted.items()}
        together = sum(units.values())
        found = {}
        for n, unit in units.items():
            peers = together - unit
            length = max(float(np.linalg.norm(peers)), 1e-12)
            reference = direction(own[bases[n].digest()], bases[n].classifier)
            found[n] = max(float(unit @ reference), float(unit @ peers) / length)
        return found

    def _own_updates(
        self, accepted: dict[int, tuple[Bundle, float]], expectations: Sequence[Expectation]
    ) -> dict[str, tuple[float, int, float, ModelState]]:
        """For each base model in use: how far, in how many steps, and where the attester's own training moves it."""
        references = {}
        for n in accepted:
            expected = expectations[n]
            base = expected.base
            if (key := base.digest()) in references:
                continue

            def work(initial: Any, purpose: Purpose, round_number: int = expected.round) -> LocalWork:
                rng = self.streams.get(purpose, round_number)
                return LocalWork(initial, self.holdout.features, self.holdout.labels, rng)

            result = train(self.classifier, [work(base.classifier, Purpose.REFERENCE)], expected.schedule)[0]
            fitted = self.generator.fit([work(base.generator, Purpose.REFERENCE_GENERATOR)])[0]
            moved = result.state.distance(base.classifier)
            if expected.privacy is not None:
                moved = expected.privacy.expected_norm(moved, sum(array.size for array in result.state.values()))
            references[key] = (
                moved,
                len(result.trace.real),
                self.generator.movement(base.generator, fitted),
                result.state,
            )
        return references

    def _exclude_harm(
        self,
        accepted: dict[int, tuple[Bundle, float]],
        credit: dict[int, tuple[int, int, int]],
        expectations: Sequence[Expectation],
        rejected: dict[str, str],
    ) -> dict[int, float]:
        """Reject, worst first, whoever raises the aggregate's held-out loss beyond the tolerance."""
        while True:
            gains = self._gains(accepted, credit, expectations)
            if not gains or gains[worst := min(gains, key=lambda n: (gains[n], n))] >= -GAIN_TOLERANCE:
                return gains
            rejected[expectations[worst].organization] = (
                f"with it the aggregate's loss on the attester's data is {-gains[worst]:.3f} nats higher than without, "
                f"more than {GAIN_TOLERANCE:g}"
            )
            del accepted[worst]

    def _gains(
        self,
        accepted: dict[int, tuple[Bundle, float]],
        credit: dict[int, tuple[int, int, int]],
        expectations: Sequence[Expectation],
    ) -> dict[int, float]:
        """How much each organization lowers the held-out loss of the aggregate of all accepted, nats."""
        updates = self._updates(accepted, expectations)

        def loss(members: Sequence[int], base: SharedModel) -> float:
            shared = self._aggregate(updates, credit, members, base)
            return evaluate(self.classifier, shared.classifier, self.holdout.features, self.holdout.labels).loss

        members = sorted(accepted)
        together = loss(members, expectations[0].base)
        return {n: loss([m for m in members if m != n], expectations[n].base) - together for n in members}

    def _updates(
        self, accepted: dict[int, tuple[Bundle, float]], expectations: Sequence[Expectation]
    ) -> dict[int, SharedModel]:
        """What is aggregated of each accepted organization: its models, clipped by the norms of those accepted."""
        members = sorted(accepted)
        bundles, bases = [accepted[n][0] for n in members], [expectations[n].base for n in members]
        classifiers = self.aggregation.clip([b.classifier for b in bundles], [base.classifier for base in bases])
        generators = self.aggregation.clip([b.generator for b in bundles], [base.generator for base in bases])
        return {n: SharedModel(*parts) for n, *parts in zip(members, classifiers, generators, strict=True)}

    def _step(
        self,
        updates: dict[int, SharedModel],
        credit: dict[int, tuple[int, int, int]],
        bases: Sequence[SharedModel],
    ) -> SharedModel:
        current = newest(bases)
        mean = self._aggregate(updates, credit, sorted(updates), current)
        if not any(credit[n][0] + credit[n][1] for n in updates):
            return SharedModel(mean.classifier, mean.generator, current.server)
        classifier, server = self.server.step(current.classifier, mean.classifier, current.server)
        return SharedModel(classifier, mean.generator, server)

    def _remember(
        self,
        aggregated: SharedModel,
        accepted: dict[int, tuple[Bundle, float]],
        credit: dict[int, tuple[int, int, int]],
        expectations: Sequence[Expectation],
    ) -> SharedModel:
        """The aggregate with SCAFFOLD's shared control variate, unchanged where it is not agreed or nobody counts."""
        if not any(credit[n][0] + credit[n][1] for n in accepted):
            return aggregated
        variates = []
        for n, expected in enumerate(expectations):
            if (variate := expected.variate) is None:
                return aggregated
            if n in accepted:
                bundle, (data, generated, _) = accepted[n][0], credit[n]
                steps = len(bundle.manifest.training.real)
                rate = expected.schedule.learning_rate
                variate = variate.renewed(expected.base, bundle.classifier, steps, rate, data + generated)
            variates.append(variate)
        return replace(aggregated, server=remembered(variates, aggregated.server))

    def _aggregate(
        self,
        updates: dict[int, SharedModel],
        credit: dict[int, tuple[int, int, int]],
        members: Sequence[int],
        base: SharedModel,
    ) -> SharedModel:
        chosen, combine = [updates[n] for n in members], self.aggregation.combine
        weights = [credit[n][0] + credit[n][1] for n in members]
        data = [credit[n][0] for n in members]
        averaged = self.held is None and any(data)
        return SharedModel(
            classifier=combine([u.classifier for u in chosen], weights) if any(weights) else base.classifier,
            generator=combine([u.generator for u in chosen], data) if averaged else base.generator,
        )
