"""Nothing that one party hands to another says where it lies on the first one's machine, or which node that uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cocogen.operations.deployment import handed_on, load_deployment, save_deployment
from tests.e2e.conftest import CommandLine

ADDRESS = "http://10.9.8.7:8545"


@pytest.fixture
def consortium(once, opened, tmp_path):
    return CommandLine(once.copy(opened, tmp_path / "somewhere" / "of-olga"))


def test_exported_ledgers_and_agreed_files_hold_no_path_and_no_node(consortium):
    consortium("export -o ledger.jsonl")
    workspace = consortium.folder / ".cocogen" / "clinics"
    save_deployment(
        handed_on(load_deployment(workspace.joinpath("deployment.json"))), consortium.folder / "record.json"
    )
    given = [consortium.folder / "ledger.jsonl", consortium.folder / "record.json"]
    given += [workspace / "resolved.json", workspace / "terms.toml", *workspace.rglob("*.bundle")]
    assert "config" in (workspace / "deployment.json").read_text(), "one's own record has what others do not get"
    for path in given:
        content = path.read_bytes()
        for secret in (str(consortium.folder), "chain.sqlite", "of-olga", "://"):
            assert secret.encode() not in content, (path.name, secret)


def test_whoever_gets_a_record_without_a_node_is_asked_for_one(consortium, monkeypatch):
    monkeypatch.delenv("COCOGEN_LEDGER", raising=False)
    path = consortium.folder / ".cocogen" / "clinics" / "deployment.json"
    record = load_deployment(path)
    save_deployment(handed_on(record), path)
    assert consortium.json("status")["round"] == 1, "a chain in the workspace needs no name"
    save_deployment(handed_on(replace(record, backend=ADDRESS)), path)
    refused = consortium.json("status", code=2)
    assert "names no node" in refused["message"]
    assert "--ledger" in refused["hint"]
