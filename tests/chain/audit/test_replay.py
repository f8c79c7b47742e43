"""The replay of disputes, rulings, signed transfers and deposits of tokens, and what it makes of altered ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.artifacts import CONTRACTS, load_artifact
from chain.audit.replay import EVENT_ARGUMENTS, replay
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution

SEED = 7
COUNT = 4
EVIDENCE = b"\x05" * 32
BOND = 900
TOKEN = "0x" + "70" * 20


def play(terms, rulings):
    """A ledger with one disputed round for each ruling ("": nobody disputes)."""
    ledger = MemoryProvider(SEED).deploy(terms)
    for ruling in rulings:
        for index in range(COUNT):
            ledger.deposit(index, ledger.decoded.liabilities[index] + BOND)
        ledger.wait_until(ledger.state().next_round_from)
        ledger.open_round()
        for index in range(COUNT):
            contribution = Contribution(10 * index, 5, index, EVIDENCE)
            ledger.submit(index, contribution, ledger.attest(index, contribution))
        ledger.record()
        if terms.mode == "vector":
            transfers = (5, -5, 10, -10)
            ledger.submit_transfers(transfers, EVIDENCE, ledger.attest_transfers(transfers, EVIDENCE))
        if ruling:
            ledger.dispute(1, b"\x0d" * 32)
            ledger.resolve(ruling)
        if ruling != "void":
            ledger.wait_until(ledger.state().deadline + 1)
            ledger.settle()
    return ledger


@pytest.fixture
def pairwise(make_terms):
    return play(make_terms(COUNT, dispute_bond=BOND, token=TOKEN), ("settle-and-forfeit", "void", "settle"))


@pytest.fixture
def vector(vector_terms):
    return play(vector_terms(COUNT, dispute_bond=BOND), ("settle-and-forfeit", "void", ""))


def altered(ledger, name, occurrence=0, **changes):
    """The ledger's record in which one event of that name has other values."""
    record = ledger.collect()
    places = [place for place, event in enumerate(record.events) if event.name == name]
    events = list(record.events)
    old = events[places[occurrence]]
    fields = {key: changes.pop(key) for key in ("sender", "time", "value", "transaction") if key in changes}
    events[places[occurrence]] = replace(old, args={**old.args, **changes}, **fields)
    return replace(record, events=tuple(events))


def findings(record, ledger):
    return [(finding.check, finding.detail) for finding in replay(record, ledger.encoded).findings]


def test_every_event_of_the_contracts_has_its_arguments_in_order():
    declared = {
        entry["name"]: tuple(parameter["name"] for parameter in entry["inputs"])
        for name in CONTRACTS
        for entry in load_artifact(name).abi
        if entry["type"] == "event" and entry["name"] != "EIP712DomainChanged"
    }
    assert declared == EVENT_ARGUMENTS


@pytest.mark.parametrize("mode", ["pairwise", "vector"])
def test_disputes_and_transfers_are_replayed_to_the_final_storage(mode, request):
    ledger = request.getfixturevalue(mode)
    result = replay(ledger.collect(), ledger.encoded)
    assert result.findings == []
    assert result.stopped_at is None
    assert (result.rounds, result.contributions) == (3, 12)
    assert result.disputes == (3 if mode == "pairwise" else 2)
    storage = ledger.collect().storage
    assert result.twin.storage(block=storage.block) == storage


def test_round_voided_for_want_of_transfers_is_replayed(vector_terms):
    ledger = play(vector_terms(COUNT), ())
    for index in range(COUNT):
        ledger.deposit(index, ledger.decoded.liabilities[index])
    ledger.open_round()
    for index in range(COUNT):
        contribution = Contribution(1, 1, 1, EVIDENCE)
        ledger.submit(index, contribution, ledger.attest(index, contribution))
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.settle()
    record = ledger.collect()
    assert replay(record, ledger.encoded).findings == []
    (found,) = findings(altered(ledger, "RoundVoided", reason=b"quorum".ljust(32, b"\0")), ledger)
    assert found[0] == "events"


@pytest.mark.parametrize(
    ("name", "changes", "check"),
    [
        ("DisputeResolved", {"forfeited": 899}, "balances"),
        ("DisputeResolved", {"index": 2}, "events"),
        ("DisputeResolved", {"ruling": 0}, "balances"),
        ("DisputeResolved", {"ruling": 3}, "events"),
        ("DisputeResolved", {"sender": "0x" + "57" * 20}, "limits"),
        ("DisputeResolved", {"time": 10**10}, "limits"),
        ("DisputeRaised", {"deadline": 5}, "limits"),
        ("DisputeRaised", {"reasonHash": bytes(32)}, "events"),
        ("DisputeRaised", {"member": "0x" + "57" * 20}, "events"),
        ("DisputeRaised", {"index": 0}, "events"),
        ("DisputeRaised", {"time": 10**10}, "limits"),
        ("Deposited", {"value": 1}, "events"),
        ("Deposited", {"amount": 10**18 + 1}, "balances"),
    ],
)
def test_altered_dispute_is_found(pairwise, name, changes, check):
    found = findings(altered(pairwise, name, **changes), pairwise)
    assert check in {check for check, _ in found}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"transfers": (1, -1, 0, 0)}, "settlement"),
        ({"transfers": (1, 0, 0, 0)}, "settlement"),
        ({"transfers": (1, -1, 0)}, "settlement"),
        ({"transfers": (-(10**9), 10**9, 0, 0)}, "limits"),
        ({"transfersHash": bytes(32)}, "settlement"),
        ({"evidenceHash": bytes(32)}, "signatures"),
        ({"deadline": 3}, "limits"),
        ({"time": 10**10}, "limits"),
    ],
)
def test_altered_transfers_are_found(vector, changes, check):
    found = findings(altered(vector, "TransfersSubmitted", **changes), vector)
    assert check in {check for check, _ in found}


def test_a_ruling_that_voids_must_say_so_in_the_same_transaction(pairwise):
    record = pairwise.collect()
    place = next(p for p, event in enumerate(record.events) if event.name == "RoundVoided")
    torn = list(record.events)
    torn[place] = replace(torn[place], transaction="another")
    without = (*record.events[:place], *record.events[place + 1 :])
    for events in (tuple(torn), without):
        assert {check for check, _ in findings(replace(record, events=events), pairwise)} == {"events"}


def test_calls_through_wallets_come_from_whoever_must_have_made_them(pairwise):
    record = pairwise.collect()
    unknown = tuple(replace(event, sender=None, value=None) for event in record.events)
    assert findings(replace(record, events=unknown), pairwise) == []
