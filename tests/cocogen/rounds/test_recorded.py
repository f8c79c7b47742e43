"""A recorded round becomes a game only if its evidence is what the ledger recorded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.contribution import exact_shapley, leave_one_out
from cocogen.errors import LearningError, WorkspaceError
from cocogen.evidence.member import Assignment
from cocogen.files import evidence_hash, measured_quality
from cocogen.learning.models.states import average
from cocogen.ledger import RoundOutcome
from cocogen.rounds import recorded
from cocogen.rounds.attested import Attested
from cocogen.rounds.history import History
from cocogen.rounds.recorded import RecordedRound
from cocogen.rounds.workspace import Workspace
from cocogen.terms.sections import Server

NAMES = ("north", "harbor", "meadow", "lakeview")
TERMS = bytes(range(32))


class Recorded(History):
    """One recorded round, without a chain and without the files of its first models."""

    def __init__(self, scene, root, present=(True,) * 4) -> None:
        self.scene, self.attester = scene, scene.task.attester
        bundles = [bundle if there else None for bundle, there in zip(scene.bundles, present, strict=True)]
        self.evidence = scene.attest(bundles)
        outcome = RoundOutcome(1, "settled", (True,) * 4, self.evidence.contributions, (0,) * 4)
        later = RoundOutcome(2, "open", (True,) * 4, (None,) * 4, (0,) * 4)
        ledger = SimpleNamespace(outcomes=lambda: (outcome, later), decoded=SimpleNamespace(terms_hash=TERMS))
        super().__init__(SimpleNamespace(names=NAMES, quality=scene.quality.copy()), ledger, Workspace(root))
        for name, bundle in zip(NAMES, bundles, strict=True):
            if bundle is not None:
                bundle.save(self.workspace.bundle(1, name))
        self.write(
            Attested(
                1,
                self.evidence.contributions,
                (None,) * 4,
                self.evidence.rejected,
                measured_quality(self.evidence.quality_next),
                self.evidence.evaluation.to_dict(),
                self.evidence.documents,
            )
        )

    def write(self, attested: Attested) -> None:
        self.workspace.write_json(self.workspace.attested(1), attested.to_dict())

    def base_models(self, number: int, organizations=None):
        assert (number, organizations) == (1, None)
        shared = self.scene.shared
        return shared if isinstance(shared, list) else [shared] * 4


def recorded_round(history: Recorded, *arguments, **options) -> RecordedRound:
    return recorded.recorded_round(history, history.attester, *arguments, **options)


@pytest.fixture
def history(scene, tmp_path) -> Recorded:
    return Recorded(scene, tmp_path / "clinics")


def test_everybody_together_is_the_recorded_model_and_nobody_the_shared_one(history, scene) -> None:
    played = recorded_round(history)
    assert (played.number, played.players, played.samples) == (1, (0, 1, 2, 3), len(scene.task.attester.holdout.labels))
    assert played.game(range(4)) == scene.task.attester.coalition_utility(
        [history.evidence.aggregated], [scene.shared], [1], scene.shared
    )((0,))
    assert played.game(()) == scene.task.attester.coalition_utility([], [], [], scene.shared)(())


def test_leave_one_out_of_the_loss_is_the_gain_of_the_evidence(history) -> None:
    values = leave_one_out(recorded_round(history).game).values
    assert values.tolist() == [measurement.gain for measurement in history.evidence.measurements]


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
    history = Recorded(replace(scene, task=task, shared=bases, bundles=bundles), tmp_path)
    assert not history.evidence.rejected
    game, contributions = recorded_round(history).game, history.evidence.contributions

    def worth(state) -> float:
        return scene.task.attester.coalition_utility([replace(newer, classifier=state)], [newer], [1], scene.shared)(
            (0,)
        )

    assert game(range(4)) == worth(history.evidence.aggregated.classifier)
    assert game(()) == worth(newer.classifier)
    for coalition in [(0,), (1, 3)]:
        mean = average(
            [bundles[n].classifier for n in coalition],
            [contributions[n].data + contributions[n].generated for n in coalition],
        )
        stepped, _ = task.attester.aggregation.step(newer.classifier, mean, newer.server)
        assert game(coalition) == worth(stepped) != worth(mean)
    assert exact_shapley(game).values.sum() == pytest.approx(game.total)


def test_what_another_optimizer_remembers_has_no_worth(scene, build) -> None:
    remembering = replace(scene, task=build(server=Server(optimizer="momentum"))).attest().aggregated
    utility = build(server=Server(optimizer="adam")).attester.coalition_utility(
        [scene.shared], [remembering], [1], remembering
    )
    with pytest.raises(LearningError, match="is not one of 'adam'"):
        utility((0,))


def test_accuracy_counts_cases(history) -> None:
    played = recorded_round(history, score="accuracy")
    cases = played.game(range(4)) * played.samples
    assert cases == pytest.approx(round(cases))
    assert exact_shapley(played.game).values.sum() == pytest.approx(played.game.total)


def test_who_did_not_contribute_is_no_player(scene, tmp_path) -> None:
    history = Recorded(scene, tmp_path, present=(True, False, True, True))
    played = recorded_round(history, 1)
    assert played.players == (0, 2, 3)
    assert played.contributions[1] is None
    assert leave_one_out(played.game).values.tolist() == [history.evidence.measurements[n].gain for n in (0, 2, 3)]


def test_a_round_in_which_nothing_was_accepted_divides_nothing(scene, tmp_path) -> None:
    with pytest.raises(WorkspaceError, match="no contribution to round 1"):
        recorded_round(Recorded(scene, tmp_path, present=(False,) * 4))


@pytest.mark.parametrize("number", [2, 7])
def test_a_round_that_was_not_attested_is_an_error_that_names_those_that_were(history, number: int) -> None:
    with pytest.raises(WorkspaceError, match=f"round {number} .* has not been attested") as caught:
        recorded_round(history, number)
    assert "rounds 1 " in caught.value.hint


def test_a_workspace_without_attested_rounds_is_an_error(history) -> None:
    history.workspace.attested(1).unlink()
    with pytest.raises(WorkspaceError, match="no round of"):
        recorded_round(history)


def test_a_bundle_that_is_gone_is_an_error_that_names_the_file(history) -> None:
    history.workspace.bundle(1, "meadow").unlink()
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle is not there"):
        recorded_round(history)


def test_another_bundle_in_its_place_is_an_error(history) -> None:
    shutil.copy(history.workspace.bundle(1, "north"), history.workspace.bundle(1, "meadow"))
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
        recorded_round(history)


@pytest.mark.parametrize("part", ["classifier", "generator"])
def test_other_arrays_under_the_same_manifest_are_an_error(history, scene, part: str) -> None:
    forged = replace(scene.bundles[2], **{part: getattr(scene.bundles[0], part)})
    forged.save(history.workspace.bundle(1, "meadow"))
    with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
        recorded_round(history)


def test_an_attestation_that_is_not_what_the_ledger_recorded_is_an_error(history) -> None:
    attested = history.attested(1)
    documents, contributions = list(attested.documents), list(attested.contributions)
    documents[3] = {**documents[3], "measurement": {**documents[3]["measurement"], "data": 19}}
    history.write(replace(attested, documents=tuple(documents)))
    with pytest.raises(WorkspaceError, match="evidence of lakeview is not the one whose digest was signed"):
        recorded_round(history)
    contributions[3] = replace(contributions[3], data=19, evidence_hash=evidence_hash(documents[3]))
    history.write(replace(attested, documents=tuple(documents), contributions=tuple(contributions)))
    with pytest.raises(WorkspaceError, match="evidence of lakeview is not what was recorded"):
        recorded_round(history)
    history.write(replace(attested, documents=(None, *attested.documents[1:])))
    with pytest.raises(WorkspaceError, match="contribution of north has no evidence"):
        recorded_round(history)


@pytest.mark.parametrize("left_out", [(1,), (0, 1, 2, 3)])
def test_nobody_whom_the_ledger_recorded_can_be_left_out(history, left_out) -> None:
    attested, in_force = history.attested(1), measured_quality(history.quality(1))
    parts = {
        part: tuple(None if n in left_out else value for n, value in enumerate(getattr(attested, part)))
        for part in ("contributions", "documents", "signatures")
    }
    quality = tuple(in_force[n] if n in left_out else value for n, value in enumerate(attested.quality))
    history.write(replace(attested, **parts, quality=quality))
    assert history.attested(1).contributions[1] is None
    with pytest.raises(WorkspaceError, match=f"evidence of {NAMES[left_out[0]]} is not what was recorded"):
        recorded_round(history)


def test_the_robust_aggregation_of_the_terms_is_used(scene, build) -> None:
    updates = [scene.shared.__class__(b.classifier, b.generator) for b in scene.bundles]
    plain, robust, clipped = (
        build(**terms).attester.coalition_utility(updates, [scene.shared] * 4, [1, 2, 3, 4], scene.shared)((0, 1, 2, 3))
        for terms in ({}, {"aggregation": "trimmed-mean", "trim": 0.3}, {"clip_norm": 0.5})
    )
    assert len({plain, robust, clipped}) == 3
    assert np.isfinite([plain, robust, clipped]).all()
