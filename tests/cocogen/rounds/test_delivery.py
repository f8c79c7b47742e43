"""The model of a round goes to whoever contributed to it, once that is recorded, and to nobody else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cocogen.errors import LearningError, WorkspaceError
from cocogen.files import link_or_copy
from cocogen.learning.models.states import SharedModel
from cocogen.ledger import Contribution, Dispute, RoundOutcome
from cocogen.rounds.delivery import deliver, withheld
from cocogen.rounds.history import History
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace

GIVEN = Contribution(1, 0, 0, b"\x01" * 32)


@pytest.fixture(scope="module")
def clinics(agree_on_clinics):
    return agree_on_clinics()


@pytest.fixture
def loop(clinics, tmp_path) -> RoundLoop:
    return clinics.loop(tmp_path)


def outcome(number: int, status: str, *contributed: bool, ruling=None) -> RoundOutcome:
    return RoundOutcome(
        round=number,
        status=status,
        participants=(True, True, False),
        contributions=tuple(GIVEN if given else None for given in contributed),
        transfers=(0, 0, 0),
        dispute=None if ruling is None else Dispute(0, b"\x02" * 32, ruling),
    )


def attest(loop: RoundLoop) -> None:
    loop.open()
    loop.train()
    loop.attest()


def files(loop: RoundLoop) -> list[str]:
    """The models that members were given, as NAME/NNNN."""
    root = loop.workspace.root / "models"
    return sorted(str(path.relative_to(root).with_suffix("")) for path in root.glob("*/*.npz"))


def test_no_model_leaves_the_attester_before_the_round_is_recorded(loop):
    attest(loop)
    assert loop.workspace.model(1).exists()
    for n in range(6):
        loop.submit(n)
    loop.deliver()
    assert files(loop) == []
    loop.record(advance=False)
    assert files(loop) == sorted(f"{name}/0001" for name in loop.resolved.names)
    assert {SharedModel.load(path).digest() for path in (loop.workspace.root / "models").glob("*/*.npz")} == {
        SharedModel.load(loop.workspace.model(1)).digest()
    }


def test_only_recorded_contributors_are_given_the_model(loop):
    attest(loop)
    for n in range(5):
        loop.submit(n)
    loop.record(advance=True)
    loop.settle(advance=True)
    assert "lakeview/0001" not in files(loop)
    assert len(files(loop)) == 5
    loop.play()
    assert "lakeview/0002" in files(loop)


def test_a_void_round_is_delivered_to_nobody_and_its_accuracy_is_nobodys(loop):
    attest(loop)
    loop.submit(0)
    loop.record(advance=True)
    loop.deliver()
    assert loop.ledger.outcomes()[-1].status == "voided"
    assert files(loop) == []
    assert loop.report(1).evaluation == {}
    assert loop.history.attested(1).evaluation != {}


def of_member(loop: RoundLoop, name: str, folder: Path) -> RoundLoop:
    """The workspace of a member: what everybody has, and the models that it was given itself."""
    mine = Workspace(folder)
    shutil.copytree(loop.workspace.root, folder)
    for path in [*folder.glob("rounds/*/model.npz"), *folder.glob("rounds/*/*.bundle")]:
        path.unlink()
    for path in folder.glob("models/*/"):
        if path.name != name:
            shutil.rmtree(path)
    return RoundLoop(loop.resolved, loop.ledger, mine, task=loop.task)


def test_a_member_trains_from_the_files_that_it_was_given_and_needs_no_others(loop, tmp_path_factory):
    attest(loop)
    for n in range(5):
        loop.submit(n)
    loop.record(advance=True)
    loop.settle(advance=True)
    loop.open()
    for name in ("north", "lakeview"):
        member = of_member(loop, name, tmp_path_factory.mktemp("machine") / "workspace")
        n = loop.resolved.names.index(name)
        (path,) = member.train([n])
        loop.keep(2, {n: path.read_bytes()}, {})
    loop.train()
    attested = loop.attest()
    assert attested.rejected == {}
    assert attested.documents[0] is not None
    assert attested.documents[5] is not None


def test_a_member_without_its_model_is_told_whom_to_ask(loop, tmp_path):
    loop.play()
    loop.open()
    member = of_member(loop, "north", tmp_path / "machine")
    member.workspace.delivered(1, "north").unlink()
    with pytest.raises(WorkspaceError, match=r"north/0001\.npz is not there") as caught:
        member.train([0])
    assert "attester" in caught.value.hint
    SharedModel.load(loop.workspace.initial_model).save(member.workspace.delivered(1, "north"))
    with pytest.raises(WorkspaceError, match="was altered"):
        member.train([0])


def test_what_a_killed_process_left_undone_is_delivered_with_the_next_step(loop):
    attest(loop)
    for n in range(6):
        loop.submit(n)
    loop.ledger.record()
    assert files(loop) == []
    loop.settle(advance=True)
    assert len(files(loop)) == 6
    shutil.rmtree(loop.workspace.root / "models" / "north")
    loop.open()
    assert len(files(loop)) == 6


def swap(path: Path, content: bytes) -> None:
    """Put another file in the place of one, so that its links keep what they hold."""
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("content", ["another model", "junk"])
def test_a_model_that_is_not_the_agreed_one_is_handed_to_nobody(loop, content):
    attest(loop)
    for n in range(6):
        loop.submit(n)
    loop.ledger.record()
    model = loop.workspace.model(1)
    right = model.read_bytes()
    swap(model, loop.workspace.initial_model.read_bytes() if content == "another model" else b"junk")
    with pytest.raises((WorkspaceError, LearningError), match=re.escape(str(model))):
        loop.deliver()
    assert files(loop) == []
    swap(model, right)
    assert len(loop.deliver()[1]) == 6


def test_whoever_was_given_another_model_is_given_the_right_one(loop):
    loop.play()
    name = loop.resolved.names[0]
    path = loop.workspace.delivered(1, name)
    for wrong in (loop.workspace.initial_model.read_bytes(), b"junk"):
        swap(path, wrong)
        assert loop.deliver() == {1: [path]}
        assert path.read_bytes() == loop.workspace.model(1).read_bytes()
        assert loop.deliver() == {}


def test_a_model_that_is_right_stays_where_the_attesters_own_is_not(loop):
    loop.play()
    swap(loop.workspace.model(1), b"junk")
    assert loop.deliver() == {}


def test_a_round_that_cannot_be_delivered_does_not_keep_the_others_from_it(loop):
    loop.play()
    loop.play()
    swap(loop.workspace.model(1), b"junk")
    for number in (1, 2):
        loop.workspace.delivered(number, "north").unlink()
    with pytest.raises(LearningError, match="0001/model"):
        loop.deliver()
    assert loop.workspace.delivered(2, "north").exists()
    assert not loop.workspace.delivered(1, "north").exists()


def test_a_workspace_without_the_models_of_rounds_delivers_nothing(tmp_path):
    rounds = [outcome(1, "settled", True, True, False)]
    ledger = SimpleNamespace(outcomes=lambda: rounds)
    assert deliver(History(SimpleNamespace(names=["a", "b", "c"]), ledger, Workspace(tmp_path))) == {}
    assert list(tmp_path.iterdir()) == []


def test_everybody_who_gets_no_model_is_told_why():
    names, rejected = ["a", "b", "c"], {"b": "its file is cut off"}
    assert withheld(outcome(1, "voided", True, False, False), names, {}) == dict.fromkeys(names, "the round was void")
    ruled = withheld(outcome(1, "voided", True, True, False, ruling="void"), names, {})
    assert ruled == dict.fromkeys(names, "the round was voided by a ruling")
    assert withheld(outcome(1, "recorded", True, False, False), names, rejected) == {
        "b": "no evidence of it counted: its file is cut off",
        "c": "it took no part",
    }
    assert withheld(outcome(1, "settled", True, False, False), names, {})["b"] == "no contribution of it was recorded"


def test_a_disk_without_links_gets_copies(tmp_path, monkeypatch):
    source, path = tmp_path / "model.npz", tmp_path / "models" / "north" / "0001.npz"
    source.write_bytes(b"weights")

    def refuse(self, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    link_or_copy(source, path)
    assert path.read_bytes() == b"weights"
    source.unlink()
    with pytest.raises(WorkspaceError, match="cannot be read"):
        link_or_copy(source, tmp_path / "other")
