"""``cocogen deploy`` where a deployment is already: kept, corrected, or set aside because its chain took it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.contract.provider import ChainProvider
from chain.encoding.signatures import address_of
from chain.keys.keystores import development_key
from chain.open import open_ledger
from cli.operator import _make_way
from cli.request import ledger_location
from cocogen.errors import WorkspaceError
from cocogen.ledger import Member, SettlementTerms, Whereabouts
from cocogen.operations.deployment import load_deployment, save_deployment
from cocogen.rounds.workspace import Workspace

SEED = 7


def terms() -> SettlementTerms:
    members = tuple(
        Member(name=f"o{n}", address=address_of(development_key(SEED, f"o{n}")), data_cap=10, generated_cap=5,
               compute_cap=0, score_weight=1.0, score_offset=0.0)
        for n in range(2)
    )  # fmt: skip
    roles = {role: address_of(development_key(SEED, role)) for role in ("attester", "arbiter")}
    return SettlementTerms(
        members=members,
        competition=((0.0, 0.02), (0.02, 0.0)),
        incentive=0.4,
        wei_per_unit=10**15,
        document_hash=bytes(range(32)),
        test=True,
        **roles,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A deployment on an embedded chain whose latest block the test may take back."""
    made = Workspace(tmp_path / "clinics")
    made.root.mkdir()
    provider: Any = open_ledger(ledger_location("embedded", made), seed=SEED)
    try:
        deployment = provider.deploy(terms()).deployment
    finally:
        provider.close()
    save_deployment(replace(deployment, details={**deployment.details, "ledger": "embedded"}), made.deployment)
    return made


def take_back(workspace: Workspace) -> None:
    """Put another chain, as long as the first one, in its place."""
    block = load_deployment(workspace.deployment).block
    workspace.chain.unlink()
    provider: Any = open_ledger(ledger_location("embedded", workspace), seed=SEED)
    for _ in range(block):
        provider.backend.advance(1)
    provider.close()


def test_a_deployment_that_is_there_stays(workspace):
    before = workspace.deployment.read_bytes()
    with pytest.raises(WorkspaceError, match="already holds a deployment"):
        _make_way(workspace, None, SEED, None)
    assert workspace.deployment.read_bytes() == before


def test_its_block_is_corrected_and_said(workspace, capsys):
    deployment = load_deployment(workspace.deployment)
    save_deployment(replace(deployment, block=deployment.block + 1), workspace.deployment)
    with pytest.raises(WorkspaceError, match="already holds a deployment"):
        _make_way(workspace, None, SEED, None)
    assert load_deployment(workspace.deployment) == deployment
    assert f"created in block {deployment.block}" in capsys.readouterr().err


def test_one_that_its_chain_took_back_is_set_aside_and_said(workspace, capsys):
    take_back(workspace)
    _make_way(workspace, "embedded", SEED, None)
    assert not workspace.deployment.exists()
    assert workspace.root.with_name("clinics.1").joinpath("deployment.json").is_file()
    said = capsys.readouterr().err
    assert "no longer on its chain" in said
    assert "deploying again" in said


def test_one_that_is_under_way_is_waited_for(workspace, monkeypatch):
    monkeypatch.setattr(ChainProvider, "whereabouts", lambda *_: Whereabouts("pending"))
    with pytest.raises(WorkspaceError, match="still under way"):
        _make_way(workspace, None, SEED, None)
    assert workspace.deployment.exists()


@pytest.mark.parametrize("spec", ["http://127.0.0.1:9", "embedded:/other.sqlite"])
def test_another_ledger_says_nothing_about_it(workspace, spec):
    take_back(workspace)
    with pytest.raises(WorkspaceError, match="already holds a deployment"):
        _make_way(workspace, spec, SEED, None)


def test_a_node_that_is_gone_says_nothing_about_it(workspace):
    deployment = load_deployment(workspace.deployment)
    details = {**deployment.details, "ledger": "http://127.0.0.1:9"}
    save_deployment(replace(deployment, details=details), workspace.deployment)
    with pytest.raises(WorkspaceError, match="already holds a deployment"):
        _make_way(workspace, "http://127.0.0.1:9", SEED, None)
