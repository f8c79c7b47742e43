"""A recorded round becomes a game only if its evidence is what the ledger recorded."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.contribution import exact_shapley, leave_one_out
from cocogen.errors import LearningError, WorkspaceError
from cocogen.evidence.local import Assignment
from cocogen.learning.models.states import average
from cocogen.ledger import RoundOutcome
from cocogen.rounds.attested import Attested
from cocogen.rounds.recorded import recorded_round
from cocogen.rounds.workspace import Workspace
from cocogen.terms.sections import Server

NAMES = ("north", "harbor", "meadow", "lakeview")
TERMS = bytes(range(32))


class Recorded:
    """What a round loop knows of one recorded round, without a chain."""

    def __init__(self, scene, root, present=(True,) * 4) -> None:
        self.scene, self.task, self.workspace = scene, scene.task, Workspace(root)
        self.resolved = SimpleNamespace(names=NAMES)
        bundles = [bundle if there else None for bundle, there in zip(scene.bundles, present, strict=True)]
        self.evidence = scene.attest(bundles)
        for name, bundle in zip(NAMES, bundles, strict=True):
            if bundle is not None:
                bundle.save(self.workspace.bundle(1, name))
        self.write(
            Attested(
                1,
                self.evidence.contributions,
                (None,) * 4,
                self.evidence.rejected,
                tuple(self.evidence.quality_next),
                asdict(self.evidence.evaluation),
                self.evidence.documents,
            )
        )
        outcome = RoundOutcome(1, "settled", (True,) * 4, self.evidence.contributions, (0,) * 4)
        later = RoundOutcome(2, "open", (True,) * 4, (None,) * 4, (0,) * 4)
        self.ledger = SimpleNamespace(outcomes=lambda: (outcome, later))

    def write(self, attested: Attested) -> None:
        self.workspace.write_json(self.workspace.attested(1), attested.to_dict())

    def attested(self, number: int) -> Attested:
        path = self.workspace.attested(number)
        return Attested.from_dict(self.workspace.read_json(path), file=path)

    def base_models(self, number: int):
        assert number == 1
        shared = self.scene.shared
        return shared if isinstance(shared, list) else [shared] * 4


@pytest.fixture
def loop(scene, tmp_path) -> Recorded:
    return Recorded(scene, tmp_path / "clinics")


def test_everybody_together_is_the_recorded_model_and_nobody_the_shared_one(loop, scene) -> None:
    played = recorded_round(loop)
    assert (played.number, played.players, played.samples) == (1, (0, 1, 2, 3), len(scene.task.attester.holdout.labels))
    assert played.game(range(4)) == scene.task.coalition_utility(
        [loop.evidence.aggregated], [scene.shared], [1], scene.shared
    )((0,))
    assert played.game(()) == scene.task.coalition_utility([], [], [], scene.shared)(())


def test_leave_one_out_of_the_loss_is_the_gain_of_the_evidence(loop) -> None:
    values = leave_one_out(recorded_round(loop).game).values
    assert values.tolist() == [measurement.gain for measurement in loop.evidence.measurements]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_coalition_is_worth_the_step_that_the_server_takes_with_it_alone(
    scene, build, signer, tmp_path, optimizer: str
) -> None:
    """From what the server remembers, also where an organization missed the round before."""
    task = build(server=Server(optimizer=optimizer, learning_rate=0.5))
    newer = replace(scene, task=task).attest().aggregated
    assert newer.server
    bases = [scene.shared, newer, newer, newer]
    assignments = [Assignment(int(local), 24) for local in task.registered]
    bundles = list(task.train(1, bases, assignments, TERMS, signer))
    loop = Recorded(replace(scene, task=task, shared=bases, bundles=bundles), tmp_path)
    assert not loop.evidence.rejected
    game, contributions = recorded_round(loop).game, loop.evidence.contributions

    def worth(state) -> float:
        return scene.task.coalition_utility([replace(newer, classifier=state)], [newer], [1], scene.shared)((0,))

    assert game(range(4)) == worth(loop.evidence.aggregated.classifier)
    assert game(()) == worth(newer.classifier)
    for coalition in [(0,), (1, 3)]:
        mean = average(
            [bundles[n].classifier for n in coalition],
            [contributions[n].data + contributions[n].generated for n in coalition],
        )
        stepped, _ = task.attester.server.step(newer.classifier, mean, newer.server)
        assert game(coalition) == worth(stepped) != worth(mean)
    assert exact_shapley(game).values.sum() == pytest.approx(game.total)


def test_what_another_optimizer_remembers_has_no_worth(scene, build) -> None:
    remembering = replace(scene, task=build(server=Server(optimizer="momentum"))).attest().aggregated
    utility = build(server=Server(optimizer="adam")).coalition_utility([scene.shared], [remembering], [1], remembering)
    with pytest.raises(LearningError, match="is not one of 'adam'"):
        utility((0,))


def test_accuracy_counts_cases(loop) -> None:
    played = recorded_round(loop, score="accuracy")
    cases = played.game(range(4)) * played.samples
    assert cases == pytest.approx(round(cases))
    assert exact_shapley(played.game).values.sum() == pytest.approx(played.game.total)


def test_who_did_not_contribute_is_no_player(scene, tmp_path) -> None:
    loop = Recorded(scene, tmp_path, present=(True, False, True, True))
    played = recorded_round(loop, 1)
    assert played.players == (0, 2, 3)
    assert played.contributions[1] is None
    assert leave_one_out(played.game).values.tolist() == [loop.evidence.measurements[n].gain for n in (0, 2, 3)]


def test_a_round_in_which_nothing_was_accepted_divides_nothing(scene, tmp_path) -> None:
    with pytest.raises(WorkspaceError, match="no contribution to round 1"):
        recorded_round(Recorded(scene, tmp_path, present=(False,) * 4))


@pytest.mark.parametrize("number", [2, 7])
def test_a_round_that_was_not_attested_is_an_error_that_names_those_that_were(loop, number: int) -> None:
    with pytest.raises(WorkspaceError, match=f"round {number} .* has not been attested") as caught:
        recorded_round(loop, number)
    assert "rounds 1 " in caught.value.hint


def test_a_workspace_without_attested_rounds_is_an_error(loop) -> None:
    loop.workspace.attested(1).unlink()
    with pytest.raises(WorkspaceError, match="no round of"):
        recorded_round(loop)


def test_a_bundle_that_is_gone_is_an_error_that_names_the_file(loop) -> None:
    loop.workspace.bundle(1, "meadow").unlink()
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle is not there"):
        recorded_round(loop)


def test_another_bundle_in_its_place_is_an_error(loop) -> None:
    shutil.copy(loop.workspace.bundle(1, "north"), loop.workspace.bundle(1, "meadow"))
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
        recorded_round(loop)


@pytest.mark.parametrize("part", ["classifier", "generator"])
def test_other_arrays_under_the_same_manifest_are_an_error(loop, scene, part: str) -> None:
    forged = replace(scene.bundles[2], **{part: getattr(scene.bundles[0], part)})
    forged.save(loop.workspace.bundle(1, "meadow"))
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
        recorded_round(loop)


def test_an_attestation_that_is_not_what_the_ledger_recorded_is_an_error(loop) -> None:
    attested = loop.attested(1)
    documents = list(attested.documents)
    documents[3] = {**documents[3], "measurement": {**documents[3]["measurement"], "data": 19}}
    loop.write(replace(attested, documents=tuple(documents)))
    with pytest.raises(WorkspaceError, match="evidence of lakeview is not what was recorded"):
        recorded_round(loop)
    loop.write(replace(attested, documents=(None, *attested.documents[1:])))
    with pytest.raises(WorkspaceError, match="evidence of north"):
        recorded_round(loop)


def test_the_robust_aggregation_of_the_terms_is_used(scene, build) -> None:
    updates = [scene.shared.__class__(b.classifier, b.generator) for b in scene.bundles]
    plain, robust, clipped = (
        build(**terms).coalition_utility(updates, [scene.shared] * 4, [1, 2, 3, 4], scene.shared)((0, 1, 2, 3))
        for terms in ({}, {"aggregation": "trimmed-mean", "trim": 0.3}, {"clip_norm": 0.5})
    )
    assert len({plain, robust, clipped}) == 3
    assert np.isfinite([plain, robust, clipped]).all()
