"""Deploying, and a deployment that is there already: kept, corrected, or set aside because its chain took it back."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.contract.provider import ChainProvider
from chain.encoding.signatures import address_of
from chain.keys.keystores import development_key
from chain.open import open_ledger
from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.ledger import Deployment, Member, SettlementTerms, Whereabouts
from cocogen.operations.deploy import deploy, make_way
from cocogen.operations.deployment import load_deployment, save_deployment
from cocogen.operations.session import load_resolved
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


def chain_of(workspace: Workspace) -> Any:
    return open_ledger(f"embedded:{workspace.chain.resolve()}", seed=SEED)


def found_way(workspace: Workspace, wanted: str | None = None) -> list[str]:
    """What is said while the way for another deployment is made."""

    def opener(record: Deployment) -> closing[Any]:
        recorded = str(record.details["ledger"])
        return closing(chain_of(workspace) if recorded == "embedded" else open_ledger(recorded, seed=SEED))

    said: list[str] = []
    try:
        make_way(workspace, wanted, opener, said.append)
    except WorkspaceError as error:
        said.append(str(error))
    return said


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A deployment on an embedded chain whose latest block the test may take back."""
    made = Workspace(tmp_path / "clinics")
    made.root.mkdir()
    provider: Any = chain_of(made)
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
    provider: Any = chain_of(workspace)
    for _ in range(block):
        provider.backend.advance(1)
    provider.close()


def test_a_deployment_that_is_there_stays(workspace):
    before = workspace.deployment.read_bytes()
    assert found_way(workspace) == [f"{workspace.root} already holds a deployment"]
    assert workspace.deployment.read_bytes() == before


def test_its_block_is_corrected_and_said(workspace):
    deployment = load_deployment(workspace.deployment)
    save_deployment(replace(deployment, block=deployment.block + 1), workspace.deployment)
    corrected, refused = found_way(workspace)
    assert f"created in block {deployment.block}" in corrected
    assert "already holds a deployment" in refused
    assert load_deployment(workspace.deployment) == deployment


def test_one_that_its_chain_took_back_is_set_aside_and_said(workspace):
    take_back(workspace)
    (said,) = found_way(workspace, "embedded")
    assert not workspace.deployment.exists()
    assert workspace.root.with_name("clinics.1").joinpath("deployment.json").is_file()
    assert "no longer on its chain" in said
    assert "deploying again" in said


def test_one_that_is_under_way_is_waited_for(workspace, monkeypatch):
    monkeypatch.setattr(ChainProvider, "whereabouts", lambda *_: Whereabouts("pending"))
    (said,) = found_way(workspace)
    assert "still under way" in said
    assert workspace.deployment.exists()


@pytest.mark.parametrize("wanted", ["http://127.0.0.1:9", "embedded:/other.sqlite"])
def test_another_ledger_says_nothing_about_it(workspace, wanted):
    take_back(workspace)
    assert found_way(workspace, wanted) == [f"{workspace.root} already holds a deployment"]


def test_a_node_that_is_gone_says_nothing_about_it(workspace):
    deployment = load_deployment(workspace.deployment)
    details = {**deployment.details, "ledger": "http://127.0.0.1:9"}
    save_deployment(replace(deployment, details=details), workspace.deployment)
    assert found_way(workspace, "http://127.0.0.1:9") == [f"{workspace.root} already holds a deployment"]


class _Kept:
    """A journal that tells what was asked of it."""

    intents = ()

    def __init__(self) -> None:
        self.deferred = False
        self.released: list[bool] = []

    def forget(self, intents: Any) -> None:
        raise AssertionError(f"nothing was sent: {intents}")

    def release(self) -> None:
        self.released.append(self.deferred)


def test_deploying_resolves_the_terms_and_says_what_each_organization_has_to_bond(clinics, memory, tmp_path):
    told: list[str] = []
    journal = _Kept()
    made = deploy(clinics, memory, tmp_path / "w", journal=journal, progress=lambda *step: told.append(step[0]))
    workspace = Workspace(made.workspace)
    assert load_resolved(workspace) == made.resolved
    assert load_deployment(workspace.deployment) == made.deployment
    assert workspace.terms.read_bytes() == clinics.source
    assert made.liabilities == memory.decode(made.resolved.settlement_terms()).liabilities
    assert journal.released == [True], "the contract's creation is kept until the record is there"
    assert told

    plain = made.plain()
    assert list(plain) == ["workspace", "ledger", "incentive", "shared_roles", "organizations", "warnings"]
    assert plain["ledger"]["backend"] == made.deployment.details["ledger"] == "memory"
    assert json.loads(json.dumps(plain)) == plain
    north = plain["organizations"]["north"]
    assert north["liability"] == str(made.liabilities[0])
    assert north["local"] == made.resolved.organization[0].local


def test_a_second_deployment_is_refused_and_one_of_a_ledger_that_ended_is_set_aside(clinics, memory, deployed):
    with pytest.raises(WorkspaceError, match="already holds a deployment"):
        deploy(clinics, memory, deployed.workspace)
    said: list[str] = []
    again = deploy(clinics, MemoryProvider(SEED), deployed.workspace, note=said.append)
    assert "no longer on its chain" in said[0]
    assert again.plain() == deployed.plain()
    assert deployed.workspace.with_name("clinics.1").is_dir()


def test_terms_that_do_not_fit_the_ledger_are_a_fault_of_the_terms_file(clinics, memory, tmp_path):
    settlement = clinics.settlement.model_copy(update={"wei_per_unit": 10**38})
    with pytest.raises(ConfigurationError, match="do not fit the contract's integers") as caught:
        deploy(clinics.model_copy(update={"settlement": settlement}), memory, tmp_path / "w")
    assert caught.value.problems
    assert "wei_per_unit" in caught.value.hint
    assert not Workspace(tmp_path / "w").deployment.exists()


def test_the_chain_in_the_workspace_is_recorded_as_the_workspaces_own(clinics, tmp_path):
    workspace = Workspace(tmp_path / "w")
    workspace.root.mkdir()
    with closing(chain_of(workspace)) as ledger:
        made = deploy(clinics, ledger, workspace.root)
    assert made.deployment.details["ledger"] == "embedded"
