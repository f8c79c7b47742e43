"""The deployment record: what is saved is what is loaded, and anything else is refused by field."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.ledger import Deployment
from cocogen.operations.deployment import handed_on, load_deployment, save_deployment

DEPLOYMENT = Deployment(
    backend="embedded:/data/chain.sqlite",
    address="0x" + "ab" * 20,
    terms_hash="0x" + "1f" * 32,
    chain_id=131277322940537,
    block=12,
    details={"transaction": "0x" + "22" * 32, "gas": 2_700_000, "time": 1_700_000_012},
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deployment.json"


def test_saved_record_is_loaded_unchanged(path):
    save_deployment(DEPLOYMENT, path)
    assert load_deployment(path) == DEPLOYMENT


def test_file_is_readable_json_with_a_schema_version(path):
    save_deployment(DEPLOYMENT, path)
    content = json.loads(path.read_text())
    assert content["schema_version"] == 1
    assert content["address"] == DEPLOYMENT.address


def test_saving_replaces_and_leaves_nothing_else_behind(path):
    save_deployment(DEPLOYMENT, path)
    save_deployment(replace(DEPLOYMENT, block=13), path)
    assert load_deployment(path).block == 13
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("embedded:/home/olga/chain.sqlite", "embedded"),
        ("http://10.0.0.7:8545", "http"),
        ("https://***@node.example/***", "https"),
        ("memory", "memory"),
    ],
)
def test_what_is_handed_on_says_where_the_contract_is_and_nothing_of_who_deployed_it(path, backend, kind):
    own = {"ledger": backend, "config": "/home/olga/clinics.toml", "of a later version": "/home/olga"}
    record = handed_on(replace(DEPLOYMENT, backend=backend, details=DEPLOYMENT.details | own))
    assert record == replace(DEPLOYMENT, backend=kind)
    save_deployment(record, path)
    assert load_deployment(path) == record == handed_on(record)
    assert all(secret not in path.read_text() for secret in ("olga", "10.0.0.7", "example", "config", "ledger"))


def test_interrupted_save_keeps_the_old_record(path, monkeypatch):
    save_deployment(DEPLOYMENT, path)

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WorkspaceError, match="No space left"):
        save_deployment(replace(DEPLOYMENT, block=13), path)
    assert load_deployment(path) == DEPLOYMENT
    assert list(path.parent.iterdir()) == [path]


def test_save_into_a_missing_folder_is_a_workspace_error(tmp_path):
    with pytest.raises(WorkspaceError, match="nowhere"):
        save_deployment(DEPLOYMENT, tmp_path / "nowhere" / "deployment.json")


def test_missing_record_says_deploy_first(path):
    with pytest.raises(WorkspaceError, match=r"deployment\.json") as error:
        load_deployment(path)
    assert "deploy" in error.value.hint


def test_folder_in_place_of_the_record_is_a_workspace_error(path):
    path.mkdir()
    with pytest.raises(WorkspaceError, match="cannot be read"):
        load_deployment(path)


def test_binary_file_is_a_workspace_error(path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        load_deployment(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", 2),
        ("backend", ""),
        ("address", "0x12"),
        ("address", 5),
        ("address", "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"),
        ("terms_hash", "0x" + "1F" * 31),
        ("chain_id", -1),
        ("chain_id", 1 << 256),
        ("chain_id", "1"),
        ("chain_id", 1.5),
        ("block", 1 << 64),
        ("block", None),
        ("block", True),
        ("details", []),
    ],
)
def test_wrong_field_is_named_with_its_value(path, field, value):
    save_deployment(DEPLOYMENT, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ConfigurationError, match=str(path)) as error:
        load_deployment(path)
    assert [(problem.field, problem.value) for problem in error.value.problems] == [(field, repr(value))]


@pytest.mark.parametrize(
    "field", ["schema_version", "backend", "address", "terms_hash", "chain_id", "block", "details"]
)
def test_missing_field_is_named(path, field):
    save_deployment(DEPLOYMENT, path)
    content = json.loads(path.read_text())
    del content[field]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError) as error:
        load_deployment(path)
    assert [problem.field for problem in error.value.problems] == [field]


def test_unknown_field_is_named(path):
    save_deployment(DEPLOYMENT, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"owner": "me"}))
    with pytest.raises(ConfigurationError, match="owner"):
        load_deployment(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_text_that_is_no_record_is_a_configuration_error(path, content):
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="no deployment record"):
        load_deployment(path)
