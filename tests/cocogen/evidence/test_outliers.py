"""Who stands out from the others: the reference distance, and the larger of two cosines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cocogen.evidence.checks import Expectation
from cocogen.evidence.outliers import UPDATE_FACTOR
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Schedule

N = 1


@pytest.fixture(scope="module")
def expectations(scene) -> list[Expectation]:
    """What is expected of each organization; distances and directions need only base, round and schedule."""
    task = scene.task
    return [
        Expectation(
            organization=name,
            address=f"0x{n}",
            round=1,
            terms_hash=bytes(32),
            registered=int(task.registered[n]),
            maximum=60,
            base=scene.shared,
            inputs=30,
            classes=2,
            panel=8,
            schedule=task.agreed.schedule,
        )
        for n, name in enumerate(task.agreed.names)
    ]


def along(base: ModelState, direction: ModelState, factor: float) -> ModelState:
    """``base`` moved by ``factor`` times the way from it to ``direction``."""
    return ModelState({name: base[name] + np.float32(factor) * (direction[name] - base[name]) for name in base})


def movements(scene, expectations, classifiers: list[ModelState]):
    bundles = {
        n: replace(bundle, classifier=state)
        for n, (bundle, state) in enumerate(zip(scene.bundles, classifiers, strict=True))
    }
    return scene.task.attester.comparison.movements(bundles, expectations)


@pytest.fixture
def own(scene, expectations) -> ModelState:
    """Where the attester's own training leads."""
    comparison = scene.task.attester.comparison
    return comparison._own_updates(expectations)[scene.shared.digest()].classifier


def test_agreeing_with_the_peers_or_with_the_attester_is_enough(scene, expectations, own) -> None:
    base = scene.shared.classifier
    against = along(base, own, -1.0)
    with_peers = movements(scene, expectations, [against] * 4)
    assert all(movement.cosine == pytest.approx(1.0) for movement in with_peers.values())
    with_attester = movements(scene, expectations, [against, own, against, against])
    assert with_attester[N].cosine == pytest.approx(1.0)
    with_nobody = movements(scene, expectations, [own, against, own, own])
    assert with_nobody[N].cosine == pytest.approx(-1.0)
    assert with_nobody[N].harm != 0.0
    assert with_peers[N].harm == 0.0


def test_a_reference_of_fewer_steps_is_scaled_up_to_those_under_test(scene, expectations, own) -> None:
    base, attester = scene.shared.classifier, scene.task.attester
    steps = [len(bundle.manifest.training.real) for bundle in scene.bundles]
    taken = attester.comparison._own_updates(expectations)[scene.shared.digest()].steps
    assert steps[0] > steps[3]
    longest = max(range(4), key=lambda n: steps[n])
    assert steps[longest] > taken
    still = [base] * 4
    still[longest] = along(base, own, 1.0)
    found = movements(scene, expectations, still)
    assert found[longest].ratio == pytest.approx(taken / steps[longest])
    shortest = min(range(4), key=lambda n: steps[n])
    still = [base] * 4
    still[shortest] = along(base, own, 1.0)
    assert movements(scene, expectations, still)[shortest].ratio == pytest.approx(min(1.0, taken / steps[shortest]))


def test_the_median_of_the_peers_is_the_reference_where_it_is_larger(scene, expectations, own) -> None:
    base = scene.shared.classifier
    steps = [len(bundle.manifest.training.real) for bundle in scene.bundles]
    states = [along(base, own, factor) for factor in (30.0, 90.0, 30.0, 30.0)]
    expected = sorted(max(1.0, steps[N] / steps[n]) for n in (0, 2, 3))[1]
    assert movements(scene, expectations, states)[N].ratio == pytest.approx(3.0 / expected, rel=1e-5)
    assert movements(scene, expectations, [base, along(base, own, 90.0), base, base])[N].ratio > UPDATE_FACTOR


def test_a_schedule_of_the_terms_is_that_of_the_reference(scene, expectations) -> None:
    comparison = scene.task.attester.comparison
    short = [replace(e, schedule=Schedule(1, e.schedule.batch_size, e.schedule.learning_rate)) for e in expectations]
    long = comparison._own_updates(expectations)[scene.shared.digest()]
    assert comparison._own_updates(short)[scene.shared.digest()].steps < long.steps
