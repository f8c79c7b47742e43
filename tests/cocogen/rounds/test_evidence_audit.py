"""Whatever is altered in the files of a settled consortium, the ledger contradicts it, or it is listed here why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.audit import audit
from chain.audit.findings import claims_of
from cocogen.data.samples import Samples
from cocogen.errors import WorkspaceError
from cocogen.evidence.bundle import Bundle
from cocogen.files import evidence_hash
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.operations.verdict import evidence_check
from cocogen.rounds.attested import Attested, contradictions
from cocogen.rounds.disputes import raise_dispute
from cocogen.rounds.history import History
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace

OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture(scope="module")
def settled(agree_on_clinics, tmp_path_factory) -> RoundLoop:
    """Two rounds, the first of which is disputed; one organization's evidence is missing in the second."""
    loop = agree_on_clinics().loop(tmp_path_factory.mktemp("settled"))
    loop.open()
    loop.train()
    loop.attest()
    for n in range(6):
        loop.submit(n)
    loop.record(advance=False)
    raise_dispute(loop.ledger, loop.workspace, 1, b"the attester was asleep\n")
    loop.ledger.resolve("settle")
    loop.settle(advance=True)
    loop.open()
    loop.train()
    loop.workspace.bundle(2, "meadow").unlink()
    loop.finish()
    loop.deliver()
    return loop


@pytest.fixture
def files(settled: RoundLoop, tmp_path: Path) -> Workspace:
    """A copy of the settled workspace to alter."""
    return Workspace(shutil.copytree(settled.workspace.root, tmp_path / "files"))


def verdict(loop: RoundLoop, workspace: Workspace) -> tuple[str, str]:
    ledger: Any = loop.ledger
    return evidence_check(workspace, loop.resolved, claims_of(ledger.collect(), ledger.encoded, lambda _: False))


def flipped(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        is_hex = value and set(value) <= set("0123456789abcdef")
        return (("1" if value[0] == "0" else "0") if is_hex else "x") + value[1:]
    return "x"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def with_others(content: Any, path: tuple[Any, ...]) -> Iterator[Any]:
    """The content with another value in a place, and with none."""
    for change in (flipped, lambda _: None):
        copy = json.loads(json.dumps(content))
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = change(inner[path[-1]])
        if copy != content:
            yield copy


def test_the_files_of_an_honest_consortium_pass(settled):
    ledger: Any = settled.ledger
    assert audit(ledger.collect(), ledger.terms).status == "PASS"
    status, detail = verdict(settled, settled.workspace)
    assert (status, detail) == ("PASS", "2 rounds, 3 models, 11 bundles as they were signed")


@pytest.mark.parametrize("number", [1, 2])
def test_every_single_value_of_an_attestation(settled, files, number):
    path = files.attested(number)
    content = json.loads(path.read_text())
    for n in (1, 2):
        remove_round(files, n)  # the attestation answers for itself, and no file is read again for each value
    tried = 0
    for leaf in leaves(content):
        for altered in with_others(content, leaf):
            path.write_text(json.dumps(altered))
            status, detail = verdict(settled, files)
            assert status == "FAIL", leaf
            assert "attested.json" in detail
            tried += 1
    assert tried > 240


def test_every_value_is_refused_by_whoever_loads_the_file(settled, files):
    history = History(settled.resolved, settled.ledger, files)
    path = files.attested(2)
    content = json.loads(path.read_text())
    for leaf in leaves(content):
        if leaf[0] == "signatures" and content["signatures"][leaf[1]] is not None:
            continue  # submitting is what looks at them: see below
        for altered in with_others(content, leaf):
            path.write_text(json.dumps(altered))
            with pytest.raises(WorkspaceError, match="attest"):
                history.attested(2)


def test_a_message_names_the_entry_that_differs_and_is_cut(settled, files):
    path = files.attested(2)
    content = json.loads(path.read_text())
    content["evaluation"]["accuracy"] = 0.5
    path.write_text(json.dumps(content))
    detail = verdict(settled, files)[1]
    assert "says otherwise of the evaluation: accuracy = 0." in detail
    assert "not accuracy = 0.5" in detail
    assert "loss" not in detail
    content["rejected"]["x" * 5_000] = "y" * 5_000
    path.write_text(json.dumps(content))
    assert len(verdict(settled, files)[1]) < 600


def test_a_missing_entry_an_added_one_and_garbage(settled, files):
    path = files.attested(1)
    content = json.loads(path.read_text())
    for change in (
        {"rejected": {"north": "invented"}},
        {"contributions": [None, *content["contributions"][1:]]},
        {"documents": [None, *content["documents"][1:]]},
        {"documents": [{}, *content["documents"][1:]]},
        {"documents": [content["documents"][1], *content["documents"][1:]]},
        {"quality": [*content["quality"][:-1], float("nan")]},
        {name: content[name][:-1] for name in ("contributions", "signatures", "quality", "documents")},
    ):
        path.write_text(json.dumps(content | change))
        assert verdict(settled, files)[0] == "FAIL", change
    path.write_text("[" * 100_000)
    assert verdict(settled, files)[0] == "FAIL"
    deep = json.loads(json.dumps(content))
    deep["documents"][0]["measurement"]["gain"] = float("nan")
    path.write_text(json.dumps(deep))
    assert verdict(settled, files)[0] == "FAIL"


@pytest.mark.parametrize("which", ["initial", "round", "delivered"])
def test_any_other_model(settled, files, which):
    path = {
        "initial": files.initial_model,
        "round": files.model(1),
        "delivered": files.delivered(1, "north"),
    }[which]
    model = SharedModel.load(path)
    halved = ModelState({name: 0.5 * array for name, array in model.classifier.items()})
    path.unlink()
    SharedModel(halved, model.generator, model.server).save(path)
    status, detail = verdict(settled, files)
    assert status == "FAIL"
    assert str(path) in detail
    path.write_bytes(b"no model")
    assert verdict(settled, files)[0] == "FAIL"


@pytest.mark.parametrize("part", ["classifier", "generator", "synthetic", "panel", "signature", "manifest"])
def test_any_other_part_of_a_bundle(settled, files, part):
    path = files.bundle(1, "harbor")
    bundle = Bundle.load(path)
    fields = {name: getattr(bundle, name) for name in Bundle.__dataclass_fields__}
    value = fields[part]
    if part in ("classifier", "generator"):
        fields[part] = ModelState({name: array + 1 for name, array in value.items()})
    elif part in ("synthetic", "panel"):
        fields[part] = Samples(value.features + 1, value.labels)
    elif part == "signature":
        fields[part] = bytes([value[0] ^ 1]) + value[1:]
    else:
        fields[part] = value.model_copy(update={"raw": value.raw + 1})
    path.unlink()
    Bundle(**fields).save(path)
    status, detail = verdict(settled, files)
    assert status == "FAIL"
    assert str(path) in detail


def test_a_bundle_that_is_none_and_another_members_bundle(settled, files):
    for content in (b"none", files.bundle(1, "harbor").read_bytes()):
        path = files.bundle(1, "north")
        path.unlink()
        path.write_bytes(content)
        assert verdict(settled, files)[0] == "FAIL"


def test_another_reason_of_a_dispute(settled, files):
    (path,) = files.round(1).glob("dispute-*")
    path.write_bytes(b"the attester was awake\n")
    status, detail = verdict(settled, files)
    assert status == "FAIL"
    assert "is not the reason" in detail


def remove_round(files: Workspace, number: int) -> None:
    """Everything of a round but its attestation."""
    for path in (
        files.model(number),
        *files.round(number).glob("*.bundle"),
        *files.root.glob(f"models/*/{number:04d}*"),
    ):
        path.unlink(missing_ok=True)


def test_files_that_are_not_here_contradict_nothing(settled, files):
    for path in (files.model(2), files.bundle(2, "north"), files.delivered(2, "north")):
        path.unlink()
    assert verdict(settled, files)[0] == "PASS"
    files.attested(1).unlink()
    remove_round(files, 1)
    status, detail = verdict(settled, files)
    assert status == "PASS"
    assert "no attestation of rounds 1 is here" in detail
    files.attested(2).unlink()
    remove_round(files, 2)
    assert verdict(settled, files)[0] == "SKIPPED"


def test_files_without_the_attestation_that_they_are_compared_with_are_no_pass(settled, files):
    files.attested(1).unlink()
    for path in (files.model(1), files.bundle(1, "north"), *files.root.glob("models/*/0001.npz")):
        path.unlink()
        path.write_bytes(b"junk")
    status, detail = verdict(settled, files)
    assert status == "INCOMPLETE"
    assert detail.startswith(f"{files.model(1)} and 12 more files are here, but not the attestation")
    remove_round(files, 1)
    for path in (files.delivered(1, "north"), files.bundle(1, "north")):
        path.write_bytes(b"junk")
        status, detail = verdict(settled, files)
        assert status == "INCOMPLETE"
        assert f"{path} is here, but not the attestation" in detail
        assert detail.endswith("the attester has attested.json of rounds 1")
        path.unlink()


def test_what_a_killed_attester_left_of_an_open_round_contradicts_nothing(agree_on_clinics, tmp_path):
    loop = agree_on_clinics().loop(tmp_path)
    loop.play()
    loop.open()
    loop.train()
    loop.attest()
    loop.workspace.attested(2).unlink()
    assert verdict(loop, loop.workspace)[0] == "PASS"


def test_a_signature_may_be_missing_only_where_the_attester_is_a_contract(settled, files):
    path = files.attested(1)
    content = json.loads(path.read_text())
    content["signatures"][0] = None
    path.write_text(json.dumps(content))
    status, detail = verdict(settled, files)
    assert status == "FAIL"
    assert detail == f"{path}: the signature for {settled.resolved.names[0]} is missing"
    ledger: Any = settled.ledger
    wallet = replace(ledger.collect(), attester_is_contract=True)
    assert evidence_check(files, settled.resolved, claims_of(wallet, ledger.encoded, lambda _: False))[0] == "PASS"


@pytest.mark.parametrize("content", ["the model", "junk"])
def test_a_model_in_the_place_of_who_was_absent_fails(settled, files, content):
    path = files.delivered(2, "meadow")
    path.write_bytes(files.model(2).read_bytes() if content == "the model" else b"junk")
    status, detail = verdict(settled, files)
    assert status == "FAIL"
    assert f"{path}: meadow is not to have the model of round 2" in detail


def test_copies_of_a_round_below_quorum_fail(agree_on_clinics, tmp_path):
    loop = agree_on_clinics().loop(tmp_path)
    loop.open()
    loop.train()
    loop.attest()
    loop.submit(0)
    loop.record(advance=True)
    name = loop.resolved.names[0]
    assert verdict(loop, loop.workspace)[0] == "PASS"
    path = loop.workspace.delivered(1, name)
    path.parent.mkdir(parents=True)
    shutil.copy(loop.workspace.model(1), path)
    status, detail = verdict(loop, loop.workspace)
    assert status == "FAIL"
    assert detail == f"{path}: {name} is not to have the model of round 1: the round was void"


def test_copies_of_a_round_that_a_ruling_voids_were_given_before(agree_on_clinics, tmp_path):
    loop = agree_on_clinics().loop(tmp_path)
    loop.open()
    loop.train()
    loop.attest()
    for n in range(6):
        loop.submit(n)
    loop.record(advance=False)
    raise_dispute(loop.ledger, loop.workspace, 1, b"the attester was asleep\n")
    loop.ledger.resolve("void")
    assert loop.ledger.outcomes()[-1].status == "voided"
    assert loop.workspace.delivered(1, "north").exists()
    assert verdict(loop, loop.workspace)[0] == "PASS"


def test_documents_of_the_first_version_are_still_read(settled, files):
    attested = settled.history.attested(1)
    content = attested.to_dict()
    for n, document in enumerate(content["documents"]):
        old = {name: value for name, value in document.items() if name not in ("evaluation", "rejected")}
        content["documents"][n] = old | {"version": 1}
        content["contributions"][n]["evidence_hash"] = evidence_hash(content["documents"][n]).hex()
    content["evaluation"]["accuracy"] = 0.5
    old = Attested.from_dict(content, file=files.attested(1))
    terms_hash = settled.ledger.decoded.terms_hash
    assert list(contradictions(old, 1, terms_hash, settled.resolved.names)) == []


def test_whoever_submits_sees_to_the_attesters_signature(agree_on_clinics, tmp_path):
    loop = agree_on_clinics().loop(tmp_path)
    loop.open()
    loop.train()
    loop.attest()
    path = loop.workspace.attested(1)
    content = json.loads(path.read_text())
    content["signatures"][0], content["signatures"][1] = content["signatures"][1], content["signatures"][0]
    path.write_text(json.dumps(content))
    for n in (0, 1):
        with pytest.raises(WorkspaceError, match="has not signed the contribution"):
            loop.submit(n)
    loop.submit(2)
    ledger: Any = loop.ledger
    found = evidence_check(loop.workspace, loop.resolved, claims_of(ledger.collect(), ledger.encoded, lambda _: False))
    assert found[0] == "FAIL"
    assert "has not signed" in found[1]
