"""Lies, one at a time, each told and signed by a member of an otherwise honest round."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from cocogen.data.samples import Samples
from cocogen.data.sources.base import Reserved
from cocogen.errors import ConfigurationError, LearningError
from cocogen.evidence.attester import SUSPECT_TOLERANCE, Attester
from cocogen.evidence.member import Assignment
from cocogen.evidence.outliers import UPDATE_FACTOR
from cocogen.files import canonical_json
from cocogen.game.effective import effective_samples
from cocogen.learning.models.states import ModelState, SharedModel, average

NAME, N = "harbor", 1
TERMS = bytes(range(32))


def rejected(scene, bundle, reason: str, **changes: object) -> None:
    """The attester refuses harbor's bundle for ``reason``, and harbor's alone."""
    bundles = list(scene.bundles)
    bundles[N] = bundle
    evidence = scene.attest(bundles, **changes)
    assert set(evidence.rejected) == {NAME}
    assert reason in evidence.rejected[NAME]
    assert evidence.contributions[N] is None
    assert evidence.documents[N] is None
    assert evidence.measurements[N] is None
    assert evidence.quality_next[N] == scene.quality[N]
    assert all(c is not None for n, c in enumerate(evidence.contributions) if n != N)


def test_honest_round_is_measured_as_it_was(scene) -> None:
    evidence = scene.attest()
    assert not evidence.rejected
    for n, (contribution, measurement) in enumerate(zip(evidence.contributions, evidence.measurements, strict=True)):
        assert contribution.data == scene.task.registered[n]
        assert contribution.generated == effective_samples(24, scene.quality[n])
        assert contribution.compute == 0
        assert measurement.raw == 24
        assert measurement.quality == evidence.quality_next[n]
        assert 0.01 <= measurement.quality <= 1.0


def test_documents_bind_bundle_model_and_contribution(scene) -> None:
    evidence = scene.attest()
    for bundle, contribution, document in zip(scene.bundles, evidence.contributions, evidence.documents, strict=True):
        assert contribution.evidence_hash == hashlib.sha256(canonical_json(document)).digest()
        assert document["aggregated_model"] == evidence.aggregated.digest()
        assert document["measurement"]["bundle"] == bundle.digest().hex()
        assert document["measurement"]["data"] == contribution.data
        assert document["terms_hash"] == bundle.manifest.terms_hash


def test_aggregate_is_the_average_of_what_was_measured(scene) -> None:
    evidence = scene.attest()
    weights = [c.data + c.generated for c in evidence.contributions]
    expected = average([b.classifier for b in scene.bundles], weights)
    assert evidence.aggregated.classifier.digest() == expected.digest()
    generators = average([b.generator for b in scene.bundles], [c.data for c in evidence.contributions])
    assert evidence.aggregated.generator.digest() == generators.digest()


def test_attesting_twice_gives_the_same_documents(scene) -> None:
    assert scene.attest().documents == scene.attest().documents


@pytest.mark.parametrize("size", [1e10, 1e30, 3e38])
@pytest.mark.parametrize("settings", [{}, {"clip_norm": 1.0}, {"aggregation": "trimmed-mean", "trim": 0.49}])
def test_a_finite_classifier_so_large_that_its_loss_is_no_number_is_refused(scene, forge, build, size, settings):
    base, honest = scene.shared.classifier, scene.bundles[N]
    vast = ModelState(
        {name: np.copysign(np.float32(size), honest.classifier[name] - base[name]) for name in honest.classifier}
    )
    norms = (1e300, *honest.manifest.training.gradient_norms[1:])
    lie = forge(honest, classifier=vast, base=scene.shared, log={"gradient_norms": norms})
    bundles = [*scene.bundles[:N], lie, *scene.bundles[N + 1 :]]
    evidence = replace(scene, task=build(**settings)).attest(bundles)
    if size > 1e10:
        assert set(evidence.rejected) == {NAME}
    assert evidence.evaluation.loss < 1.0
    assert all(m is None or np.isfinite(m.gain) for m in evidence.measurements)
    assert all(c is not None for n, c in enumerate(evidence.contributions) if n != N)


def test_contributions_are_capped(scene) -> None:
    from types import SimpleNamespace

    caps = [SimpleNamespace(data_cap=10, generated_cap=24, compute_cap=4)] * 4
    evidence = scene.attest(caps=caps)
    assert [(c.data, c.compute) for c in evidence.contributions] == [(10, 4)] * 4
    assert all(c.generated <= 24 for c in evidence.contributions)
    capped = scene.attest(caps=[SimpleNamespace(data_cap=10, generated_cap=24, compute_cap=0)] * 4, quality=np.ones(4))
    assert [c.generated for c in capped.contributions] == [24] * 4


def test_an_absent_member_contributes_nothing(scene) -> None:
    evidence = scene.attest([None, *scene.bundles[1:]])
    assert evidence.contributions[0] is None
    assert not evidence.rejected
    assert evidence.quality_next[0] == scene.quality[0]


def test_a_round_without_evidence_keeps_the_model(scene) -> None:
    evidence = scene.attest([None] * 4)
    assert evidence.aggregated.digest() == scene.shared.digest()
    assert evidence.contributions == (None,) * 4


# Who signed what


@pytest.mark.parametrize(
    "field",
    [
        "version", "organization", "round", "terms_hash", "base", "classifier", "generator", "synthetic", "panel",
        "commitments", "raw", "update_norm", "generator_update_norm", "training",
    ],
)  # fmt: skip
def test_a_change_of_any_manifest_field_after_signing_is_rejected(scene, field: str) -> None:
    bundle = scene.bundles[N]
    value = getattr(bundle.manifest, field)
    changed: object
    if isinstance(value, str):
        changed = "0" * 64 if len(value) == 64 else "north"
    elif isinstance(value, int | float):
        changed = value + 1
    elif isinstance(value, tuple):
        changed = value[1:]
    else:
        changed = value.model_copy(update={"losses": (0.0, *value.losses[1:])})
    forged = replace(bundle, manifest=bundle.manifest.model_copy(update={field: changed}))
    rejected(scene, forged, "altered after signing")


@pytest.mark.parametrize("field", ["epoch_steps", "real", "synthetic", "losses", "gradient_norms"])
def test_a_change_of_any_log_entry_after_signing_is_rejected(scene, field: str) -> None:
    bundle = scene.bundles[N]
    log = bundle.manifest.training
    column = getattr(log, field)
    training = log.model_copy(update={field: (*column[:-1], column[-1] + 1)})
    forged = replace(bundle, manifest=bundle.manifest.model_copy(update={"training": training}))
    rejected(scene, forged, "altered after signing")


def shifted(state: ModelState, by: float = 0.01) -> ModelState:
    return ModelState({name: array + np.float32(by) for name, array in state.items()})


@pytest.mark.parametrize("part", ["classifier", "generator", "synthetic", "panel"])
def test_a_change_of_any_array_after_signing_is_rejected(scene, part: str) -> None:
    bundle = scene.bundles[N]
    value = getattr(bundle, part)
    other = (
        shifted(value) if isinstance(value, ModelState) else Samples(value.features + np.float32(0.01), value.labels)
    )
    rejected(scene, replace(bundle, **{part: other}), "signed")


def test_a_foreign_signature_is_rejected(scene, forge) -> None:
    rejected(scene, forge(scene.bundles[N], by="mallory"), "not signed by the registered address")


def test_a_malformed_signature_is_rejected(scene) -> None:
    rejected(scene, replace(scene.bundles[N], signature=bytes(65)), "not signed by")


def test_another_members_bundle_is_rejected(scene, forge) -> None:
    stolen = forge(scene.bundles[0], by=NAME)
    rejected(scene, stolen, "organization is north")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"round_number": 2}, "round is 1"), ({"terms_hash": bytes(32)}, "terms is")],
)
def test_a_replayed_bundle_is_rejected(scene, changes: dict[str, object], reason: str) -> None:
    evidence = scene.attest(**changes)
    assert len(evidence.rejected) == 4
    assert reason in evidence.rejected[NAME]


def test_training_on_another_model_is_rejected(scene) -> None:
    other = SharedModel(shifted(scene.shared.classifier), scene.shared.generator)
    evidence = scene.attest(shared=other)
    assert "base model" in evidence.rejected[NAME]


# What was copied


def refused_as_copies(scene, bundles, *reasons: str) -> None:
    """North and harbor are refused for these reasons, and nobody else is."""
    evidence = scene.attest(bundles)
    assert set(evidence.rejected) == {"north", NAME}
    for name, reason in zip(("north", NAME), reasons, strict=True):
        assert evidence.rejected[name] == f"a copy: {reason}, too"
    assert [c is None for c in evidence.contributions] == [True, True, False, False]
    assert list(evidence.quality_next[:2]) == list(scene.quality[:2])


def test_two_members_with_the_same_classifier_are_both_refused(scene, forge) -> None:
    """The copy is signed by its own key, with a log that carries it."""
    original, own = scene.bundles[0], scene.bundles[N]
    norms = tuple(2.0 * norm + 1.0 for norm in own.manifest.training.gradient_norms)
    copy = forge(own, base=scene.shared, log={"gradient_norms": norms}, classifier=original.classifier)
    reasons = [f"its classifier is the very one that {other} handed in" for other in (NAME, "north")]
    refused_as_copies(scene, [original, copy, *scene.bundles[2:]], *reasons)


def test_two_members_who_claim_one_commitment_are_both_refused(scene, forge) -> None:
    original, own = scene.bundles[0], scene.bundles[N]
    claimed = (*own.manifest.commitments[1:], original.manifest.commitments[0])
    copy = forge(own, manifest={"commitments": tuple(sorted(claimed))})
    reasons = [f"1 of the real samples that it commits to are claimed by {other}" for other in (NAME, "north")]
    refused_as_copies(scene, [original, copy, *scene.bundles[2:]], *reasons)


def test_a_copy_in_a_bundle_that_fails_alone_harms_nobody_else(scene, forge) -> None:
    """Or whoever has seen a bundle could have its author refused without signing anything."""
    copy = forge(scene.bundles[N], base=scene.shared, classifier=scene.bundles[0].classifier, by="mallory")
    rejected(scene, copy, "not signed by")


def test_members_that_trained_on_nothing_share_the_base_and_are_no_copies(scene, signer) -> None:
    sizes = [0, 0, *scene.task.registered[2:]]
    assignments = [Assignment(int(data), 0) for data in sizes]
    bundles = list(scene.task.train(1, scene.shared, assignments, TERMS, signer))
    assert bundles[0].manifest.classifier == bundles[N].manifest.classifier
    evidence = scene.attest(bundles)
    assert not evidence.rejected
    assert [c.data for c in evidence.contributions] == sizes


# What was counted


def test_more_real_samples_than_registered_are_rejected(scene, forge) -> None:
    more = tuple(hashlib.sha256(bytes([n])).hexdigest() for n in range(61))
    rejected(scene, forge(scene.bundles[N], manifest={"commitments": more}), "registered 60")


def test_a_sample_counted_twice_is_rejected(scene, forge) -> None:
    once = scene.bundles[N].manifest.commitments
    rejected(scene, forge(scene.bundles[N], manifest={"commitments": (once[0], *once[:-1])}), "only 59 are distinct")


def test_claims_that_the_log_does_not_carry_are_rejected(scene, forge) -> None:
    bundle = scene.bundles[N]
    fewer = bundle.manifest.commitments[:40]
    rejected(scene, forge(bundle, manifest={"commitments": fewer}), "64 samples in batches of 32 make 2")
    slightly_fewer = bundle.manifest.commitments[:50]
    rejected(scene, forge(bundle, manifest={"commitments": slightly_fewer}), "epoch 1 of its log")
    log = bundle.manifest.training
    rejected(scene, forge(bundle, log={"real": (log.real[0] + 1, *log.real[1:])}), "epoch 1 of its log")
    shifted_counts = {"real": (log.real[0] - 1, *log.real[1:]), "synthetic": (log.synthetic[0] + 1, *log.synthetic[1:])}
    rejected(scene, forge(bundle, log=shifted_counts), "epoch 1 of its log")


def test_a_log_of_other_epochs_or_lengths_is_rejected(scene, forge) -> None:
    log = scene.bundles[N].manifest.training
    rejected(scene, forge(scene.bundles[N], log={"epoch_steps": log.epoch_steps[:-1]}), "3 epochs")
    rejected(scene, forge(scene.bundles[N], log={"losses": log.losses[:-1]}), "columns")


def test_uneven_batches_are_rejected(scene, forge) -> None:
    log = scene.bundles[N].manifest.training
    real = (log.real[0] - 2, log.real[1] + 2, *log.real[2:])
    rejected(scene, forge(scene.bundles[N], log={"real": real}), "batches")


def test_a_claim_of_more_synthetic_samples_is_rejected(scene, forge) -> None:
    rejected(scene, forge(scene.bundles[N], manifest={"raw": 30}), "claims 30 synthetic samples, but hands in 24")


def test_more_synthetic_samples_than_agreed_are_rejected(scene) -> None:
    from types import SimpleNamespace

    caps = [SimpleNamespace(data_cap=90, generated_cap=60 if n != N else 20, compute_cap=0) for n in range(4)]
    rejected(scene, scene.bundles[N], "more than the agreed 20", caps=caps)


# What was trained


def scaled(scene, factor: float) -> ModelState:
    base, own = scene.shared.classifier, scene.bundles[N].classifier
    return ModelState({name: base[name] + np.float32(factor) * (own[name] - base[name]) for name in own})


@pytest.mark.parametrize(
    ("factor", "reason"),
    [(10.0, "times as far"), (20.0, "times as far"), (-1.0, "moved against"), (-10.0, "moved against")],
)
def test_a_scaled_or_reversed_update_with_a_matching_log_is_named(scene, forge, factor: float, reason: str) -> None:
    norms = tuple(abs(factor) * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    forged = forge(scene.bundles[N], classifier=scaled(scene, factor), base=scene.shared, log={"gradient_norms": norms})
    rejected(scene, forged, reason)


def test_a_doubled_update_passes_and_is_bounded_by_clipping_and_trimming(scene, forge, build) -> None:
    """Twice an honest distance is within what honest rounds show; the options of the terms bound what it does."""
    norms = tuple(2.0 * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    forged = forge(scene.bundles[N], classifier=scaled(scene, 2.0), base=scene.shared, log={"gradient_norms": norms})
    bundles = [*scene.bundles[:N], forged, *scene.bundles[N + 1 :]]

    def moved_by_the_lie(attest) -> float:
        honest, lied = attest(scene.bundles), attest(bundles)
        assert not honest.rejected
        assert not lied.rejected
        return lied.aggregated.classifier.distance(honest.aggregated.classifier)

    plain = moved_by_the_lie(scene.attest)
    for terms in ({"clip_norm": 1.0}, {"aggregation": "trimmed-mean", "trim": 0.25}):
        robust = replace(scene, task=build(**terms))
        assert 0 < moved_by_the_lie(robust.attest) < 0.85 * plain


def test_a_reversed_update_that_does_no_harm_is_accepted(scene, forge) -> None:
    """Under skewed labels an honest update can point anywhere: the direction alone refuses nobody."""
    norms = tuple(0.05 * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    forged = forge(scene.bundles[N], classifier=scaled(scene, -0.05), base=scene.shared, log={"gradient_norms": norms})
    evidence = scene.attest([*scene.bundles[:N], forged, *scene.bundles[N + 1 :]])
    assert not evidence.rejected
    assert evidence.contributions[N].data == 60


def test_a_distant_update_that_does_no_harm_is_accepted(scene, forge) -> None:
    """Once the model has converged, honest updates differ in length: the distance alone refuses nobody."""
    own = scene.bundles[N].classifier
    # The same for every class, so that no probability changes.
    far = ModelState({**own, "2.bias": own["2.bias"] + np.float32(20.0)})
    norms = tuple(50.0 * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    forged = forge(scene.bundles[N], classifier=far, base=scene.shared, log={"gradient_norms": norms})
    evidence = scene.attest([*scene.bundles[:N], forged, *scene.bundles[N + 1 :]])
    assert not evidence.rejected
    assert evidence.measurements[N].update_ratio > UPDATE_FACTOR
    assert evidence.measurements[N].gain > -SUSPECT_TOLERANCE


def test_who_moves_against_is_told_by_the_peers_and_the_attester_together(scene) -> None:
    evidence = scene.attest([scene.bundles[0], None, None, None])
    assert not evidence.rejected, "one organization has no peers to agree with"


@pytest.mark.parametrize("rule", ["average", "trimmed-mean"])
def test_the_aggregation_of_the_terms_makes_the_model(scene, build, rule: str) -> None:
    robust = replace(scene, task=build(aggregation=rule, trim=0.3, clip_norm=0.9))
    evidence = robust.attest()
    aggregation, weights = robust.task.attester.aggregation, [c.data + c.generated for c in evidence.contributions]
    base = scene.shared.classifier
    clipped = aggregation.clip([b.classifier for b in scene.bundles], [base] * 4)
    assert any(c is not b.classifier for c, b in zip(clipped, scene.bundles, strict=True))
    assert evidence.aggregated.classifier.digest() == aggregation.combine(clipped, weights).digest()
    generators = aggregation.clip([b.generator for b in scene.bundles], [scene.shared.generator] * 4)
    expected = aggregation.combine(generators, [c.data for c in evidence.contributions])
    assert evidence.aggregated.generator.digest() == expected.digest()
    for n, measurement in enumerate(evidence.measurements):
        rest = [m for m in range(4) if m != n]
        without = aggregation.combine([clipped[m] for m in rest], [weights[m] for m in rest])
        worth = [
            scene.task.attester.coalition_utility(
                [replace(scene.shared, classifier=state)], [scene.shared], [1], scene.shared
            )
            for state in (evidence.aggregated.classifier, without)
        ]
        assert measurement.gain == pytest.approx(worth[0]((0,)) - worth[1]((0,)))


def test_a_norm_that_was_not_travelled_is_rejected(scene, forge) -> None:
    for field in ("update_norm", "generator_update_norm"):
        wrong = 1.1 * getattr(scene.bundles[N].manifest, field)
        rejected(scene, forge(scene.bundles[N], manifest={field: wrong}), "moved by")


def test_a_scaled_update_is_beyond_its_own_log(scene, forge) -> None:
    forged = forge(scene.bundles[N], classifier=scaled(scene, 20.0), base=scene.shared)
    rejected(scene, forged, "logged gradients carry at most")


def test_a_scaled_update_with_a_scaled_log_is_beyond_its_peers(scene, forge) -> None:
    norms = tuple(20.0 * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    forged = forge(scene.bundles[N], classifier=scaled(scene, 20.0), base=scene.shared, log={"gradient_norms": norms})
    rejected(scene, forged, "times as far")


def test_a_harmful_update_within_all_norms_is_excluded_by_the_held_out_loss(scene, forge) -> None:
    norms = tuple(5.0 * norm for norm in scene.bundles[N].manifest.training.gradient_norms)
    flipped, base = scaled(scene, -4.0), scene.shared.classifier
    rng = np.random.default_rng(1)
    noise = {name: rng.normal(size=array.shape).astype(np.float32) for name, array in flipped.items()}
    length = flipped.distance(base) / ModelState(noise).distance(
        ModelState({name: np.zeros_like(a) for name, a in noise.items()})
    )
    # Noise of the same length hides the direction.
    harmful = ModelState({name: flipped[name] + np.float32(length) * noise[name] for name in flipped})
    forged = forge(scene.bundles[N], classifier=harmful, base=scene.shared, log={"gradient_norms": norms})
    rejected(scene, forged, "nats higher")


def test_an_update_that_did_not_train_is_rejected(scene, forge) -> None:
    forged = forge(scene.bundles[N], classifier=scene.shared.classifier, base=scene.shared)
    rejected(scene, forged, "did not move")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["classifier", "generator"])
def test_parameters_that_are_not_finite_are_rejected(scene, forge, part: str, value: float) -> None:
    state = getattr(scene.bundles[N], part)
    name = next(iter(state))
    broken = ModelState({**state, name: np.full_like(state[name], value)})
    rejected(scene, forge(scene.bundles[N], **{part: broken}), f"{part} holds NaN or infinity")


def test_parameters_of_another_shape_are_rejected(scene, forge) -> None:
    state = scene.bundles[N].classifier
    for broken in (
        ModelState({**state, "0.weight": np.zeros((3, 3), dtype=np.float32)}),
        ModelState({**state, "9.weight": np.zeros(3, dtype=np.float32)}),
        ModelState({}),
    ):
        rejected(scene, forge(scene.bundles[N], classifier=broken), "classifier has the parameters")


# What was generated


def test_synthetic_samples_of_another_shape_or_class_are_rejected(scene, forge) -> None:
    honest = scene.bundles[N].synthetic
    for broken, reason in (
        (Samples(honest.features[:, :5].copy(), honest.labels), "shapes"),
        (Samples(honest.features, honest.labels[:-1].copy()), "shapes"),
        (Samples(honest.features, honest.labels + 7), "labels reach beyond"),
        (Samples(honest.features * np.float32(np.nan), honest.labels), "NaN"),
        (Samples(honest.features + np.float32(1e6), honest.labels), "standard deviations"),
    ):
        rejected(scene, forge(scene.bundles[N], synthetic=broken), reason)


def test_real_samples_passed_off_as_synthetic_are_rejected(scene, forge) -> None:
    own, honest = scene.task.members[N].own, scene.bundles[N].synthetic
    chosen = [np.flatnonzero(own.labels == label)[0] for label in honest.labels]
    disguised = Samples(own.features[chosen], honest.labels)
    rejected(scene, forge(scene.bundles[N], synthetic=disguised), "not what its generator draws")


def test_a_better_panel_than_the_generator_makes_is_rejected(scene, forge) -> None:
    own, honest = scene.task.members[0].own, scene.bundles[N].panel
    chosen = [np.flatnonzero(own.labels == label)[n % 5] for n, label in enumerate(honest.labels)]
    polished = Samples(own.features[chosen], honest.labels)
    rejected(scene, forge(scene.bundles[N], panel=polished), "not what its generator draws")


def test_an_unbalanced_panel_is_rejected(scene, forge) -> None:
    honest = scene.bundles[N].panel
    short = Samples(honest.features[1:].copy(), honest.labels[1:].copy())
    rejected(scene, forge(scene.bundles[N], panel=short), "40 samples of each class")


def test_a_generator_that_no_longer_deserves_its_quality_is_rejected(scene, forge) -> None:
    bundle = scene.bundles[N]
    swapped = dict(bundle.generator)
    for name in ("decoder.0.weight", "spread.weight"):
        # The last two inputs are the classes: the generator now makes the one when asked for the other.
        swapped[name] = swapped[name].copy()
        swapped[name][:, -2:] = swapped[name][:, :-3:-1]
    state = ModelState(swapped)
    synthetic, panel = drawn_by(scene.task, state, bundle)
    forged = forge(bundle, generator=state, synthetic=synthetic, panel=panel, base=scene.shared)
    rejected(scene, forged, "are worth 0.01")


def test_a_generator_moved_too_far_is_rejected(scene, forge) -> None:
    base, own = scene.shared.generator, scene.bundles[N].generator
    # The encoder makes no sample, so only the distance can betray it.
    far = ModelState({k: base[k] + 200.0 * (own[k] - base[k]) if k.startswith("encoder") else own[k] for k in own})
    rejected(scene, forge(scene.bundles[N], generator=far, base=scene.shared), "generator moved")


def drawn_by(task, state: ModelState, bundle) -> tuple[Samples, Samples]:
    from cocogen.streams import Purpose

    drawn = []
    for purpose, part in ((Purpose.SYNTHETIC, bundle.synthetic), (Purpose.PANEL, bundle.panel)):
        rng = task.agreed.streams.get(purpose, 1, N)
        drawn.append(Samples(task.attester.generator.sample(state, part.labels, rng), part.labels))
    return drawn[0], drawn[1]


@pytest.mark.parametrize("metric", ["balanced-accuracy", "auroc"])
def test_a_round_is_measured_and_signed_in_the_metric_of_the_terms(scene, build, metric: str) -> None:
    task = build(metric=metric)
    evidence, plain = replace(scene, task=task).attest(), scene.attest()
    test = task.attester.test
    logits = task.attester.classifier.logits(evidence.aggregated.classifier, test.features).astype(np.float64)
    if metric == "auroc":
        expected = roc_auc_score(test.labels, logits[:, 1] - logits[:, 0])
    else:
        expected = balanced_accuracy_score(test.labels, logits.argmax(axis=1))
    found = evidence.evaluation
    assert found.value == pytest.approx(expected)
    assert found.bounds.low < found.value <= found.bounds.high
    assert evidence.aggregated.digest() == plain.aggregated.digest()
    more = {"low": found.bounds.low, "high": found.bounds.high} | ({"auroc": found.value} if metric == "auroc" else {})
    for document, without in zip(evidence.documents, plain.documents, strict=True):
        assert list(without["evaluation"]) == ["accuracy", "balanced_accuracy", "loss", "samples"]
        assert document == without | {"evaluation": without["evaluation"] | more}


@pytest.mark.parametrize("score", ["accuracy", "balanced-accuracy", "auroc"])
def test_a_coalition_is_worth_its_score_on_the_holdout(scene, score: str) -> None:
    attester = scene.task.attester
    worth = attester.coalition_utility([], [], [], scene.shared, score)(())
    logits = attester.classifier.logits(scene.shared.classifier, attester.holdout.features).astype(np.float64)
    labels, predicted = attester.holdout.labels, logits.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "balanced-accuracy": balanced_accuracy_score(labels, predicted),
        "auroc": roc_auc_score(labels, logits[:, 1] - logits[:, 0]),
    }
    assert worth == pytest.approx(expected[score])


def test_a_metric_that_the_test_fold_cannot_tell_is_refused_before_anything_is_trained(scene) -> None:
    """Of one class, or of three."""
    agreed = replace(scene.task.agreed, generates=False)
    agreed = replace(agreed, learning=agreed.learning.model_copy(update={"metric": "auroc"}))
    reserved = scene.task.attester.holdout, scene.task.attester.test

    def source(classes: int, keep: np.ndarray) -> SimpleNamespace:
        test = Samples(reserved[1].features[keep], reserved[1].labels[keep])
        counts = np.full((4, classes), 9)
        nobody = {"of_attester": lambda: Reserved(reserved[0], test), "registered": lambda n: None}
        return SimpleNamespace(shape=(30,), counts=counts, **nobody)

    with pytest.raises(LearningError, match=r"only class 1 is among the \d+ samples of the test fold"):
        Attester(agreed, source(2, reserved[1].labels == 1))
    with pytest.raises(ConfigurationError, match=r"learning\.metric"):
        Attester(agreed, source(3, reserved[1].labels >= 0))
    assert Attester(agreed, source(2, reserved[1].labels >= 0)).metric == "auroc"
