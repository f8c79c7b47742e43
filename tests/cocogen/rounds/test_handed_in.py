"""Which files count as an organization's evidence of a round, and what is said of the others."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from cocogen.errors import REASON_LIMIT, WorkspaceError
from cocogen.evidence.bundle import Bundle
from cocogen.rounds.handed_in import handed_in, keep
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace
from tests.cocogen.evidence.conftest import NAMES, verify

NORTH, HARBOR, MEADOW, LAKEVIEW = range(4)


class Stage:
    """Four organizations of which the last takes no part, and their round 1."""

    def __init__(self, scene, folder) -> None:
        self.bundles, self.workspace = scene.bundles, Workspace(folder)
        self.resolved = SimpleNamespace(
            names=NAMES, organization=[SimpleNamespace(name=name, address=f"0x{name}") for name in NAMES]
        )

    def found(self, files=None) -> tuple[list[str | None], dict[str, str]]:
        state = SimpleNamespace(round=1, participants=(True, True, True, False))
        bundles, refused = handed_in(self.resolved, self.workspace, state, verify, files)
        return [bundle and bundle.digest().hex() for bundle in bundles], refused

    def digest(self, n: int) -> str:
        return self.bundles[n].digest().hex()

    def put(self, n: int, name: str | None = None, *, signed: bool = True):
        """A bundle in the place of an organization, its own by default."""
        path = self.workspace.bundle(1, name or NAMES[n])
        bundle = self.bundles[n] if signed else dataclasses.replace(self.bundles[n], signature=b"\x01" * 65)
        bundle.save(path)
        return path


@pytest.fixture(scope="module")
def clinics(agree_on_clinics):
    return agree_on_clinics()


@pytest.fixture
def loop(clinics, tmp_path) -> RoundLoop:
    return clinics.loop(tmp_path)


@pytest.fixture
def stage(scene, tmp_path) -> Stage:
    return Stage(scene, tmp_path)


def test_evidence_in_its_place_counts_and_what_is_not_there_is_refused_nothing(stage):
    stage.put(NORTH)
    stage.put(MEADOW)
    assert stage.found() == ([stage.digest(NORTH), None, stage.digest(MEADOW), None], {})


def test_a_file_that_cannot_be_read_is_refused_by_its_name(stage):
    stage.put(NORTH)
    stage.workspace.bundle(1, "harbor").write_bytes(b"junk")
    digests, refused = stage.found()
    assert digests == [stage.digest(NORTH), None, None, None]
    assert list(refused) == ["harbor"]


@pytest.mark.parametrize("known", [True, False])
def test_whoever_takes_no_part_has_no_evidence(stage, known):
    path = stage.put(LAKEVIEW)
    if not known:
        stage.resolved.names = NAMES[:3]
    expected = {"lakeview": "'lakeview' takes no part in round 1"}
    digests, refused = stage.found([path])
    assert (set(digests), refused) == ({None}, expected)


def test_evidence_under_anothers_name_is_refused_in_a_workspace_and_counts_where_files_are_named(stage):
    path = stage.put(HARBOR, "north")
    assert stage.found() == ([None] * 4, {"north": "its file holds evidence in the name of harbor"})
    assert stage.found([path]) == ([None, stage.digest(HARBOR), None, None], {})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_an_organization_signed_is_not_pushed_out(stage, order):
    paths = [stage.put(HARBOR), stage.put(HARBOR, "forged", signed=False)]
    state = SimpleNamespace(round=1, participants=(True,) * 4)
    bundles, _ = handed_in(stage.resolved, stage.workspace, state, verify, [paths[n] for n in order])
    assert bundles[HARBOR].signature == stage.bundles[HARBOR].signature


def test_what_is_kept_is_found_and_the_reasons_of_the_absent_with_it(stage, tmp_path):
    content = stage.put(NORTH).read_bytes()
    stage.workspace.bundle(1, "north").unlink()
    keep(stage.workspace, NAMES, 1, {NORTH: content}, {HARBOR: "its node was too slow", MEADOW: "x" * 2 * REASON_LIMIT})
    assert stage.workspace.bundle(1, "north").read_bytes() == content
    digests, refused = stage.found()
    assert digests == [stage.digest(NORTH), None, None, None]
    assert refused["harbor"] == "its node was too slow"
    assert len(refused["meadow"]) <= REASON_LIMIT
    stage.put(HARBOR)
    assert list(stage.found()[1]) == ["meadow"]
    assert stage.found([stage.workspace.bundle(1, "north")]) == ([stage.digest(NORTH), None, None, None], {})


def test_reasons_of_strangers_are_left_out(stage):
    stage.workspace.write_json(stage.workspace.absent(1), {"mallory": "look at me", "north": "ill"})
    assert stage.found() == ([None] * 4, {"north": "ill"})


@pytest.mark.parametrize("content", [["north"], {"north": 3}, None])
def test_malformed_reasons_are_an_error_that_names_the_file(stage, content):
    stage.workspace.write_json(stage.workspace.absent(1), content)
    with pytest.raises(WorkspaceError, match=r"absent\.json does not hold a reason for each name") as caught:
        stage.found()
    assert caught.value.hint == "remove it, or restore a copy"


def test_evidence_in_anothers_name_does_not_push_out_what_that_organization_signed(loop):
    loop.open()
    loop.train()
    harbor = Bundle.load(loop.workspace.bundle(1, "harbor"))
    forged = dataclasses.replace(harbor, signature=b"\x01" * 65)
    forged.save(loop.workspace.bundle(1, "lakeview"))
    attested = loop.attest()
    assert attested.contributions[1] is not None
    assert list(attested.rejected) == ["lakeview"]


def test_named_bundles_keep_the_one_that_is_signed(loop, tmp_path):
    loop.open()
    paths = loop.train()
    harbor = Bundle.load(loop.workspace.bundle(1, "harbor"))
    forged = tmp_path / "forged.bundle"
    dataclasses.replace(harbor, signature=b"\x01" * 65).save(forged)
    attested = loop.attest([forged, *paths, forged])
    assert attested.contributions[1] is not None


def test_evidence_from_elsewhere_counts_and_whoever_sent_none_is_named(loop):
    assert loop.begin()
    content = {n: path.read_bytes() for n, path in enumerate(loop.train())}
    for name in loop.resolved.names:
        loop.workspace.bundle(1, name).unlink()
    work = loop.pending()
    assert [assignment is None for assignment in work.assignments] == [False] * 6
    del content[2]
    loop.keep(1, content, {2: "its node was too slow"})
    assert [assignment is None for assignment in loop.pending().assignments] == [True, True, False, True, True, True]
    report = loop.finish()
    assert report.status == "settled"
    assert report.rejected == {"riverside": "its node was too slow"}
    assert report.contributions[2] is None


def test_evidence_that_arrived_after_all_is_no_longer_absent(loop):
    loop.begin()
    loop.train([0, 1, 3, 4, 5])
    loop.keep(1, {}, {2: "its node was too slow"})
    loop.train([2])
    report = loop.finish()
    assert report.rejected == {}
    assert report.contributions[2] is not None
