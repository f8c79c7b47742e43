"""A round whose attester and one member are contract wallets: their owners sign and send elsewhere what we name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain.backends import open_backend
from chain.encoding.signatures import address_of, sign
from chain.keys.keystores import development_account, development_key

NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
MOCKS = Path(__file__).parents[1] / "fixtures" / "mocks.json"
ZERO = "0x" + "00" * 20


class Wallets:
    """Two wallets of three owners on the chain in ``file``, two of whom must sign, as Safe has it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        keys = [development_key(5, f"owner {n}") for n in range(3)]
        self.keys = sorted(keys, key=lambda key: int(address_of(key), 16))
        self.relayer = development_account(5, "relayer")
        self.mock = json.loads(MOCKS.read_text())["SafeWallet"]
        with open_backend(f"embedded:{file}") as backend:
            backend.fund(self.relayer.address, 10**18)
            self.attester, self.member = (self._deploy(backend) for _ in range(2))
            backend.fund(self.member, 10**20)

    def _deploy(self, backend) -> str:
        contract = backend.web3.eth.contract(abi=self.mock["abi"], bytecode=self.mock["bytecode"])
        data = contract.constructor([address_of(key) for key in self.keys], 2).data_in_transaction
        return self._send(backend, {"data": data})["contractAddress"]

    def _send(self, backend, call):
        eth = backend.web3.eth
        base = {"chainId": backend.chain_id, "gas": 5_000_000, "gasPrice": 10**10, "value": 0}
        nonce = eth.get_transaction_count(self.relayer.address)
        signed = self.relayer.sign_transaction({**base, **call, "nonce": nonce})
        receipt = eth.wait_for_transaction_receipt(eth.send_raw_transaction(signed.raw_transaction))
        assert receipt["status"] == 1
        return receipt

    def _signed(self, digest: bytes) -> bytes:
        return sign(digest, self.keys[0]) + sign(digest, self.keys[2])

    def message(self, wallet: str, digest: str) -> str:
        """What the owners sign for the wallet (EIP-1271)."""
        with open_backend(f"embedded:{self.file}") as backend:
            contract = backend.web3.eth.contract(wallet, abi=self.mock["abi"])
            return "0x" + self._signed(contract.functions.getMessageHash(bytes.fromhex(digest[2:])).call()).hex()

    def execute(self, details: dict[str, str]) -> None:
        """Send what a command said that only the owners can send."""
        with open_backend(f"embedded:{self.file}") as backend:
            contract = backend.web3.eth.contract(details["from"], abi=self.mock["abi"])
            to, value, data = details["to"], int(details["value"]), bytes.fromhex(details["data"][2:])
            nonce = contract.functions.nonce().call()
            digest = contract.functions.getTransactionHash(to, value, data, nonce).call()
            arguments = [to, value, data, 0, 0, 0, 0, ZERO, ZERO, self._signed(digest)]
            self._send(backend, {"to": contract.address, "data": contract.encode_abi("execTransaction", arguments)})


@pytest.fixture
def wallets(cocogen, terms):
    made = Wallets(cocogen.folder / "demo.chain")
    text = terms.read_text()
    text = text.replace("[settlement]\n", f'[settlement]\nattester = "{made.attester}"\n')
    text = text.replace('name = "north"\n', f'name = "north"\naddress = "{made.member}"\n')
    terms.write_text(text)
    return made


@pytest.mark.slow
def test_a_round_with_contract_wallets(cocogen, wallets):
    def by_wallet(command: str) -> None:
        refused = cocogen.json(command, code=3)
        assert refused["code"] == "WalletMustSend"
        wallets.execute(refused["details"])

    cocogen("deploy clinics.toml --ledger embedded:demo.chain")
    by_wallet("deposit -o north")
    for name in NAMES[1:]:
        cocogen(f"deposit -o {name}")
    by_wallet("round open")

    trained = cocogen.json("train")
    assert list(trained["unsigned"]) == ["north"]
    wrong = wallets.message(wallets.attester, trained["unsigned"]["north"])
    assert cocogen.json(f"train -o north --signature {wrong}", code=4)["code"] == "EvidenceRejected"
    signature = wallets.message(wallets.member, trained["unsigned"]["north"])
    assert cocogen.json(f"train -o north --signature {signature}")["unsigned"] == {}
    assert cocogen.json("train -o north --signature 0xyz", code=2)["code"] == "ConfigurationError"

    attested = cocogen.json("attest")
    assert list(attested["unsigned"]) == list(NAMES)
    assert not attested["rejected"]
    assert "owners sign these digests" in cocogen("attest").out
    waiting = cocogen.json("submit -o harbor", code=2)
    assert "attest --signatures" in waiting["hint"]
    made = {name: wallets.message(wallets.attester, digest) for name, digest in attested["unsigned"].items()}
    (cocogen.folder / "signed.json").write_text(json.dumps({**made, "harbor": "0x" + "11" * 130}))
    assert cocogen.json("attest --signatures signed.json")["unsigned"] == {}
    assert cocogen.json("submit -o harbor", code=2)["code"] == "WorkspaceError"
    (cocogen.folder / "signed.json").write_text(json.dumps({"harbor": made["harbor"]}))
    cocogen("attest --signatures signed.json")
    for content in ("[]", "{", '{"harbor": 1}', '{"harbor": "0xzz"}'):
        (cocogen.folder / "signed.json").write_text(content)
        assert cocogen.json("attest --signatures signed.json", code=2)["code"] == "ConfigurationError"
    (cocogen.folder / "signed.json").write_text(json.dumps({"nobody": made["harbor"]}))
    assert cocogen.json("attest --signatures signed.json", code=2)["code"] == "WorkspaceError"

    for name in NAMES[1:]:
        cocogen(f"submit -o {name}")
    by_wallet("submit -o north")
    cocogen("round record")
    by_wallet("dispute raise -o north --reason see-the-log")
    cocogen("dispute resolve settle")
    settled = cocogen.json("round settle")
    assert sum(map(int, settled["transfers"].values())) == 0
    audit = cocogen.json("audit")
    assert audit["status"] == "PASS"
