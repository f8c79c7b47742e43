"""Openings in whole rounds: who is bound before, who is asked once, what is refused by name, and what stays behind."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.errors import EvidenceRejected, LearningError, WorkspaceError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.local import Local
from cocogen.operations.status import next_step
from cocogen.rounds.loop import RoundLoop
from cocogen.terms.sections import Attestation
from tests.cocogen.evidence.own import OwnRows, agreed_on

K = 2


@pytest.fixture(scope="module")
def clinics(agree_on_clinics):
    """The clinics as organizations that registered their own rows and open two of them each round."""
    rehearsal = agree_on_clinics(("maximum = 300", "maximum = 0"))
    agreed = Agreed.of(rehearsal.consortium)
    source = OwnRows(agreed.source())
    task = Local(agreed_on(agreed, source.schema, K), source)
    changes = {"learning": task.agreed.learning, "attestation": Attestation(openings=K)}
    resolved = rehearsal.registration.resolved.model_copy(update=changes)
    return replace(rehearsal, task=task, registration=replace(rehearsal.registration, resolved=resolved))


@pytest.fixture
def loop(clinics, tmp_path) -> RoundLoop:
    return clinics.loop(tmp_path)


@pytest.fixture
def trained(loop) -> RoundLoop:
    """A round whose evidence is in, and of which nothing was drawn yet."""
    loop.begin()
    loop.train()
    return loop


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left_out(loop: RoundLoop, name: str, reason: str) -> None:
    """The round settles without ``name``, for ``reason``."""
    report = loop.finish()
    assert report.status == "settled"
    assert list(report.rejected) == [name]
    assert reason in report.rejected[name]
    assert [c is None for c in report.contributions] == [other == name for other in loop.resolved.names]


def test_a_round_settles_and_the_opened_rows_are_deleted_but_for_their_digest(loop) -> None:
    report = loop.play()
    workspace, names = loop.workspace, loop.resolved.names
    assert report.status == "settled"
    assert not report.rejected
    attested = loop.history.attested(1)
    assert all(len(bytes.fromhex(document["openings"])) == 32 for document in attested.documents)
    assert not any(workspace.opening(1, name).exists() for name in names)


def test_the_attester_is_bound_before_the_round_opens(loop, monkeypatch) -> None:
    seen = []
    openly = loop.ledger.open_round
    monkeypatch.setattr(
        loop.ledger, "open_round", lambda: (seen.append(loop.workspace.commitment(1).exists()), openly())
    )
    loop.begin()
    assert seen == [True]
    nonce = bytes.fromhex(loop.workspace.nonce(1).read_text())
    assert loop.workspace.commitment(1).read_text() == hashlib.sha256(nonce).hexdigest()
    assert mode(loop.workspace.nonce(1)) == 0o600
    assert loop.pending().commitment == hashlib.sha256(nonce).hexdigest()


def test_every_bundle_names_what_the_attester_was_bound_to(trained) -> None:
    bound = trained.workspace.commitment(1).read_text()
    for name in trained.resolved.names:
        assert Bundle.load(trained.workspace.bundle(1, name)).manifest.challenge == bound


def test_bundles_do_not_hold_the_nonce_and_orders_do_not_tell_it(trained) -> None:
    nonce = trained.workspace.nonce(1).read_text()
    files = [path for path in trained.workspace.round(1).iterdir() if path.is_file() and path.name != "nonce"]
    assert len(files) > 6
    assert not any(nonce.encode() in path.read_bytes() for path in files)


def test_each_step_in_a_process_of_its_own(trained, clinics) -> None:
    """Member and attester from their files alone, as by hand; the answer is for its owner's eyes."""

    def another() -> RoundLoop:
        return RoundLoop(trained.resolved, trained.ledger, trained.workspace, task=clinics.task)

    another().challenge()
    (path,) = another().answer([2])
    assert path == trained.workspace.opening(1, trained.resolved.names[2])
    assert mode(path) == 0o600
    assert len(json.loads(path.read_text())["rows"]) == K
    assert len(another().answer()) == 6
    assert not another().attest().rejected


def test_rows_are_drawn_once(trained) -> None:
    first = trained.challenge()
    trained.workspace.bundle(1, "north").unlink()
    assert trained.challenge() == first
    assert len(first.bundles) == 6


def test_evidence_that_comes_after_the_draw_is_refused(trained) -> None:
    path = trained.workspace.bundle(1, "north")
    content = path.read_bytes()
    path.unlink()
    trained.challenge()
    path.write_bytes(content)
    trained.answer()
    left_out(trained, "north", "its evidence came after the rows to open were drawn")


def test_who_opens_nothing_is_left_out(trained) -> None:
    trained.challenge()
    trained.answer([n for n in range(6) if n != 3])
    left_out(trained, trained.resolved.names[3], f"it has not opened the {K} rows that were drawn")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "what it opened cannot be read"),
        (b"[" * 1000, "what it opened cannot be read"),
        (b'{"rows":"row 17"}', "what it opened is malformed"),
        (b" " * 1_000_000, "larger than"),
        (b"\xff", "what it opened cannot be read"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_not_repeated(trained, content, reason) -> None:
    trained.challenge()
    trained.answer()
    trained.challenges.keep(1, {0: content})
    left_out(trained, "north", reason)
    assert "row 17" not in json.dumps(trained.history.attested(1).rejected)


def test_another_row_than_drawn_or_another_value_is_refused(trained) -> None:
    trained.challenge()
    trained.answer()
    path = trained.workspace.opening(1, "north")
    value = json.loads(path.read_text())
    value["rows"][0]["label"] = 1 - value["rows"][0]["label"]
    trained.challenges.keep(1, {0: json.dumps(value).encode()})
    left_out(trained, "north", "not the one that it registered")


def test_nobody_else_is_asked_and_a_named_one_says_why_it_opens_nothing(trained) -> None:
    path = trained.workspace.bundle(1, "north")
    content = path.read_bytes()
    path.unlink()
    trained.challenge()
    with pytest.raises(EvidenceRejected, match="north"):
        trained.answer([0])
    path.write_bytes(content)
    with pytest.raises(LearningError, match="is not for its bundle"):
        trained.answer([0])
    assert len(trained.answer()) == 5


def test_a_member_whose_rows_are_not_here_says_so(trained) -> None:
    """In a process that has no data of its own, but what all know."""
    trained.challenge()
    with pytest.raises(LearningError, match="north opens no row: its rows are not here"):
        trained.challenges.answer(1, lambda _: None, [0])
    assert trained.challenges.answer(1, lambda _: None, None) == []


def test_nothing_more_is_opened_once_the_round_is_attested(trained) -> None:
    trained.challenge()
    trained.answer()
    trained.attest()
    assert trained.answer() == []
    assert not list(trained.workspace.round(1).glob("*.opening"))


def test_a_round_that_was_killed_after_any_step_goes_on(trained, clinics) -> None:
    for step in ("challenge", "answer", "attest"):
        getattr(trained, step)()
        again = RoundLoop(trained.resolved, trained.ledger, trained.workspace, task=clinics.task)
        if step != "attest":
            again.challenge()
            again.answer()
    report = RoundLoop(trained.resolved, trained.ledger, trained.workspace, task=clinics.task).play()
    assert report.status == "settled"
    assert not report.rejected
    assert not list(trained.workspace.round(1).glob("*.opening"))


def test_nothing_is_attested_before_rows_were_drawn(trained) -> None:
    with pytest.raises(WorkspaceError, match="no rows of round 1 have been drawn") as caught:
        trained.attest()
    assert "cocogen round challenge" in caught.value.hint


def test_without_evidence_nothing_is_drawn(loop) -> None:
    loop.begin()
    with pytest.raises(WorkspaceError, match="no evidence of round 1"):
        loop.challenge()
    assert not loop.workspace.challenge(1).exists()


def test_without_the_attesters_commitment_nobody_trains(loop) -> None:
    loop.begin()
    loop.workspace.commitment(1).unlink()
    with pytest.raises(WorkspaceError, match="nobody is bound to a draw"):
        loop.train()


def test_a_nonce_that_is_lost_is_not_drawn_again_once_evidence_is_in(trained) -> None:
    trained.workspace.nonce(1).unlink()
    with pytest.raises(WorkspaceError, match="a nonce drawn now could be chosen"):
        trained.begin()
    with pytest.raises(WorkspaceError, match="only the attester can draw rows"):
        trained.challenge()


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "AB" * 32, "ab" * 33])
def test_files_that_hold_no_nonce_or_commitment_are_named(trained, content) -> None:
    for path in (trained.workspace.nonce(1), trained.workspace.commitment(1)):
        kept = path.read_text()
        path.write_text(content)
        with pytest.raises(WorkspaceError, match=r"holds no 32 bytes in hexadecimal"):
            trained.begin() if path.name == "nonce" else trained.pending()
        path.write_text(kept)


def test_a_challenge_that_is_none_is_named(trained) -> None:
    trained.challenge()
    trained.workspace.write_json(trained.workspace.challenge(1), {"round": 1})
    with pytest.raises(WorkspaceError, match=r"challenge.json: not a challenge"):
        trained.answer()


def test_nothing_of_it_is_there_where_no_openings_are_agreed(agree_on_clinics, tmp_path) -> None:
    loop = agree_on_clinics(("maximum = 300", "maximum = 0")).loop(tmp_path)
    loop.play()
    assert loop.challenges is None
    names = {path.name for path in loop.workspace.round(1).iterdir()}
    assert not {"nonce", "commitment", "challenge.json"} & names


def test_the_next_step_is_named_at_every_step(trained) -> None:
    def following() -> str:
        return next_step(session, trained.ledger.state())

    session = SimpleNamespace(resolved=trained.resolved, workspace=trained.workspace, loop=trained)
    assert following() == "`cocogen round challenge`"
    trained.challenge()
    trained.answer([0, 1, 2, 3])
    assert following() == "`cocogen reveal` by meadow, lakeview, then `cocogen attest`"
    trained.answer()
    assert following() == "`cocogen attest`"


def test_rows_drawn_differ_from_round_to_round(loop) -> None:
    drawn = []
    for number in (1, 2):
        loop.begin()
        loop.train()
        loop.challenge()
        loop.answer()
        answers = [json.loads(loop.workspace.opening(number, name).read_text()) for name in loop.resolved.names]
        drawn.append(np.array([[row["index"] for row in given["rows"]] for given in answers]))
        loop.finish()
    assert (drawn[0] != drawn[1]).any()
