from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cocogen.errors import DatasetError, LearningError
from cocogen.evidence.local import Agreed, Assignment, Local, SharedModel
from cocogen.learning.generators.mixture import GaussianMixture
from cocogen.learning.models.states import average
from cocogen.learning.training.local import LocalWork, train_looped
from cocogen.learning.training.scaffold import Variate, shared_variate
from cocogen.streams import Purpose
from cocogen.terms.sections import Generation, Learning, Partition, Server

TERMS = bytes(range(32))


def sign(name: str, digest: bytes) -> bytes:
    return digest + name.encode().ljust(33, b"\0")[:33]


def play(task, shared, number: int = 1, raw: int = 24) -> list:
    return task.train(number, shared, [Assignment(int(k), raw) for k in task.registered], TERMS, sign)


def test_partition_is_described_as_it_is(scene) -> None:
    task = scene.task
    assert task.registered.tolist() == [90, 60, 40, 20]
    assert task.label_mix.shape == (4, 2)
    assert np.allclose(task.label_mix.sum(axis=1), 1.0)
    consortium = task.registered @ task.label_mix / task.registered.sum()
    assert np.allclose(task.heterogeneity, 0.5 * np.abs(task.label_mix - consortium).sum(axis=1))


def test_nobody_trains_on_the_test_fold_or_the_holdout(scene) -> None:
    task = scene.task
    rows = {row.tobytes() for member in task.members for row in member.own.features}
    assert len(rows) == task.registered.sum()
    assert not any(row.tobytes() in rows for row in task.attester.test.features)
    assert not any(row.tobytes() in rows for row in task.attester.holdout.features)


def test_same_seed_gives_the_same_bundles(scene, build) -> None:
    again = build()
    shared = again.pretrain()
    assert shared.digest() == scene.shared.digest()
    assert np.array_equal(again.measure_quality(shared), scene.quality)
    for one, other in zip(play(again, shared), play(scene.task, scene.shared), strict=True):
        assert one.digest() == other.digest()


def test_seed_split_and_round_change_what_is_drawn(scene, build) -> None:
    shared = scene.shared
    digests = {play(scene.task, shared, number)[0].manifest.classifier for number in (1, 2)}
    for task in (build(seed=4), build(split=1)):
        digests.add(play(task, shared)[0].manifest.classifier)
    assert len(digests) == 4


def test_initial_state_is_saved_and_loaded(scene, tmp_path: Path) -> None:
    state = scene.task.initial_state()
    state.save(tmp_path / "initial.npz")
    assert SharedModel.load(tmp_path / "initial.npz").digest() == state.digest()


def test_an_organization_alone_writes_the_same_bundle_up_to_rounding(scene) -> None:
    together = scene.bundles
    for n in range(4):
        assignments: list[Assignment | None] = [None] * 4
        assignments[n] = Assignment(int(scene.task.registered[n]), 24)
        bundles = scene.task.train(1, scene.shared, assignments, TERMS, sign)
        assert [b is None for b in bundles] == [m != n for m in range(4)]
        alone = bundles[n]
        assert alone.manifest.commitments == together[n].manifest.commitments
        assert alone.manifest.training.real == together[n].manifest.training.real
        assert np.array_equal(alone.synthetic.labels, together[n].synthetic.labels)
        assert np.allclose(alone.synthetic.features, together[n].synthetic.features, atol=2e-3)
        for name in alone.classifier:
            assert np.allclose(alone.classifier[name], together[n].classifier[name], atol=1e-3)


def test_organizations_may_start_from_different_models(scene) -> None:
    other = SharedModel(scene.task.initial_state().classifier, scene.task.initial_state().generator)
    bases = [scene.shared, other, scene.shared, scene.shared]
    bundles = play(scene.task, bases)
    assert bundles[1].manifest.base == other.digest()
    assert bundles[0].digest() == scene.bundles[0].digest()


def test_a_smaller_assignment_uses_a_drawn_subset(scene) -> None:
    first, again, later = (
        scene.task.train(number, scene.shared, [Assignment(30, 7), None, None, None], TERMS, sign)[0]
        for number in (1, 1, 2)
    )
    assert len(set(first.manifest.commitments)) == 30
    assert first.manifest.raw == len(first.synthetic.labels) == 7
    assert first.manifest.commitments == again.manifest.commitments
    assert set(first.manifest.commitments) != set(later.manifest.commitments)


def test_synthetic_samples_fill_the_deficit(scene) -> None:
    for n, bundle in enumerate(scene.bundles):
        real = scene.task.label_mix[n] * scene.task.registered[n]
        total = real + np.bincount(bundle.synthetic.labels, minlength=2)
        consortium = scene.task.registered @ scene.task.label_mix / scene.task.registered.sum()
        after = np.abs(total / total.sum() - consortium).max()
        assert after <= np.abs(scene.task.label_mix[n] - consortium).max() + 1 / total.sum()


def test_an_assignment_of_nothing_contributes_nothing(scene) -> None:
    bundles = scene.task.train(1, scene.shared, [Assignment(0, 0), None, None, None], TERMS, sign)
    assert bundles[0].classifier.digest() == scene.shared.classifier.digest()
    assert bundles[0].manifest.training.epoch_steps == (0, 0, 0)
    everyone = [bundles[0], *scene.bundles[1:]]
    known = {bundle.digest(): f"0x{bundle.organization}" for bundle in everyone}
    evidence = scene.attest(everyone, verify=lambda address, digest, _: known[digest] == address)
    assert not evidence.rejected
    assert (evidence.contributions[0].data, evidence.contributions[0].generated) == (0, 0)
    lonely = scene.attest([bundles[0], None, None, None], verify=lambda address, *_: address == "0xnorth")
    assert lonely.aggregated.digest() == scene.shared.digest()


@pytest.mark.parametrize("assignment", [Assignment(91, 0), Assignment(-1, 0), Assignment(10, -1)])
def test_impossible_assignments_are_refused(scene, assignment: Assignment) -> None:
    with pytest.raises(LearningError, match="north"):
        scene.task.train(1, scene.shared, [assignment, None, None, None], TERMS, sign)


def test_training_that_diverges_is_an_error(build) -> None:
    task = build(learning_rate=10.0)
    shared = task.initial_state()
    huge = {name: array * np.float32(1e20) for name, array in shared.classifier.items()}
    with pytest.raises(LearningError, match="diverged"):
        play(task, replace(shared, classifier=type(shared.classifier)(huge)))


def test_wrong_numbers_of_sizes_are_refused(build) -> None:
    with pytest.raises(LearningError, match="3 partition sizes for 4"):
        build(partition=Partition(sizes=(10, 10, 10)))
    with pytest.raises(DatasetError, match="samples"):
        build(partition=Partition(sizes=(400, 10, 10, 10)))


@pytest.mark.parametrize("kind", ["iid", "dirichlet"])
def test_sizes_are_equal_unless_stated(build, kind: str) -> None:
    task = build(partition=Partition(kind=kind))
    assert task.registered.max() - task.registered.min() <= 1
    assert task.registered.sum() + len(task.attester.test.labels) + len(task.attester.holdout.labels) == 569


def test_logistic_model_trains_and_is_attested(build, scene) -> None:
    task = build(model="logistic")
    shared = SharedModel(task.initial_state().classifier, scene.shared.generator)
    before = task.attester.evaluate(shared)
    bundles = play(task, shared)
    evidence = task.attester.attest(
        1, shared, bundles, ["0xa"] * 4, lambda *_: True, scene.quality,
        [caps_of(int(k)) for k in task.registered], TERMS,
    )  # fmt: skip
    assert not evidence.rejected
    assert evidence.evaluation.accuracy > max(0.85, before.accuracy)
    assert evidence.evaluation == task.attester.evaluate(evidence.aggregated)


def caps_of(local: int):
    from types import SimpleNamespace

    return SimpleNamespace(data_cap=local, generated_cap=60, compute_cap=0)


def test_federation_reaches_the_agreed_accuracy_above_training_alone(build) -> None:
    sizes = (105, 85, 70, 40)
    task = build(partition=Partition(alpha=0.4, sizes=sizes), local_epochs=5)
    shared = task.initial_state()
    quality = [1.0] * 4
    for number in range(1, 6):
        bundles = play(task, shared, number, raw=0)
        evidence = task.attester.attest(
            number, shared, bundles, ["0x"] * 4, lambda *_: True, quality,
            [caps_of(size) for size in sizes], TERMS,
        )  # fmt: skip
        assert not evidence.rejected
        shared = evidence.aggregated
    alone = [evaluation.accuracy for evaluation in task.train_alone(5)]
    assert evidence.evaluation.accuracy > 0.93
    assert evidence.evaluation.accuracy > np.mean(alone)


def test_generator_quality_is_far_above_chance_and_below_untrained(scene) -> None:
    untrained = scene.task.measure_quality(scene.task.initial_state())
    assert scene.quality.min() > 0.5
    assert np.all(scene.quality > untrained)
    assert np.all((untrained >= 0.01) & (scene.quality <= 1.0))


def test_progress_is_reported_to_the_end(scene) -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(description: str, done: int, total: int) -> None:
        seen.append((description, done, total))

    scene.task.train(1, scene.shared, [Assignment(20, 5), None, None, None], TERMS, sign, progress=progress)
    scene.attest(progress=progress)
    assert all(0 <= done <= total for _, done, total in seen)
    assert [entry for entry in seen if entry[0].startswith("round 1")] == [
        *(("round 1: training generators", done, 3) for done in (0, 1)),
        *(("round 1: training classifiers", done, 3) for done in (1, 2)),
        *(("round 1: signing evidence", done, 3) for done in (2, 3)),
    ]
    assert {description for description, done, total in seen if done == total} >= {
        "round 1: signing evidence",
        "verifying evidence",
    }


def test_threads_are_given_back(scene) -> None:
    before = torch.get_num_threads()
    scene.task.attester.evaluate(scene.shared)
    assert torch.get_num_threads() == before


def test_secret_salts_hide_the_commitments_of_a_seed(scene, build) -> None:
    task, other = scene.task, build(salts=[b"secret"] * 4)
    bundle = other.train(1, scene.shared, [Assignment(20, 0), None, None, None], TERMS, sign)[0]
    plain = task.train(1, scene.shared, [Assignment(20, 0), None, None, None], TERMS, sign)[0]
    assert not set(bundle.manifest.commitments) & set(plain.manifest.commitments)
    assert bundle.manifest.classifier == plain.manifest.classifier


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_the_servers_optimizer_steps_from_the_shared_model_and_is_part_of_the_next(build, optimizer: str) -> None:
    task = build(server=Server(optimizer=optimizer, learning_rate=0.5), proximal=0.1)
    plain = build(proximal=0.1)
    shared = task.initial_state()
    bundles = play(task, shared, raw=0)
    quality = np.ones(4)
    attested = [attest(each, shared, bundles, quality) for each in (task, plain)]
    mean = attested[1].aggregated
    expected = task.attester.aggregation.step(shared.classifier, mean.classifier, shared.server)
    assert attested[0].aggregated.classifier.digest() == expected[0].digest() != mean.classifier.digest()
    assert attested[0].aggregated.server.digest() == expected[1].digest()
    assert attested[0].aggregated.generator.digest() == mean.generator.digest()
    assert [m.gain for m in attested[0].measurements] == [m.gain for m in attested[1].measurements]
    nobody = attest(task, attested[0].aggregated, [None] * 4, quality)
    assert nobody.aggregated.digest() == attested[0].aggregated.digest()


def test_training_together_takes_the_servers_steps(build) -> None:
    losses = {build(server=Server(optimizer=kind)).train_together(3).loss for kind in ("average", "momentum", "adam")}
    assert len(losses) == 3


def with_scaffold(build, **learning):
    return build(scaffold=True, momentum=0.0, learning_rate=0.2, **learning)


def renewed(task, shared, variates: list[Variate], bundles: list, evidence) -> list[Variate]:
    return [
        variate
        if bundle is None or given is None
        else variate.renewed(
            shared, bundle.classifier, len(bundle.manifest.training.real), 0.2, given.data + given.generated
        )
        for variate, bundle, given in zip(variates, bundles, evidence.contributions, strict=True)
    ]


def test_scaffold_rounds_are_attested_and_average_the_variates_of_all(build) -> None:
    task = with_scaffold(build)
    shared, variates, quality = task.initial_state(), [Variate()] * 4, np.ones(4)
    for number in (1, 2):
        assignments = [Assignment(int(k), 0) for k in task.registered]
        bundles = task.train(number, shared, assignments, TERMS, sign, variates=variates)
        absent = [None, *bundles[1:]] if number == 2 else bundles
        evidence = attest(task, shared, absent, quality, number, variates)
        assert not evidence.rejected
        variates = renewed(task, shared, variates, absent, evidence)
        shared = evidence.aggregated
        mean = average([v.state for v in variates], [v.weight for v in variates])
        assert shared_variate(shared).digest() == mean.digest()
    assert all(variate.weight for variate in variates)
    nobody = attest(task, shared, [None] * 4, quality, 3, variates)
    assert nobody.aggregated.digest() == shared.digest()


def test_scaffold_corrects_what_fedavg_does_not(build) -> None:
    task, plain = with_scaffold(build), build(momentum=0.0, learning_rate=0.2)
    shared = task.initial_state()
    first = play(task, shared, raw=0)
    fedavg = play(plain, shared, raw=0)
    assert [b.classifier.digest() for b in first] == [b.classifier.digest() for b in fedavg]
    assert [b.manifest.control_variate is None for b in first + fedavg] == [False] * 4 + [True] * 4
    quality = np.ones(4)
    evidence = attest(task, shared, first, quality)
    without = attest(plain, shared, fedavg, quality)
    assert evidence.aggregated.classifier.digest() == without.aggregated.classifier.digest()
    assert not without.aggregated.server
    variates = renewed(task, shared, [Variate()] * 4, first, evidence)
    assignments = [Assignment(int(k), 0) for k in task.registered]
    for n, bundle in enumerate(task.train(2, evidence.aggregated, assignments, TERMS, sign, variates=variates)):
        work = LocalWork(
            evidence.aggregated.classifier,
            task.members[n].own.features,
            task.members[n].own.labels,
            task.agreed.streams.get(Purpose.CLASSIFIER_BATCHES, 2, n),
            correction=variates[n].correction(evidence.aggregated),
        )
        expected = train_looped(task.attester.classifier, [work], task.agreed.schedule)[0].state
        assert bundle.classifier.distance(expected) < 1e-4


def test_evidence_that_was_corrected_by_another_variate_is_rejected(build) -> None:
    task, quality = with_scaffold(build), np.ones(4)
    shared = task.initial_state()
    bundles = play(task, shared, raw=0)
    evidence = attest(task, shared, bundles, quality)
    variates = renewed(task, shared, [Variate()] * 4, bundles, evidence)
    assignments = [Assignment(int(k), 0) for k in task.registered]
    wrong = [variates[1], *variates[1:]]
    later = task.train(2, evidence.aggregated, assignments, TERMS, sign, variates=wrong)
    judged = attest(task, evidence.aggregated, later, quality, 2, variates)
    assert list(judged.rejected) == ["north"]
    assert "control variate" in judged.rejected["north"]
    kept = [variates[0], *renewed(task, evidence.aggregated, variates, later, judged)[1:]]
    mean = average([v.state for v in kept], [v.weight for v in kept])
    assert shared_variate(judged.aggregated).digest() == mean.digest()
    plain = build(momentum=0.0, learning_rate=0.2)
    assert set(attest(plain, shared, bundles, quality).rejected) == set(task.agreed.names)


def test_training_together_with_scaffold_is_the_rounds_without_evidence(build) -> None:
    task, quality = with_scaffold(build), np.ones(4)
    shared, variates = task.initial_state(), [Variate()] * 4
    for number in (1, 2, 3):
        assignments = [Assignment(int(k), 0) for k in task.registered]
        bundles = task.train(number, shared, assignments, TERMS, sign, variates=variates)
        evidence = attest(task, shared, bundles, quality, number, variates)
        variates, shared = renewed(task, shared, variates, bundles, evidence), evidence.aggregated
    assert task.train_together(3).loss == pytest.approx(evidence.evaluation.loss, rel=1e-5)
    assert build(momentum=0.0, learning_rate=0.2).train_together(3).loss != pytest.approx(
        evidence.evaluation.loss, rel=1e-4
    )


def test_a_generator_handed_in_takes_the_place_of_that_of_the_terms(scene) -> None:
    mixture = GaussianMixture(shape=(30,), classes=2)
    learning = Learning(dataset="diagnostic", local_epochs=1, partition=Partition(alpha=1.0, sizes=(90, 60, 40, 20)))
    generation = Generation(generator="cvae", pretraining_rounds=1, panel=8)
    task = Local(Agreed(learning, generation, scene.task.agreed.names, 3, generator=mixture))
    shared = task.pretrain()
    assert set(shared.generator) == set(mixture.initial_state(np.random.default_rng(0)))
    bundles = play(task, shared)
    assert not attest(task, shared, bundles, np.ones(4)).rejected
    assert all(set(bundle.generator) == set(shared.generator) for bundle in bundles)


def attest(task, shared, bundles: list, quality: np.ndarray, number: int = 1, variates: list[Variate] | None = None):
    caps = [SimpleNamespace(data_cap=90, generated_cap=60, compute_cap=0)] * 4
    addresses = [f"0x{n}" for n in range(4)]
    return task.attester.attest(
        number, shared, bundles, addresses, lambda *_: True, quality, caps, TERMS, variates=variates
    )


def test_training_together_is_among_the_honest_and_neither_clips_nor_trims(build) -> None:
    robust = build(aggregation="trimmed-mean", trim=0.3, clip_norm=0.5)
    assert robust.train_together(2) == build().train_together(2)


@pytest.mark.parametrize("metric", ["balanced-accuracy", "auroc"])
def test_training_together_and_alone_is_judged_in_the_metric_of_the_terms(build, metric: str) -> None:
    task, plain = build(metric=metric), build()
    own = [task.train_together(1), *task.train_alone(1)]
    other = [plain.train_together(1), *plain.train_alone(1)]
    assert [found.metric for found in own] == [metric] * 5
    assert [found.loss for found in own] == [found.loss for found in other]
    assert [found.value for found in own] != [found.value for found in other]
