"""A node opens its organization's agreement from two files and its key, without any ledger."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from chain.encoding.codec import encode
from chain.encoding.signatures import Domain, verify
from chain.errors.keys import DevelopmentKeyRefused
from cli.flower.apps import open_node, request_from_environment
from cocogen.errors import ConfigurationError, DatasetError
from cocogen.operations.deployment import load_deployment
from cocogen.operations.session import load_resolved
from cocogen.rounds.workspace import Workspace
from tests.examples import typed

EXAMPLE = Path(__file__).parents[3] / "examples" / "clinics.toml"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    terms = folder / "clinics.toml"
    terms.write_text(EXAMPLE.read_text().replace("pretraining_rounds = 30", "pretraining_rounds = 1"))
    assert typed("deploy", terms, "--workspace", folder / "work")[0] == 0
    return folder / "work"


@pytest.fixture
def workspace(deployed, tmp_path, monkeypatch):
    """A folder of the organization's own, with the two files that it needs."""
    for name in ("resolved.json", "deployment.json"):
        (tmp_path / name).write_bytes((deployed / name).read_bytes())
    monkeypatch.setenv("COCOGEN_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("COCOGEN_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("COCOGEN_LEDGER", raising=False)
    return Workspace(tmp_path)


def opened(organization):
    request = request_from_environment()
    return open_node(request, organization, request.find_workspace().root / "node")


def test_a_member_signs_as_the_ledger_expects(workspace):
    node = opened("meadow")
    resolved, deployment = load_resolved(workspace), load_deployment(workspace.deployment)
    domain = Domain(deployment.chain_id, deployment.address)
    digest = bytes(range(32))
    assert verify(domain.evidence_digest(digest), node.sign(digest), resolved.organization[4].address)
    assert "0x" + node.terms_hash.hex() == deployment.terms_hash
    assert node.maximum == 300
    assert node.rounds == resolved.consortium.rounds


def agree_on_privacy(workspace):
    record, content = json.loads(workspace.deployment.read_text()), json.loads(workspace.resolved.read_text())
    content["learning"]["privacy"] = {"clip": 1.0, "noise_multiplier": 1.0, "delta": 1e-5}
    workspace.resolved.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n")
    record["terms_hash"] = "0x" + encode(load_resolved(workspace).settlement_terms()).terms_hash.hex()
    workspace.deployment.write_text(json.dumps(record))


@pytest.fixture
def salts(monkeypatch):
    """The salts that members are opened with."""
    seen = []
    monkeypatch.setattr("cocogen.evidence.member.Member", lambda *_, salt: seen.append(salt))
    return seen


def test_without_privacy_salts_are_those_of_local_runs(workspace, salts):
    opened("north").member()
    assert salts == [None]


def test_under_privacy_the_salt_follows_from_the_organizations_key(workspace, salts, monkeypatch):
    agree_on_privacy(workspace)
    for name in ("north", "north", "harbor"):
        opened(name).member()
    north, again, harbor = salts
    assert len(north) == 32
    assert north == again
    assert north != harbor
    monkeypatch.setattr("chain.keys.accounts.Accounts.signer", lambda *_: Account.from_key(b"\x07" * 32))
    opened("north").member()
    assert salts[3] not in {north, harbor}


def test_under_privacy_another_contract_has_another_salt_and_other_orders(workspace, salts):
    agree_on_privacy(workspace)
    first = opened("north")
    record = json.loads(workspace.deployment.read_text())
    record["chain_id"] += 1
    workspace.deployment.write_text(json.dumps(record))
    second = opened("north")
    first.member(), second.member()
    assert first.orders.folder.parent == second.orders.folder.parent == workspace.root / "flower-orders"
    assert first.orders != second.orders
    # Each was opened with what its own member signs.
    assert salts[0] != salts[1]


def test_under_privacy_a_node_without_a_key_opens_no_member(workspace):
    agree_on_privacy(workspace)
    record = json.loads(workspace.deployment.read_text())
    record["details"]["ledger"] = "https://node.example.org"
    workspace.deployment.write_text(json.dumps(record))
    with pytest.raises(DevelopmentKeyRefused):
        opened("north").member()


def test_a_node_must_name_one_of_the_organizations(workspace):
    with pytest.raises(ConfigurationError, match="for 'nobody', which is none of north, harbor"):
        opened("nobody")


def test_a_node_does_not_open_terms_that_were_not_deployed(workspace):
    content = json.loads(workspace.resolved.read_text())
    content["organization"][0]["generated_cap"] += 1
    workspace.resolved.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n")
    with pytest.raises(ConfigurationError, match="records the terms"):
        opened("north")


def test_a_node_reads_the_file_that_lies_beside_the_terms(workspace, tmp_path):
    (tmp_path / "terms").mkdir()
    (tmp_path / "terms" / "market.toml").touch()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    features = (rng.standard_normal((600, 30)) + labels[:, None]).astype(np.float32)
    np.savez(tmp_path / "terms" / "ours.npz", features=features, labels=labels)
    record, content = json.loads(workspace.deployment.read_text()), json.loads(workspace.resolved.read_text())
    record["details"]["config"] = str(tmp_path / "terms" / "market.toml")
    content["learning"]["dataset"] = "ours.npz"
    workspace.resolved.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n")
    record["terms_hash"] = "0x" + encode(load_resolved(workspace).settlement_terms()).terms_hash.hex()
    workspace.deployment.write_text(json.dumps(record))
    member = opened("north").member()
    assert (member.name, member.registered) == ("north", 105)
    (tmp_path / "terms" / "ours.npz").unlink()
    with pytest.raises(DatasetError, match=r"ours\.npz"):
        opened("north").member()


def test_on_a_real_chain_a_development_key_is_refused(workspace):
    record = json.loads(workspace.deployment.read_text())
    record["details"]["ledger"] = "https://node.example.org"
    workspace.deployment.write_text(json.dumps(record))
    with pytest.raises(DevelopmentKeyRefused):
        opened("north").sign(bytes(32))
