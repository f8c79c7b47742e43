"""After a round every site that was given the model tells how it does on its own patients, beside the one alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cocogen.errors import WorkspaceError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.local import Local
from cocogen.operations.results import RoundResult
from cocogen.rounds.loop import RoundLoop
from tests.cocogen.evidence.own import OwnRows, agreed_on


@pytest.fixture(scope="module")
def clinics(agree_on_clinics):
    rehearsal = agree_on_clinics(("maximum = 300", "maximum = 0"))
    agreed = Agreed.of(rehearsal.consortium)
    source = OwnRows(agreed.source(), patients=True)
    task = Local(agreed_on(agreed, source.schema), source)
    learning = task.agreed.learning.model_copy(update={"dataset": "own"})
    resolved = rehearsal.registration.resolved.model_copy(update={"learning": learning})
    return replace(rehearsal, task=task, registration=replace(rehearsal.registration, resolved=resolved))


@pytest.fixture
def loop(clinics, tmp_path) -> RoundLoop:
    return clinics.loop(tmp_path)


def test_every_site_that_was_given_the_model_tells_counts_that_leave_nothing_else(loop) -> None:
    report = loop.play()
    names = loop.resolved.names
    assert [told.organization for told in report.own_patients] == list(names)
    for told in report.own_patients:
        assert sum(told.together.rows) == len(loop.task.members[names.index(told.organization)].patients.labels)
        content = json.loads(loop.workspace.patients(1, told.organization).read_text())
        assert content == told.to_plain()


def test_a_result_holds_both_shares_with_their_intervals_only_where_they_are_told(
    loop, agree_on_clinics, tmp_path
) -> None:
    names = loop.resolved.names
    plain = RoundResult.of(loop.play(), names).plain()["own_patients"]
    assert list(plain) == list(names)
    for found in plain.values():
        for model in ("together", "alone"):
            low, high = found[model]["interval"]
            assert low <= found[model]["value"] <= high
    rehearsal = agree_on_clinics(("maximum = 300", "maximum = 0")).loop(tmp_path / "rehearsal")
    assert "own_patients" not in RoundResult.of(rehearsal.play(), names).plain()


def test_the_model_alone_is_trained_once_and_kept(loop, monkeypatch) -> None:
    first = loop.play()
    monkeypatch.setattr("cocogen.evidence.alone.by_itself", lambda *_: pytest.fail("trained again"))
    second = loop.play()
    for before, now in zip(first.own_patients, second.own_patients, strict=True):
        assert before.alone == now.alone
        assert now.round == 2


def test_who_was_left_out_was_given_no_model_to_measure(loop) -> None:
    loop.begin()
    loop.train([n for n in range(6) if n != 2])
    report = loop.finish()
    assert [told is None for told in report.own_patients] == [n == 2 for n in range(6)]


def test_a_report_that_is_asked_for_again_says_the_same_without_the_data(loop, clinics) -> None:
    told = loop.play().own_patients
    alone = RoundLoop(loop.resolved, loop.ledger, loop.workspace)
    assert alone.report(1).own_patients == told
    assert "task" not in alone.__dict__


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"round": 2}, "tells of round 2"), ({"together": None}, "no counts"), ({"x": 1}, "no counts")],
)
def test_a_file_that_tells_something_else_is_named(loop, change, reason) -> None:
    loop.play()
    path = loop.workspace.patients(1, "north")
    loop.workspace.write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(WorkspaceError, match=reason):
        loop.report(1)


def test_in_a_rehearsal_nobody_tells_anything(agree_on_clinics, tmp_path) -> None:
    loop = agree_on_clinics(("maximum = 300", "maximum = 0")).loop(tmp_path)
    assert loop.play().own_patients == ()
    assert not list(loop.workspace.root.rglob("*.patients"))
    assert not list(loop.workspace.root.rglob("alone.npz"))
