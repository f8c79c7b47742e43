"""The settlement contract: gas against a contract as one would write it first, transactions and rounds per backend.

Gas: the same consortium of N members goes through one round of the shipped contract and of ``NaiveTradeFL.sol``
(contributions and pair weights in nested mappings, checked arithmetic, the same kernel), on an anvil node without a
block limit. Figures are those of whole transactions. The fixture is compiled on the spot with the shipped contract's
settings; this part needs ``cd contracts && npm ci``. It takes ten minutes: the naive contract is told of every pair in
a transaction of its own, 7,140 of them for 120 members.

Backends: deposits one after another, and a round from the first submission to the transfer, through the typed client.

Audit: the replay of a recorded ledger of a thousand rounds, signatures included (``settlement_audit``).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from web3 import Web3

from benchmarks.harness import main
from benchmarks.settlement_audit import measure_audit
from chain.artifacts import load_artifact
from chain.backends import Backend, open_backend
from chain.contract.build import compile_contract
from chain.contract.provider import ChainProvider
from chain.encoding.codec import encode
from chain.encoding.signatures import Domain, address_of, contribution_struct_hash, sign
from chain.encoding.terms import EncodedTerms
from chain.keys.keystores import development_key
from cocogen.ledger import Contribution, Member, SettlementTerms

SEED = 11
BACKENDS = ("tester", "embedded", "anvil", "ganache")
LIMIT = 1 << 40


def terms(members: int) -> SettlementTerms:
    """A market of ``members`` organizations with development accounts; every pair competes."""
    rng = np.random.default_rng(members)
    upper = np.triu(rng.uniform(0.001, 0.02, (members, members)), 1)
    local = rng.integers(50, 500, members)
    return SettlementTerms(
        members=tuple(
            Member(f"m{n}", address_of(development_key(SEED, f"m{n}")), int(local[n]), 300, 100, 1.0, -float(local[n]))
            for n in range(members)
        ),
        competition=tuple(map(tuple, (upper + upper.T).tolist())),
        incentive=0.05,
        wei_per_unit=10**15,
        attester=address_of(development_key(SEED, "attester")),
        arbiter=address_of(development_key(SEED, "arbiter")),
        document_hash=b"\x01" * 32,
        maximum_rounds=10_000,
        test=True,
        submit_window=1_000_000,
        dispute_window=1,
        minimum_gap=1,
    )


class _Machine:
    """A private anvil node without a gas limit that sends for any account."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.owner = address_of(development_key(SEED, "operator"))
        self._request("evm_setBlockGasLimit", hex(LIMIT))
        self._request("anvil_autoImpersonateAccount", True)
        self._request("anvil_setBalance", self.owner, hex(1 << 100))

    def deploy(self, code: str) -> tuple[str, int]:
        """Address and gas of a new contract."""
        receipt = self._mined({"from": self.owner, "data": code})
        return str(receipt["contractAddress"]), int(receipt["gasUsed"])

    def send(self, contract: Any, function: str, *arguments: Any, sender: str = "", value: int = 0) -> int:
        """Gas of one transaction; a refusal is an error."""
        sender = sender or self.owner
        if sender != self.owner:
            self._request("anvil_setBalance", sender, hex(value + (1 << 90)))
        data = contract.encode_abi(function, args=arguments)
        return int(self._mined({"from": sender, "to": contract.address, "data": data, "value": hex(value)})["gasUsed"])

    def _mined(self, call: dict[str, Any]) -> Any:
        sent = self._request("eth_sendTransaction", {**call, "gas": hex(LIMIT // 2)})
        receipt = self.backend.web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)
        if receipt["status"] != 1:
            raise RuntimeError(f"refused: {call['data'][:10]}")
        return receipt

    def _request(self, method: str, *parameters: Any) -> Any:
        return self.backend.web3.manager.request_blocking(method, list(parameters))


def gas_of_ours(machine: _Machine, encoded: EncodedTerms) -> dict[str, int]:
    """Gas of each transaction of a first deposit and a second round, in which storage is warm from the first."""
    artifact = load_artifact(encoded.contract_name)
    w3 = Web3()
    constructor = w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode).constructor
    packed = (encoded.records, encoded.triangle, encoded.packed_stand_ins, encoded.scalars.values)
    creation = constructor(*packed).data_in_transaction
    address, deployment = machine.deploy(creation)
    contract = w3.eth.contract(address=Web3.to_checksum_address(address), abi=artifact.abi)
    domain = Domain(machine.backend.chain_id, contract.address)
    attester = encoded.scalars.attester
    used: dict[str, list[int]] = {"deploy": [deployment]}

    def note(operation: str, gas: int) -> None:
        used.setdefault(operation, []).append(gas)

    for index, member in enumerate(encoded.members):
        arguments = (index, encoded.terms_hash)
        value = 50 * encoded.liabilities[index]
        note("depositSubmit", machine.send(contract, "depositSubmit", *arguments, sender=member.account, value=value))
    for number in (1, 2):
        machine.send(contract, "roundOpen", sender=attester)
        for index, member in enumerate(encoded.members):
            parts = (member.data_cap - index % 7, member.generated_cap - 3 * index % 50, 0)
            evidence = bytes([index + 1]) * 32
            struct_hash = contribution_struct_hash(encoded.terms_hash, number, member.account, *parts, evidence)
            signature = sign(domain.digest(struct_hash), development_key(SEED, "attester"))
            gas = machine.send(
                contract, "contributionSubmit", index, *parts, evidence, signature, sender=member.account
            )
            if number == 2:
                note("contributionSubmit", gas)
        recorded = machine.send(contract, "profileRecord")
        machine.backend.advance(10)
        calculated = machine.send(contract, "payoffCalculate")
        transferred = machine.send(contract, "payoffTransfer")
        machine.backend.advance(10)
    note("profileRecord", recorded)
    note("payoffCalculate", calculated)
    note("payoffTransfer", transferred)
    return {operation: int(statistics.median(gas)) for operation, gas in used.items()}


@cache
def _naive() -> dict[str, Any]:
    return compile_contract("NaiveTradeFL", folder="test/fixtures")


def gas_of_naive(machine: _Machine, encoded: EncodedTerms) -> dict[str, int]:
    """The same amounts through the naive contract; it has one round, whose settlement is sent twice like ours."""
    w3 = Web3()
    compiled = _naive()
    constructor = w3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"]).constructor
    creation = constructor(encoded.scalars.gamma_wad).data_in_transaction
    address, deployment = machine.deploy(creation)
    contract = w3.eth.contract(address=Web3.to_checksum_address(address), abi=compiled["abi"])
    accounts = [member.account for member in encoded.members]
    used: dict[str, list[int]] = {}
    for i, account in enumerate(accounts):
        deployment += machine.send(contract, "addMember", account)
        for j in range(i):
            deployment += machine.send(contract, "setIntensity", account, accounts[j], encoded.pair_weights[i][j])
    for i, account in enumerate(accounts):
        value = 50 * encoded.liabilities[i]
        used.setdefault("depositSubmit", []).append(
            machine.send(contract, "depositSubmit", sender=account, value=value)
        )
    for i, member in enumerate(encoded.members):
        parts = (member.data_cap - i % 7, member.generated_cap - 3 * i % 50, 0)
        gas = machine.send(contract, "contributionSubmit", *parts, sender=member.account)
        used.setdefault("contributionSubmit", []).append(gas)
    for _ in range(2):
        recorded = machine.send(contract, "profileRecord")
        calculated = machine.send(contract, "payoffCalculate")
        transferred = machine.send(contract, "payoffTransfer")
    used |= {"profileRecord": [recorded], "payoffCalculate": [calculated], "payoffTransfer": [transferred]}
    return {"deploy": deployment} | {operation: int(statistics.median(gas)) for operation, gas in used.items()}


def gas(members: int) -> Iterator[dict[str, Any]]:
    """Gas of every operation against the naive contract's. Deploying that one takes a transaction for every pair."""
    encoded = encode(terms(members))
    with open_backend("anvil") as backend:
        machine = _Machine(backend)
        ours, theirs = gas_of_ours(machine, encoded), gas_of_naive(machine, encoded)
    for operation, used in ours.items():
        yield {
            "members": members,
            "operation": operation,
            "gas": used,
            "naive_gas": theirs[operation],
            "ratio": theirs[operation] / used,
        }


def throughput(kind: str, members: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Transactions a second, and the seconds of a whole round, on one backend."""
    with tempfile.TemporaryDirectory() as folder:
        specification = f"embedded:{folder}/chain.sqlite" if kind == "embedded" else kind
        backend = open_backend(specification)
        provider = ChainProvider(backend, SEED)
        try:
            ledger = provider.deploy(terms(members))
            bonds = [60 * bond for bond in ledger.decoded.liabilities]
            for n, bond in enumerate(bonds):
                ledger.deposit(n, bond)
            begin = time.perf_counter()
            for _ in range(repeats):
                for n in range(members):
                    ledger.deposit(n, 1)
            seconds = time.perf_counter() - begin
            yield {
                "members": members,
                "operation": "depositSubmit",
                "backend": kind,
                "per_second": repeats * members / seconds,
            }
            rounds = []
            for _ in range(repeats):
                ledger.wait_until(ledger.state().next_round_from)
                ledger.open_round()
                given = [Contribution(40 + n, 30, 0, b"\x02" * 32) for n in range(members)]
                signed = [ledger.attest(n, contribution) for n, contribution in enumerate(given)]
                begin = time.perf_counter()
                for n, (contribution, signature) in enumerate(zip(given, signed, strict=True)):
                    ledger.submit(n, contribution, signature)
                ledger.record()
                ledger.wait_until(ledger.state().deadline + 1)
                ledger.settle()
                rounds.append(time.perf_counter() - begin)
            yield {
                "members": members,
                "operation": "round, first submission to transfer",
                "backend": kind,
                "seconds": statistics.median(rounds),
                "per_second": (members + 3) / statistics.median(rounds),
            }
        finally:
            provider.close()


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    wanted = options.only or ""
    if wanted in "gas":
        for members in options.sizes:
            yield from gas(members)
    for kind in BACKENDS:
        if wanted in kind:
            for members in (5, 20):
                yield from throughput(kind, members, options.repeats)
    if wanted in "audit":
        yield {"operation": "audit", **measure_audit(1_000, 50)}


if __name__ == "__main__":
    main("settlement", cases, sizes=[5, 10, 20, 50, 100, 120], repeats=3)
