"""What the tests of the audit share: realistic ledgers of both modes, as a chain would have recorded them.

They are played on the twin, with the code that the shipped contract would have, so no node is needed: six rounds with
a masked member, a relay, every ruling on a dispute, a silent arbiter, a voided round, exits and withdrawals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chain.abi import keccak256
from chain.artifacts import load_artifact
from chain.contract.bytecode import blob_address, immutable_values
from chain.encoding import signatures
from chain.encoding.codec import encode
from chain.encoding.terms import EncodedTerms
from chain.keys.keystores import development_key
from chain.record.values import BlockView, Event, LedgerEvent, LedgerRecord
from chain.twin.machine import Twin
from cocogen.ledger import ZERO_ADDRESS, SettlementTerms

SEED = 7
CHAIN_ID = 31_337
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"
EVIDENCE = b"\xee" * 32
SETTLE, VOID, FORFEIT = range(3)


@dataclass
class Life:
    """A consortium's life so far; every call is one transaction in a block of its own, one second after the last."""

    terms: SettlementTerms
    encoded: EncodedTerms
    twin: Twin
    time: int = 1_700_000_000
    block: int = 10
    events: list[LedgerEvent] = field(default_factory=list)
    blocks: list[BlockView] = field(default_factory=list)

    @property
    def settles_in_ether(self) -> bool:
        return self.terms.token == ZERO_ADDRESS

    def account(self, index: int) -> str:
        return self.encoded.members[index].account

    def call(self, sender: str, function: Callable[..., tuple[Event, ...]], *arguments: Any, value: int = 0) -> None:
        self.time += 1
        self.block += 1
        paid = {"value": value} if value else {}
        emitted = function(*arguments, sender=sender, time=self.time, **paid)
        transaction = "0x" + keccak256(b"transaction %d" % self.block).hex()
        self.blocks.append(BlockView(self.block, self.time, keccak256(b"block %d" % self.block)))
        for position, event in enumerate(emitted):
            # a token moves without any ether in the call
            place = (self.block, self.time, transaction, position, sender, value if self.settles_in_ether else 0)
            self.events.append(LedgerEvent(event.name, event.args, *place, gas=45_000 + self.block, status=1))

    def deposit(self, index: int, amount: int) -> None:
        self.call(self.account(index), self.twin.deposit_submit, index, self.encoded.terms_hash, value=amount)

    def open(self) -> None:
        if self.twin.number:
            self.time = max(self.time, self.twin.idle_since + self.encoded.scalars.min_gap)
        self.call(self.encoded.scalars.attester, self.twin.round_open)

    def submit(self, *indices: int, relayed_by: int | None = None) -> None:
        for index in indices:
            member = self.encoded.members[index]
            parts = (member.data_cap - 3 * index, member.generated_cap // (index + 1), member.compute_cap - index)
            digest = self.twin.contribution_digest(index, *parts, EVIDENCE)
            signature = signatures.sign(digest, development_key(SEED, "attester"))
            sender = self.account(index if relayed_by is None else relayed_by)
            self.call(sender, self.twin.contribution_submit, index, *parts, EVIDENCE, signature)

    def record(self, *, transfers: bool = True) -> None:
        if self.twin.submitted != self.twin.participants:
            self.time = self.twin.deadline
        self.call(STRANGER, self.twin.profile_record)
        if self.encoded.is_vector and transfers and self.twin.phase == 2:
            present = [i for i in range(len(self.encoded.members)) if self.twin.submitted >> i & 1]
            vector = [0] * len(self.encoded.members)
            # debts and credits of different sizes, so that netting them splits some of both
            for step, i in enumerate(present[:-1]):
                vector[i] = (10 * step + 7) * (-1) ** step
            vector[present[-1]] = -sum(vector)
            digest = self.twin.transfers_digest(signatures.transfers_hash(vector), EVIDENCE)
            signature = signatures.sign(digest, development_key(SEED, "attester"))
            self.call(STRANGER, self.twin.transfers_submit, tuple(vector), EVIDENCE, signature)

    def dispute(self, index: int, ruling: int, *, silent: bool = False) -> None:
        self.call(self.account(index), self.twin.dispute_raise, index, b"\xdd" * 32)
        if silent:
            self.time = self.twin.deadline
        self.call(STRANGER if silent else self.encoded.scalars.arbiter, self.twin.dispute_resolve, ruling)

    def calculate(self) -> None:
        self.time = max(self.time, self.twin.deadline)
        self.call(STRANGER, self.twin.payoff_calculate)

    def settle(self) -> None:
        self.calculate()
        self.call(STRANGER, self.twin.payoff_transfer)

    def collect(self) -> LedgerRecord:
        """The record as of now, with the code that the shipped contract has on the chain."""
        artifact = load_artifact(self.encoded.contract_name)
        code = bytearray(artifact.deployed_bytecode)
        values = immutable_values(self.encoded, signatures.Domain(CHAIN_ID, ADDRESS))
        for name, places in artifact.immutable_references.items():
            for start, length in places:
                code[start : start + length] = values[name]
        return LedgerRecord(
            chain_id=CHAIN_ID,
            address=ADDRESS,
            runtime_code=bytes(code),
            blob_address=blob_address(ADDRESS),
            terms_blob=self.encoded.blob,
            created_block=10,
            created_transaction="0x" + "ab" * 32,
            attester_is_contract=False,
            events=tuple(self.events),
            storage=self.twin.storage(block=self.block),
            blocks=tuple(self.blocks),
            stand_ins_blob=self.encoded.stand_ins_blob,
        )


def live(life: Life) -> Iterator[tuple[str, LedgerRecord]]:
    """Play every event of the contract; yields the record in each phase, and at the end."""
    twin, count = life.twin, len(life.encoded.members)
    bond = life.encoded.scalars.dispute_bond
    for index, liability in enumerate(life.encoded.liabilities):
        life.deposit(index, 6 * liability + 2 * bond)
    life.deposit(0, 17)
    life.open()
    life.submit(2, 0, 3, 4)
    yield "open", life.collect()
    life.time = twin.relay_from
    life.submit(1, relayed_by=0)
    life.call(life.account(1), twin.exit_request, 1)
    life.record()
    life.settle()
    life.call(life.account(1), twin.exit_cancel, 1)
    life.open()
    life.submit(0, 1, 2, 4)
    life.call(life.account(0), twin.withdraw, 0, 5, STRANGER)
    life.record()
    # member 3 is absent, which it disputes
    life.dispute(3, SETTLE)
    life.settle()
    life.open()
    life.submit(*range(count))
    life.record()
    life.call(life.account(2), twin.dispute_raise, 2, b"\xdd" * 32)
    yield "disputed", life.collect()
    life.call(life.encoded.scalars.arbiter, twin.dispute_resolve, FORFEIT)
    life.calculate()
    yield "calculated", life.collect()
    life.call(STRANGER, twin.payoff_transfer)
    life.open()
    life.submit(*range(count))
    life.record()
    life.dispute(0, VOID)
    life.open()
    life.submit(0)
    life.record()
    life.call(life.account(3), twin.exit_request, 3)
    life.open()
    life.submit(0, 1, 2, 4)
    life.record()
    life.dispute(4, SETTLE, silent=True)
    life.settle()
    if life.encoded.is_vector:
        life.open()
        life.submit(0, 1, 2, 4)
        life.record(transfers=False)
        life.calculate()
    life.open()
    life.submit(0, 1, 2)
    life.record()
    yield "recorded", life.collect()
    life.settle()
    for index, balance in enumerate(list(twin.balances)):
        life.call(life.account(index), twin.withdraw, index, balance - index, STRANGER)
    yield "done", life.collect()


@dataclass(frozen=True)
class Recorded:
    """The terms of one mode and the records of one life under them, by the phase in which they were taken."""

    terms: SettlementTerms
    encoded: EncodedTerms
    records: dict[str, LedgerRecord]

    @property
    def done(self) -> LedgerRecord:
        return self.records["done"]


@pytest.fixture(scope="session")
def record_life(make_terms: Callable[..., SettlementTerms]) -> Callable[..., Recorded]:
    """Play a whole life in the given mode; keywords replace other terms."""

    def play(mode: str, **changes: Any) -> Recorded:
        windows = {"submit_window": 3_600, "dispute_window": 3_600, "arbiter_window": 3_600}
        terms = make_terms(5, maximum_rounds=9, dispute_bond=1_003, mode=mode, **windows, **changes)
        if mode == "vector":
            members = tuple(replace(m, max_debit=1_000 + 10 * n) for n, m in enumerate(terms.members))
            terms = replace(terms, members=members)
        else:
            stand_ins = [(m.data_cap // 2, m.generated_cap // 3, m.compute_cap // 2) for m in terms.members]
            members = tuple(replace(m, stand_in=s) for m, s in zip(terms.members, stand_ins, strict=True))
            terms = replace(terms, members=members)
        encoded = encode(terms)
        life = Life(terms, encoded, Twin(encoded, chain_id=CHAIN_ID, address=ADDRESS))
        return Recorded(terms, encoded, dict(live(life)))

    return play


@pytest.fixture(scope="session", params=["pairwise", "vector"])
def recorded(request: pytest.FixtureRequest, record_life: Callable[..., Recorded]) -> Recorded:
    """A whole life in each mode in turn."""
    return record_life(request.param)


@pytest.fixture(scope="session")
def play_calls() -> Callable[..., Life]:
    """Begin a new life under recorded terms; keywords are the twin's."""

    def begin(recorded: Recorded, **changes: Any) -> Life:
        twin = Twin(recorded.encoded, chain_id=CHAIN_ID, address=ADDRESS, **changes)
        return Life(recorded.terms, recorded.encoded, twin)

    return begin
