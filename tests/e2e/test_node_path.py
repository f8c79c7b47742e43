"""A round by hand on a node over HTTP, every account from a keystore, as on a chain where money is real."""

from __future__ import annotations

import json
from typing import Any

import pytest

NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
ROLES = ("attester", "arbiter", "operator")
PASSWORD = "only-for-this-test-9f2c"
TOKEN = "0123456789abcdef0123456789abcdef"
DAY = 86_400


class Node:
    """A bare anvil node, and what only its owner may do: give ether, move time."""

    def __init__(self, *arguments: str) -> None:
        from chain.backends.process import HOST, NodeProcess
        from chain.backends.provider import NodeProvider

        self.process = NodeProcess(
            "anvil", lambda port: ["--host", HOST, "--port", str(port), "--silent", "--accounts", "1", *arguments]
        )
        self.url = self.process.url
        self._provider = NodeProvider(self.url)

    def __call__(self, method: str, *parameters: Any) -> Any:
        answer = self._provider.make_request(method, list(parameters))
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        self._provider.close()
        self.process.stop()


@pytest.fixture
def start_node(needs_node):
    needs_node("anvil")
    started = []

    def start(*arguments: str) -> Node:
        started.append(Node(*arguments))
        return started[-1]

    yield start
    for node in started:
        node.close()


@pytest.fixture
def keystores(tmp_path, monkeypatch):
    """A keystore for everybody, cheaply encrypted under one password; returns the addresses."""
    from chain.keys.keystores import KeyFolder, development_key

    folder = KeyFolder(tmp_path / "keys")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "wrong").write_text("guessed\n")
    (tmp_path / "wrong").chmod(0o600)
    monkeypatch.setenv("COCOGEN_KEYS", str(folder.path))
    monkeypatch.setenv("COCOGEN_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.delenv("COCOGEN_PASSWORD", raising=False)
    secrets = {name: development_key(2**64, name) for name in (*NAMES, *ROLES)}
    stored = {name: folder.add(name, secret, PASSWORD, cost=2).address for name, secret in secrets.items()}
    return stored, [secret.hex() for secret in secrets.values()]


def state_addresses(path, addresses: dict[str, str]) -> None:
    """Name the address of every organization and role in the terms file."""
    text = path.read_text()
    for name in NAMES:
        text = text.replace(f'name = "{name}"\n', f'name = "{name}"\naddress = "{addresses[name]}"\n')
    roles = "".join(f'{role} = "{addresses[role]}"\n' for role in ("attester", "arbiter"))
    path.write_text(text.replace("[settlement]\n", f"[settlement]\n{roles}"))


@pytest.mark.slow
def test_a_round_on_a_real_chain_is_signed_by_keystores_alone(cocogen, terms, keystores, start_node, monkeypatch):
    addresses, secrets = keystores
    node = start_node("--chain-id", "5551")
    monkeypatch.setenv("COCOGEN_CONFIRMATIONS", "0")
    monkeypatch.setenv("COCOGEN_LEDGER", node.url.replace("http://", f"http://user:{TOKEN}@"))
    state_addresses(terms, addresses)
    said = []

    def do(command: str, *, code: int = 0) -> dict[str, Any]:
        answer = cocogen(f"{command} --format json", code=code)
        said.append(answer.out + answer.err)
        return answer.error if code > 1 else answer.data

    poor = do("deploy clinics.toml", code=3)
    assert poor["code"] == "TooLittleEther"
    for address in addresses.values():
        node("anvil_setBalance", address, hex(10**24))
    assert do("deploy clinics.toml", code=2)["code"] == "NotAgreed"
    assert int(do("deploy clinics.toml --dry-run")["account_before"]) == 10**24
    assert int(node("eth_getTransactionCount", addresses["operator"], "latest"), 16) == 0
    deployed = do("deploy clinics.toml --yes")
    assert {name: entry["address"] for name, entry in deployed["organizations"].items()} == {
        name: addresses[name] for name in NAMES
    }
    unasked = do("deposit -o north", code=2)
    assert unasked["code"] == "NotAgreed"
    assert "--yes" in unasked["hint"]
    shown = do("deposit -o north --dry-run")
    assert (shown["sender"], shown["account_before"], shown["local"]) == (addresses["north"], str(10**24), False)
    assert int(shown["fee"]) == shown["gas"] * int(shown["gas_price"])
    assert int(node("eth_getTransactionCount", addresses["north"], "latest"), 16) == 0
    for name in NAMES:
        deposited = do(f"deposit -o {name} --yes")
        assert shown["by"] != name or deposited["deposited"] == shown["amount"]
    left = int(node("eth_getBalance", addresses["north"], "latest"), 16)
    assert 0 <= left - int(shown["account_after"]) < int(shown["fee"]), "what was shown is what was left"
    assert do("round open")["participants"] == list(NAMES)
    do("train")
    do("attest")
    for name in NAMES:
        do(f"submit -o {name}")
    do("round record")
    assert do("round settle", code=3)["code"] == "TooEarly"
    assert do("chain advance 86401", code=3)["code"] == "NotALocalChain"
    node("evm_increaseTime", DAY + 1)
    node("evm_mine")
    transfers = [int(wei) for wei in do("round settle")["transfers"].values()]
    assert sum(transfers) == 0
    assert any(transfers)
    before = int(node("eth_getBalance", addresses["north"], "latest"), 16)
    assert do("withdraw -o north --amount max", code=2)["code"] == "NotAgreed"
    withdrawn = int(do("withdraw -o north --amount max --yes")["withdrawn"])
    assert before < int(node("eth_getBalance", addresses["north"], "latest"), 16) <= before + withdrawn
    assert do("audit")["status"] == "PASS"
    said.append(cocogen("status").out)

    monkeypatch.setenv("COCOGEN_PASSWORD_FILE", str(terms.parent / "wrong"))
    assert do("deposit -o north", code=2)["code"] == "WrongPassword"
    monkeypatch.setenv("COCOGEN_KEYS", str(terms.parent / "none"))
    missing = do("deposit -o north", code=3)
    assert missing["code"] == "MissingKey"
    assert "keys new north" in missing["hint"]
    monkeypatch.delenv("COCOGEN_LEDGER")
    asked = do("status", code=2)
    assert "COCOGEN_LEDGER" in asked["hint"]

    written = "".join(
        path.read_text(errors="replace") for path in (terms.parent / ".cocogen").rglob("*") if path.is_file()
    )
    for secret in (*secrets, PASSWORD, TOKEN):
        assert secret not in "".join(said) + written


def test_real_chain_refuses_accounts_that_everybody_can_derive(cocogen, terms, start_node, tmp_path, monkeypatch):
    from chain.encoding.signatures import address_of
    from chain.keys.keystores import development_key

    monkeypatch.setenv("COCOGEN_KEYS", str(tmp_path / "none"))
    node = start_node("--chain-id", "5551")
    deploy = f"deploy clinics.toml --ledger {node.url}"
    assert cocogen.json(deploy, code=3)["code"] == "MissingKey"
    seed = 7
    assert f"seed = {seed}\n" in terms.read_text()
    state_addresses(terms, {name: address_of(development_key(seed, name)) for name in (*NAMES, *ROLES)})
    assert cocogen.json(deploy, code=2)["code"] == "DevelopmentKeyRefused"


@pytest.mark.slow
def test_local_node_takes_keystores_where_the_terms_name_addresses(cocogen, terms, keystores, start_node):
    addresses, secrets = keystores
    node = start_node()
    state_addresses(terms, addresses)
    deployed = cocogen(f"deploy clinics.toml --ledger {node.url} --format json")
    assert json.loads(deployed.out)["data"]["ledger"]["backend"] == "http"
    # the record remembers a URL without secrets, and a local chain gives ether
    deposited = cocogen.json("deposit -o north")
    assert int(deposited["deposited"]) > 0
    node("evm_mine")
    assert cocogen.json("round open", code=3)["code"] == "NotEnoughMembers"
    assert not any(secret in deployed.out + deployed.err for secret in secrets)


def test_operator_that_cannot_sign_or_pay_is_told_before_anything_is_measured(
    cocogen, terms, keystores, start_node, monkeypatch
):
    from cocogen.evidence.local import Local

    monkeypatch.setattr(Local, "pretrain", lambda *_: pytest.fail("it began to train"))
    addresses, _ = keystores
    state_addresses(terms, addresses)
    deploy = f"deploy clinics.toml --ledger {start_node('--chain-id', '5551').url}"
    refused = cocogen.json(deploy, code=3)
    assert refused["code"] == "TooLittleEther"
    assert addresses["operator"] in refused["message"]
    monkeypatch.setenv("COCOGEN_PASSWORD_FILE", str(terms.parent / "wrong"))
    assert cocogen.json(deploy, code=2)["code"] == "WrongPassword"
