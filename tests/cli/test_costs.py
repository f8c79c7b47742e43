"""``cocogen costs``: what a terms file costs before anybody has agreed to it."""

from __future__ import annotations

import json

import pytest

from chain.gas import measured_gas
from tests.e2e.conftest import CommandLine
from tests.examples import CLINICS, edited, typed


def data(*arguments: object, code: int = 0) -> dict:
    found, out, err = typed("costs", *arguments, "--format", "json")
    assert found == code, out + err
    return json.loads(out)["data" if code == 0 else "error"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("COCOGEN_LEDGER", "COCOGEN_WORKSPACE", "COCOGEN_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_ledger_the_price_is_assumed_and_said():
    found = data(CLINICS)
    gas = measured_gas(6)
    assert (found["organizations"], found["rounds"]) == (6, 5)
    assert found["roles"]["operator"]["steps"][0] == {
        "what": "deploy", "times": 1, "gas": gas.deploy, "fee": str(gas.deploy * 5 * 10**9), "disputed": False
    }  # fmt: skip
    assert found["gas_price"] == str(5 * 10**9)
    assert "no ledger is named" in found["gas_price_source"]
    assert found["bonds"] is None
    said = typed("costs", CLINICS)[1]
    assert "its price: 5 gwei, assumed: no ledger is named" in said
    assert "bonds: not known before the terms are resolved" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_price_can_be_stated():
    assert data(CLINICS, "--gas-price", "0.5gwei")["gas_price"] == str(5 * 10**8)
    assert "its price: 0.5 gwei, as stated" in typed("costs", CLINICS, "--gas-price", "0.5gwei")[1]
    refused = data(CLINICS, "--gas-price", "cheap", code=2)
    assert refused["code"] == "ConfigurationError"
    assert "--gas-price" in refused["message"]


def test_a_local_ledger_has_no_price_and_an_unreachable_one_is_an_error():
    assert "worthless" in data(CLINICS, "--ledger", "memory")["gas_price_source"]
    assert data(CLINICS, "--ledger", "http://127.0.0.1:1", code=3)["code"] == "ChainUnavailable"


def test_a_token_needs_approvals(tmp_path):
    stated = edited(tmp_path / "token.toml", ("[settlement]\n", f'[settlement]\ntoken = "0x{"11" * 20}"\n'))
    found = data(stated)
    assert found["token"]
    assert "let the contract take the tokens" in [step["what"] for step in found["roles"]["organization"]["steps"]]
    assert "more than a plain ERC-20" in typed("costs", stated)[1]


def test_bonds_are_shown_once_the_terms_are_resolved_and_only_for_those_terms(once, opened, tmp_path, monkeypatch):
    consortium = CommandLine(once.copy(opened, tmp_path / "deployed"))
    monkeypatch.chdir(consortium.folder)
    liabilities = {name: entry["liability"] for name, entry in consortium.json("status")["organizations"].items()}
    found = data("clinics.toml")
    assert {name: entry["liability"] for name, entry in found["bonds"].items()} == liabilities
    assert all(int(entry["deposit"]) == 2 * int(entry["liability"]) for entry in found["bonds"].values())
    assert "bonds (they come back" in typed("costs", "clinics.toml")[1]
    assert data(CLINICS)["bonds"] is None, "other terms were resolved here"


@pytest.mark.slow
def test_the_price_is_that_of_the_node(needs_node):
    from chain.backends import open_backend

    needs_node("anvil")
    with open_backend("anvil") as backend:
        url = backend.web3.provider.endpoint_uri
        found = data(CLINICS, "--ledger", url)
        block = backend.web3.eth.get_block("latest")
        tip = backend.web3.eth.max_priority_fee
    assert int(found["gas_price"]) == block["baseFeePerGas"] + tip
    assert found["gas_price_source"].startswith("at present on http://127.0.0.1")
