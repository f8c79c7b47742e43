"""Generators other than the default, and generators that each organization trains alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cocogen.data.samples import Samples
from cocogen.errors import LearningError
from cocogen.evidence.local import Agreed, Assignment, Local, SharedModel
from cocogen.ledger import Member
from cocogen.terms.sections import Generation, Learning, Partition

NAMES = ("north", "harbor", "meadow", "lakeview")
TERMS = bytes(range(32))


def sign(name: str, digest: bytes) -> bytes:
    return digest + name.encode().ljust(33, b"\0")[:33]


def verify(address: str, digest: bytes, signature: bytes) -> bool:
    return sign(address.removeprefix("0x"), digest) == signature


def build(alpha: float = 1.0, **generation) -> Local:
    partition = Partition(alpha=alpha, sizes=(90, 60, 40, 20))
    learning = Learning(dataset="diagnostic", local_epochs=2, partition=partition)
    terms = Generation(**{"pretraining_rounds": 3, "panel": 40, "maximum": 60, **generation})
    return Local(Agreed(learning, terms, NAMES, 3))


def play(task: Local, shared: SharedModel, number: int = 1, raw: int = 24) -> list:
    return task.train(number, shared, [Assignment(int(k), raw) for k in task.registered], TERMS, sign)


def attest(task: Local, shared: SharedModel, bundles: list, quality: np.ndarray):
    caps = [Member(n, f"0x{n}", int(k), 60, 0, 1.0, -float(k)) for n, k in zip(NAMES, task.registered, strict=True)]
    return task.attester.attest(1, shared, bundles, [f"0x{name}" for name in NAMES], verify, quality, caps, TERMS)


@pytest.fixture(scope="module")
def alone() -> Local:
    """Each trains its own mixture; lakeview and meadow hold one class each."""
    return build(alpha=0.02, generator="mixture", training="local")


def held(task: Local) -> list[set[int]]:
    return [set(np.flatnonzero(mix)) for mix in task.label_mix]


@pytest.mark.parametrize("generation", [{"generator": "mixture"}, {"generator": "mixture", "training": "local"},
                                        {"training": "local"}])  # fmt: skip
def test_a_round_is_attested_whatever_the_generator(generation: dict[str, str]) -> None:
    task = build(**generation)
    shared = task.pretrain()
    quality = task.measure_quality(shared)
    evidence = attest(task, shared, play(task, shared), quality)
    assert evidence.rejected == {}
    assert all(measured is not None and 0 < measured.raw <= 24 for measured in evidence.measurements)
    assert np.array_equal(evidence.quality_next, [measured.quality for measured in evidence.measurements])


def test_a_shared_mixture_knows_the_classes_that_an_organization_lacks() -> None:
    task = build(alpha=0.02, generator="mixture")
    assert {0} in held(task)
    shared = task.pretrain()
    assert task.measure_quality(shared).min() > 0.5
    bundles = play(task, shared)
    assert [len(bundle.synthetic.labels) for bundle in bundles] == [24] * 4
    evidence = attest(task, shared, bundles, task.measure_quality(shared))
    assert evidence.rejected == {}
    for name, array in evidence.aggregated.generator.items():
        assert np.allclose(array, shared.generator[name], atol=1e-5), "all data are in use, as in pretraining"
    assert bundles[0].generator.digest() != shared.generator.digest()


def test_alone_an_organization_generates_only_classes_that_it_holds(alone: Local) -> None:
    shared = alone.pretrain()
    bundles = play(alone, shared)
    assert any(len(classes) == 1 for classes in held(alone))
    for classes, bundle in zip(held(alone), bundles, strict=True):
        assert set(bundle.synthetic.labels.tolist()) <= classes
        assert bundle.manifest.raw == len(bundle.synthetic.labels) <= 24
    assert min(bundle.manifest.raw for bundle in bundles) == 0


def test_alone_the_shared_generator_stays_untrained(alone: Local) -> None:
    shared = alone.pretrain()
    assert shared.digest() == alone.initial_state().digest()
    evidence = attest(alone, shared, play(alone, shared), alone.measure_quality(shared))
    assert evidence.aggregated.generator.digest() == shared.generator.digest()
    assert evidence.aggregated.classifier.digest() != shared.classifier.digest()


def test_alone_the_worth_of_a_generator_is_that_of_the_classes_that_it_has_seen(alone: Local) -> None:
    shared = alone.pretrain()
    quality = alone.measure_quality(shared)
    single = [n for n, classes in enumerate(held(alone)) if len(classes) == 1]
    best = max(single, key=lambda n: quality[n])
    assert quality[best] > 0.8
    panel = play(alone, shared)[best].panel
    assert alone.attester.meter.measure(panel.features, panel.labels) < 0.6


def test_alone_nobody_learns_from_the_others(alone: Local) -> None:
    shared = alone.pretrain()
    states = [bundle.generator for bundle in play(alone, shared)]
    for classes, state in zip(held(alone), states, strict=True):
        assert set(np.flatnonzero(state["weight"][:, 0])) == classes


def test_alone_one_process_for_each_organization_gives_the_same_bundles(alone: Local) -> None:
    shared = alone.pretrain()
    for n, together in enumerate(play(alone, shared)):
        other = build(alpha=0.02, generator="mixture", training="local")
        assignments: list[Assignment | None] = [None] * 4
        assignments[n] = Assignment(int(other.registered[n]), 24)
        bundle = other.train(1, other.initial_state(), assignments, TERMS, sign)[n]
        assert bundle.manifest.generator == together.manifest.generator
        assert bundle.manifest.synthetic == together.manifest.synthetic


def test_alone_every_round_starts_from_the_own_pretrained_generator() -> None:
    task = build(training="local", pretraining_rounds=4)
    shared = task.pretrain()
    first = play(task, shared, 1)[0].generator
    distance = shared.generator.distance(first)
    assert shared.generator.distance(play(task, shared, 2)[0].generator) == pytest.approx(distance, rel=0.05)
    short = build(training="local", pretraining_rounds=1)
    assert shared.generator.distance(play(short, shared, 1)[0].generator) < 0.8 * distance


def test_progress_of_training_alone_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    build(training="local").pretrain(lambda _, done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_scaled_generator_update_of_the_mixture_is_rejected() -> None:
    task = build(generator="mixture")
    shared = task.pretrain()
    bundles, base = play(task, shared), shared.generator
    own, streams = bundles[1], task.agreed.streams
    scaled = type(base)({name: base[name] + np.float32(4.0) * (own.generator[name] - base[name]) for name in base})
    synthetic, panel = (
        Samples(task.attester.generator.sample(scaled, part.labels, streams.get(purpose, 1, 1)), part.labels)
        for purpose, part in ((9, own.synthetic), (10, own.panel))
    )
    manifest = own.manifest.model_copy(
        update={
            "generator": scaled.digest(),
            "generator_update_norm": scaled.distance(base),
            "synthetic": synthetic.digest(),
            "panel": panel.digest(),
        }
    )
    forged = replace(own, manifest=manifest, generator=scaled, synthetic=synthetic, panel=panel)
    forged = replace(forged, signature=sign("harbor", forged.digest()))
    evidence = attest(task, shared, [bundles[0], forged, *bundles[2:]], np.full(4, 0.2))
    assert set(evidence.rejected) == {"harbor"}
    assert "generator moved inf times" in evidence.rejected["harbor"]


def test_memorization_is_reported_for_each_organization_that_generated() -> None:
    task = build(generator="mixture")
    bundles = play(task, task.pretrain())
    bundles[2] = None
    bundles[3] = replace(bundles[3], synthetic=Samples(bundles[3].synthetic.features[:0], np.zeros(0, dtype=np.int64)))
    honest = task.memorization(bundles)
    assert set(honest) == {"north", "harbor"}
    assert not any(found.flagged for found in honest.values())
    own = task.members[0].own
    stolen = replace(bundles[0], synthetic=Samples(own.features[:24], own.labels[:24]))
    found = task.memorization([stolen, *bundles[1:]])
    assert found["north"].flagged
    assert not found["harbor"].flagged


def test_theta_tells_a_trained_generator_from_an_untrained_one() -> None:
    task = build(generator="mixture")
    trained, untrained = task.pretrain(), task.initial_state()
    measured = task.measure_theta(trained, rounds=2)
    assert measured.states == 3
    assert 0 < measured.theta < 0.8 * task.measure_theta(untrained, rounds=2).theta


def test_theta_of_generators_trained_alone_is_refused(alone: Local) -> None:
    with pytest.raises(LearningError, match="one generator for all"):
        alone.measure_theta(alone.initial_state())
