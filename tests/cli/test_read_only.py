"""Audits and exports of a consortium in whose folder nobody here may write."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.backends.embedded import EmbeddedBackend
from chain.errors.chain import ChainUnavailable
from chain.open import open_ledger
from cli.request import ledger_location
from cocogen.errors import WorkspaceError
from cocogen.operations.deployment import save_deployment
from cocogen.rounds.workspace import Workspace
from tests.examples import typed

NOBODY = 65_534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions mean nothing to the superuser."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that everybody may read and, when a test has locked it, nobody write to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)


def close(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_chain_is_read_without_a_lock_and_never_written(readable):
    path = readable / "chain.sqlite"
    with EmbeddedBackend(path) as backend:
        backend.advance(5)
        head = backend.now()
    path.with_name("chain.sqlite.lock").unlink()
    close(readable)
    before = path.read_bytes()
    with as_nobody(), EmbeddedBackend(path) as backend:
        assert backend.now() == head
        with pytest.raises(ChainUnavailable, match="readonly"):
            backend.advance(5)
    assert path.read_bytes() == before
    assert [each.name for each in readable.iterdir()] == ["chain.sqlite"]


def test_a_chain_that_is_not_there_is_not_begun(readable):
    close(readable)
    with as_nobody(), pytest.raises(ChainUnavailable, match="cannot be locked"):
        EmbeddedBackend(readable / "chain.sqlite")


def test_a_workspace_is_read_without_a_lock_and_held_for_writing_only(readable):
    workspace = Workspace(readable / "clinics")
    workspace.root.mkdir()
    close(readable)
    with as_nobody():
        with workspace.locked(reading=True):
            assert workspace.root.is_dir()
        with pytest.raises(WorkspaceError, match="cannot be used"), workspace.locked():
            pytest.fail("held")
        with (
            pytest.raises(WorkspaceError, match="cannot be used"),
            Workspace(readable / "none").locked(reading=True),
        ):
            pytest.fail("held")
    assert list(readable.iterdir()) == [workspace.root]


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = typed(*arguments, "--format", "json")
    return code, json.loads(out)


def test_audit_and_export_work_there(readable, agree_on_clinics_in):
    """From the first byte to the verdict, the consortium's folder stays as it is."""
    workspace = agree_on_clinics_in(readable / "clinics")
    # nobody need not be able to read the interpreter's own files: all modules are loaded before
    with tempfile.TemporaryDirectory() as own, contextlib.chdir(own):
        assert run("export", "--workspace", str(workspace.root))[0] == 0
        assert run("audit", "--workspace", str(workspace.root), "--offline", "ledger.jsonl")[0] == 0
    for lock in (*readable.glob(".*.lock"), *workspace.root.glob("*.lock")):
        lock.unlink()
    close(readable)
    before = {path: path.stat().st_mtime_ns for path in readable.rglob("*")}
    with as_nobody(), tempfile.TemporaryDirectory() as own, contextlib.chdir(own):
        code, answer = run("audit", "--workspace", str(workspace.root))
        assert code == 0, answer
        assert answer["data"]["status"] == "PASS"
        code, answer = run("export", "--workspace", str(workspace.root), "-o", "ledger.jsonl")
        assert code == 0, answer
        code, answer = run("audit", "--workspace", str(workspace.root), "--offline", "ledger.jsonl")
        assert code == 0, answer
    assert {path: path.stat().st_mtime_ns for path in readable.rglob("*")} == before


@pytest.fixture
def agree_on_clinics_in() -> Any:
    """Deploys terms that agree with their file on an embedded chain."""
    from cocogen.evidence.local import Agreed, Local
    from cocogen.files import write_atomically
    from cocogen.operations.registration import register
    from cocogen.terms.consortium import load_consortium

    def deploy(root: Path) -> Workspace:
        example = Path(__file__).parents[2] / "examples" / "clinics.toml"
        consortium = load_consortium(example)
        workspace = Workspace(root)
        root.mkdir()
        provider: Any = open_ledger(ledger_location("embedded", workspace), seed=consortium.consortium.seed)
        task = Local(Agreed.of(consortium))
        registration = register(consortium, provider, task)
        registration.shared.save(workspace.initial_model)
        write_atomically(workspace.terms, consortium.source)
        write_atomically(workspace.resolved, registration.resolved.to_json().encode())
        deployment = provider.deploy(registration.resolved.settlement_terms()).deployment
        provider.close()
        save_deployment(replace(deployment, details={**deployment.details, "ledger": "embedded"}), workspace.deployment)
        return workspace

    return deploy
