"""An opened consortium: what it holds, and what is said where it cannot be opened."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError, LedgerError, SettlementRefused, WorkspaceError
from cocogen.operations.agreement import disagreements
from cocogen.operations.session import open_consortium
from cocogen.rounds.workspace import Workspace


def test_it_is_opened_with_the_ledger_that_is_handed_in_and_leaves_it_open(deployed, memory):
    with open_consortium(deployed.workspace, memory) as consortium:
        assert consortium.resolved == deployed.resolved
        assert consortium.ledger.deployment.address == deployed.deployment.address
        assert consortium.index("harbor") == 1
        with pytest.raises(WorkspaceError, match="in use by another process"), Workspace(deployed.workspace).locked():
            pass
    assert memory.whereabouts(deployed.deployment).state == "there"
    with Workspace(deployed.workspace).locked():
        pass


def test_an_unknown_organization_is_told_the_known_ones(deployed, memory):
    with (
        open_consortium(deployed.workspace, memory) as consortium,
        pytest.raises(ConfigurationError, match="'nobody'") as caught,
    ):
        consortium.index("nobody")
    assert "north" in caught.value.hint


def test_nothing_deployed_is_no_consortium(tmp_path, memory):
    with pytest.raises(WorkspaceError, match="nothing is deployed"), open_consortium(tmp_path, memory):
        pass


def test_resolved_terms_that_are_gone_are_said(deployed, memory):
    (deployed.workspace / "resolved.json").unlink()
    with pytest.raises(WorkspaceError, match=r"resolved\.json"), open_consortium(deployed.workspace, memory):
        pass


def test_another_ledger_does_not_hold_it(deployed):
    with open_consortium(deployed.workspace, MemoryProvider(8)) as consortium, pytest.raises(LedgerError):
        _ = consortium.ledger


def test_what_the_rules_refuse_is_said_with_names_for_indices_and_addresses(deployed, memory):
    with (
        pytest.raises(SettlementRefused) as caught,
        open_consortium(deployed.workspace, memory) as consortium,
    ):
        consortium.ledger.withdraw(2, 1)
    assert "0x" not in str(caught.value)
    assert consortium.resolved.names[2] in caught.value.message


def test_a_terms_file_is_compared_with_what_is_deployed(deployed, memory, clinics):
    with open_consortium(deployed.workspace, memory) as consortium:
        assert disagreements(consortium, clinics) == []
        settlement = clinics.settlement.model_copy(update={"submit_window": clinics.settlement.submit_window + 1})
        assert disagreements(consortium, clinics.model_copy(update={"settlement": settlement})) == ["settlement"]
        consortium.provider = MemoryProvider(8)
        assert disagreements(consortium, clinics) == ["settlement.attester", "settlement.arbiter"]


def test_data_are_looked_for_beside_the_terms_file_that_was_deployed(deployed, memory, tmp_path):
    with open_consortium(deployed.workspace, memory, data_dir=str(tmp_path)) as consortium:
        assert consortium.folders().terms == Path(str(deployed.deployment.details["config"])).parent
        gone = {**deployed.deployment.details, "config": str(tmp_path / "gone.toml")}
        consortium.deployment = dataclasses.replace(deployed.deployment, details=gone)
        assert consortium.folders().terms == consortium.workspace.root
