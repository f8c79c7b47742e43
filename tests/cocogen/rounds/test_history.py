"""What rounds left behind is believed as far as the ledger bears it out; whatever is missing or altered is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import EvidenceRejected, LearningError, WorkspaceError
from cocogen.evidence.bundle import Bundle
from cocogen.files import evidence_hash
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.ledger import Contribution, Dispute, RoundOutcome
from cocogen.rounds.history import History, contributors, held_rounds
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace

GIVEN = Contribution(1, 0, 0, b"\x01" * 32)
LAKEVIEW = 5
"""Its contribution to round 2 was attested and never handed in."""


@pytest.fixture(scope="module")
def played(agree_on_clinics, tmp_path_factory) -> RoundLoop:
    """Round 1 recorded everybody, round 2 all but one, round 3 was void, and round 4 is open and attested."""
    loop = agree_on_clinics().loop(tmp_path_factory.mktemp("played"))
    for submitted in (range(6), range(LAKEVIEW), range(1)):
        loop.open()
        loop.train()
        loop.attest()
        for n in submitted:
            loop.submit(n)
        loop.record(advance=True)
        if loop.ledger.state().phase != "idle":
            loop.settle(advance=True)
        loop.bond()
    loop.open()
    loop.train()
    loop.workspace.bundle(4, "meadow").unlink()
    loop.attest()
    loop.submit(0)
    return loop


@pytest.fixture
def history(played: RoundLoop, tmp_path: Path) -> History:
    """Over a copy of its workspace, to alter."""
    return History(played.resolved, played.ledger, Workspace(shutil.copytree(played.workspace.root, tmp_path / "w")))


def outcome(history: History, number: int) -> RoundOutcome:
    return next(outcome for outcome in history.ledger.outcomes() if outcome.round == number)


def rewrite(history: History, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter a round's attestation in its place."""
    path = history.workspace.attested(number)
    content = history.workspace.read_json(path)
    change(content)
    history.workspace.write_json(path, content)


def agree_with_itself(content: dict[str, Any], n: int, quality: float) -> None:
    """Another κ, in a document whose digest the contribution in the file carries: only the ledger has another one."""
    content["documents"][n]["measurement"]["quality"] = content["quality"][n] = quality
    content["contributions"][n]["evidence_hash"] = evidence_hash(content["documents"][n]).hex()


def leave_out(content: dict[str, Any], n: int, in_force: float) -> None:
    """As if the attester had found nothing of an organization."""
    for part in ("contributions", "documents", "signatures"):
        content[part][n] = None
    content["quality"][n] = in_force


def stated(number: int, status: str, *contributed: bool, ruling=None) -> RoundOutcome:
    return RoundOutcome(
        round=number,
        status=status,
        participants=(True, True, False),
        contributions=tuple(GIVEN if given else None for given in contributed),
        transfers=(0, 0, 0),
        dispute=None if ruling is None else Dispute(0, b"\x02" * 32, ruling),
    )


@pytest.mark.parametrize("status", ["recorded", "disputed", "calculated", "settled"])
def test_contributors_are_those_recorded_in_a_round_that_is_not_void(status):
    assert contributors(stated(1, status, True, False, False)) == (True, False, False)
    for other in ("open", "voided"):
        assert contributors(stated(1, other, True, True, False)) == (False, False, False)


def test_a_round_that_a_ruling_voids_is_nobodys_base():
    rounds = [stated(1, "settled", True, True, False), stated(2, "voided", True, False, False, ruling="void")]
    assert held_rounds(rounds, 3, 3) == [1, 1, 0]
    assert held_rounds([*rounds, stated(3, "disputed", True, False, False)], 3, 4) == [3, 1, 0]
    assert held_rounds(rounds, 3, 1) == [0, 0, 0]


def test_reading_what_happened_writes_nothing(history):
    before = {path: path.stat().st_mtime_ns for path in history.workspace.root.rglob("*")}
    history.attested(4)
    history.base_models(4)
    history.accepted_bundle(outcome(history, 1), 0)
    assert {path: path.stat().st_mtime_ns for path in history.workspace.root.rglob("*")} == before


class TestAttested:
    def test_it_is_what_the_attester_wrote(self, history):
        assert history.attested(2).contributions[:LAKEVIEW] == outcome(history, 2).contributions[:LAKEVIEW]
        assert history.attested(2).contributions[LAKEVIEW] is not None
        assert list(history.attested(4).rejected) == []
        assert history.attested(4).documents[4] is None

    def test_before_the_attester_wrote_it_the_next_step_is_named(self, history):
        with pytest.raises(WorkspaceError, match=r"0005/attested\.json is not there") as caught:
            history.attested(5)
        assert "cocogen status" in caught.value.hint

    def test_the_file_of_another_round_is_an_error(self, history):
        shutil.copy(history.workspace.attested(2), history.workspace.attested(1))
        with pytest.raises(WorkspaceError, match=r"0001/attested\.json was altered: it is of round 2, not 1"):
            history.attested(1)

    def test_a_quality_that_nobody_measured_is_an_error(self, history):
        rewrite(history, 4, lambda content: content["quality"].__setitem__(4, 0.9))
        with pytest.raises(WorkspaceError, match="κ of meadow was not measured"):
            history.attested(4)

    def test_what_is_in_force_needs_the_rounds_before(self, history):
        history.workspace.attested(1).unlink()
        with pytest.raises(WorkspaceError, match=r"0001/attested\.json is not there"):
            history.attested(2)

    def test_terms_of_other_organizations_are_an_error(self, history):
        fewer = history.resolved.model_copy(update={"organization": history.resolved.organization[:5]})
        with pytest.raises(WorkspaceError, match="it is of 6 organizations, not 5"):
            History(fewer, history.ledger, history.workspace).attested(1)


class TestDocuments:
    def test_there_is_one_for_each_recorded_contribution(self, history):
        documents = history.documents(outcome(history, 2))
        assert list(documents) == [0, 1, 2, 3, 4]
        assert all(
            evidence_hash(document) == outcome(history, 2).contributions[n].evidence_hash
            for n, document in documents.items()
        )
        assert list(history.documents(outcome(history, 4))) == [0]

    def test_an_attestation_that_is_gone_is_an_error(self, history):
        history.workspace.attested(2).unlink()
        with pytest.raises(WorkspaceError, match=r"0002/attested\.json is not there"):
            history.documents(outcome(history, 2))

    def test_one_that_the_ledger_does_not_know_is_an_error(self, history):
        rewrite(history, 2, lambda content: agree_with_itself(content, 1, 0.3))
        with pytest.raises(WorkspaceError, match="the evidence of harbor is not what the ledger recorded"):
            history.documents(outcome(history, 2))

    def test_a_recorded_contribution_that_the_file_leaves_out_is_an_error(self, history):
        rewrite(history, 1, lambda content: leave_out(content, 0, history.resolved.organization[0].quality))
        with pytest.raises(WorkspaceError, match="the evidence of north is not what the ledger recorded"):
            history.documents(outcome(history, 1))


class TestQuality:
    def test_at_first_it_is_that_of_the_terms(self, history):
        assert history.quality(1).tolist() == history.resolved.quality.tolist()

    def test_what_was_measured_in_the_last_recorded_round_is_in_force(self, history):
        first, second = history.attested(1).quality, history.attested(2).quality
        assert history.quality(2).tolist() == list(first)
        assert history.quality(3).tolist() == [*second[:LAKEVIEW], first[LAKEVIEW]]
        assert first[LAKEVIEW] != second[LAKEVIEW]

    def test_void_and_open_rounds_change_nothing(self, history):
        assert history.attested(3).quality != history.attested(2).quality
        assert history.quality(4).tolist() == history.quality(5).tolist() == history.quality(3).tolist()

    def test_an_altered_quality_does_not_change_what_comes_next(self, history):
        before = history.quality(2).tolist()
        original = history.workspace.attested(1).read_bytes()
        rewrite(history, 1, lambda content: content.update(quality=[0.3] * 6))
        with pytest.raises(WorkspaceError, match="north says otherwise of κ of the next round"):
            history.quality(2)
        history.workspace.attested(1).write_bytes(original)
        content = json.loads(original)
        content["documents"][1]["measurement"]["quality"] = content["quality"][1] = 0.3
        history.workspace.write_json(history.workspace.attested(1), content)
        with pytest.raises(WorkspaceError, match="harbor is not the one whose digest was signed"):
            history.quality(2)
        rewrite(history, 1, lambda content: agree_with_itself(content, 1, 0.3))
        with pytest.raises(WorkspaceError, match="harbor is not what the ledger recorded"):
            history.quality(2)
        assert before[1] != 0.3


class TestModels:
    def test_everyone_holds_the_model_of_the_last_round_that_recorded_it(self, history):
        digests = {n: SharedModel.load(history.workspace.model(n)).digest() for n in range(3)}
        assert len(set(digests.values())) == 3
        assert [model.digest() for model in history.base_models(1)] == [digests[0]] * 6
        assert [model.digest() for model in history.base_models(2)] == [digests[1]] * 6
        for number in (3, 4, 5):
            bases = [model.digest() for model in history.base_models(number)]
            assert bases == [digests[2]] * LAKEVIEW + [digests[1]]

    def test_those_that_are_not_asked_for_are_not_read(self, history):
        history.workspace.model(1).unlink()
        bases = [model.digest() for model in history.base_models(3, [0])]
        assert bases == [history.agreed_model(outcome(history, 2))] + [history.resolved.model_digest] * 5

    def test_the_agreed_model_is_that_of_the_recorded_evidence(self, history):
        assert history.agreed_model(outcome(history, 2)) == SharedModel.load(history.workspace.model(2)).digest()
        rewrite(history, 2, lambda content: agree_with_itself(content, 1, 0.3))
        with pytest.raises(WorkspaceError, match="the evidence of harbor is not what the ledger recorded"):
            history.agreed_model(outcome(history, 2))

    @pytest.mark.parametrize("number", [0, 1])
    def test_an_altered_model_is_not_trained_on(self, history, number):
        path = history.workspace.model(number)
        model = SharedModel.load(path)
        halved = ModelState({name: 0.5 * array for name, array in model.classifier.items()})
        SharedModel(halved, model.generator).save(path)
        with pytest.raises(WorkspaceError, match="was altered: its digest is not the one that was agreed"):
            history.base_models(number + 1)

    def test_the_registered_model_is_checked_before_anything_was_played(self, history):
        empty = MemoryProvider(7).deploy(history.ledger.terms)
        unplayed = History(history.resolved, empty, history.workspace)
        assert unplayed.base_models(1)[0].digest() == history.resolved.model_digest
        shutil.copy(history.workspace.model(1), history.workspace.initial_model)
        with pytest.raises(WorkspaceError, match=r"initial\.npz was altered"):
            unplayed.base_models(1)

    @pytest.mark.parametrize("number", [0, 1])
    def test_a_model_that_cannot_be_read_is_an_error_that_names_it(self, history, number):
        history.workspace.model(number).write_bytes(b"junk")
        with pytest.raises(LearningError, match=str(history.workspace.model(number))):
            history.base_models(number + 1)

    def test_a_registered_model_that_is_gone_comes_back_from_a_copy(self, history):
        history.workspace.initial_model.unlink()
        with pytest.raises(WorkspaceError, match=r"initial\.npz is not there") as caught:
            history.base_models(1)
        assert caught.value.hint == "restore it from a copy"

    def test_a_member_has_its_own_copy_or_is_told_whom_to_ask(self, history):
        history.workspace.model(2).unlink()
        assert history.base_models(3)[0].digest() == history.agreed_model(outcome(history, 2))
        history.workspace.delivered(2, "north").unlink()
        with pytest.raises(WorkspaceError, match=r"north/0002\.npz is not there") as caught:
            history.base_models(3)
        assert caught.value.hint == "ask the attester for it, or restore north's copy"

    def test_a_model_needs_the_attestation_that_names_its_digest(self, history):
        history.workspace.attested(2).unlink()
        with pytest.raises(WorkspaceError, match=r"0002/attested\.json is not there"):
            history.base_models(3)


class TestAcceptedBundle:
    def test_it_is_the_one_whose_digest_was_recorded(self, history):
        bundle = history.accepted_bundle(outcome(history, 2), 1)
        assert (bundle.organization, bundle.manifest.round) == ("harbor", 2)
        document = history.documents(outcome(history, 2))[1]
        assert document["measurement"]["bundle"] == bundle.digest().hex()

    def test_what_was_attested_and_not_recorded_can_be_looked_at_too(self, history):
        assert history.accepted_bundle(outcome(history, 2), LAKEVIEW).organization == "lakeview"
        assert history.accepted_bundle(outcome(history, 4), 1).organization == "harbor"

    def test_whoever_handed_in_nothing_has_none(self, history):
        with pytest.raises(WorkspaceError, match="the evidence of meadow is not what was recorded"):
            history.accepted_bundle(outcome(history, 4), 4)

    def test_a_bundle_that_is_gone_is_an_error_that_names_the_file(self, history):
        history.workspace.bundle(1, "meadow").unlink()
        with pytest.raises(WorkspaceError, match=r"meadow\.bundle is not there") as caught:
            history.accepted_bundle(outcome(history, 1), 4)
        assert caught.value.hint == "put the organization's bundle in its place"

    def test_a_bundle_that_cannot_be_read_is_rejected_evidence(self, history):
        history.workspace.bundle(1, "meadow").write_bytes(b"junk")
        with pytest.raises(EvidenceRejected, match="meadow"):
            history.accepted_bundle(outcome(history, 1), 4)

    def test_another_bundle_in_its_place_is_an_error(self, history):
        shutil.copy(history.workspace.bundle(1, "north"), history.workspace.bundle(1, "meadow"))
        with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
            history.accepted_bundle(outcome(history, 1), 4)

    @pytest.mark.parametrize("part", ["classifier", "generator"])
    def test_other_arrays_under_the_same_manifest_are_an_error(self, history, part):
        north, meadow = (Bundle.load(history.workspace.bundle(1, name)) for name in ("north", "meadow"))
        replace(meadow, **{part: getattr(north, part)}).save(history.workspace.bundle(1, "meadow"))
        with pytest.raises(WorkspaceError, match=r"meadow\.bundle was altered"):
            history.accepted_bundle(outcome(history, 1), 4)

    def test_an_attestation_that_is_gone_or_altered_is_an_error(self, history):
        rewrite(history, 1, lambda content: agree_with_itself(content, 1, 0.3))
        with pytest.raises(WorkspaceError, match="the evidence of harbor is not what was recorded"):
            history.accepted_bundle(outcome(history, 1), 1)
        rewrite(history, 1, lambda content: leave_out(content, 0, history.resolved.organization[0].quality))
        with pytest.raises(WorkspaceError, match="the evidence of north is not what was recorded"):
            history.accepted_bundle(outcome(history, 1), 0)
        history.workspace.attested(1).unlink()
        with pytest.raises(WorkspaceError, match=r"attested\.json is not there"):
            history.accepted_bundle(outcome(history, 1), 1)
