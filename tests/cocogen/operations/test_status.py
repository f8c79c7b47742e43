"""Where a consortium stands, and which command is next, in every phase of a round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cocogen.ledger import Contribution
from cocogen.operations.session import Session, open_consortium
from cocogen.operations.status import delivery, status

EVIDENCE = b"\xee" * 32


@pytest.fixture
def consortium(deployed, memory) -> Iterator[Session]:
    with open_consortium(deployed.workspace, memory) as opened:
        yield opened


def hand_in(consortium: Session, *, leave_out: int | None = None) -> None:
    """Everybody's contribution to the running round, but that of ``leave_out``; nothing is trained."""
    ledger = consortium.ledger
    for n in range(len(consortium.resolved.names)):
        if n != leave_out:
            contribution = Contribution(10 + n, n, 0, EVIDENCE)
            ledger.submit(n, contribution, ledger.attest(n, contribution))


def test_before_anybody_has_bonded_the_members_are_named(consortium):
    found = status(consortium)
    assert found.state.phase == "idle"
    assert found.next == f"`cocogen deposit -o NAME` by {', '.join(consortium.resolved.names)}"
    assert found.outcomes == found.models == ()
    assert set(found.held) == {0}


def test_every_phase_names_the_command_that_brings_it_forward(consortium):
    seen = {}

    def look(name: str) -> None:
        seen[name] = status(consortium).next

    ledger = consortium.ledger
    consortium.loop.bond()
    look("bonded")
    ledger.open_round()
    look("open")
    hand_in(consortium)
    look("all in")
    ledger.record()
    look("recorded")
    ledger.deposit(0, consortium.resolved.settlement.dispute_bond)
    ledger.dispute(0, EVIDENCE)
    look("disputed")
    ledger.wait_until(ledger.state().deadline + 2)
    look("no ruling")
    ledger.resolve("settle", as_arbiter=False)
    ledger.wait_until(ledger.state().deadline + 2)
    look("final")
    ledger.settle()
    look("settled")
    names = ", ".join(consortium.resolved.names)
    assert seen["bonded"] == "`cocogen round open`"
    assert seen["open"] == f"`cocogen train` by {names}"
    assert seen["all in"] == "`cocogen round record`"
    assert seen["recorded"].startswith("`cocogen round settle --advance`, or wait")
    assert seen["disputed"].startswith("`cocogen dispute resolve RULING` by the arbiter, within ")
    assert seen["no ruling"] == "`cocogen dispute resolve --default`"
    assert seen["final"] == "`cocogen round settle`"
    assert seen["settled"].startswith("`cocogen round open`")


def test_whose_attested_contribution_is_awaited_is_named(consortium):
    consortium.loop.bond()
    consortium.loop.open()
    consortium.loop.train()
    assert status(consortium).next == "`cocogen attest`"
    consortium.loop.attest()
    for n in range(len(consortium.resolved.names) - 1):
        consortium.loop.submit(n)
    assert status(consortium).next == f"`cocogen submit -o NAME` by {consortium.resolved.names[-1]}"


def test_history_says_who_paid_whom_who_disputed_and_who_was_given_the_model(consortium):
    ledger, names = consortium.ledger, consortium.resolved.names
    consortium.loop.bond()
    ledger.deposit(0, consortium.resolved.settlement.dispute_bond)
    ledger.open_round()
    assert delivery(consortium, ledger.outcomes()[0]).plain() == {"round": 1, "recipients": [], "withheld": {}}
    hand_in(consortium, leave_out=5)
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    ledger.dispute(0, EVIDENCE)
    ledger.resolve("void")
    (past,) = status(consortium).plain()["history"]
    assert past["status"] == "voided"
    assert past["transfers"] == dict.fromkeys(names, "0")
    assert past["dispute"] == {
        "organization": names[0], "reason_hash": "0x" + EVIDENCE.hex(), "ruling": "void", "forfeited": "0",
    }  # fmt: skip
    assert past["model"]["withheld"] == dict.fromkeys(names, "the round was voided by a ruling")


def test_what_was_sent_and_nobody_was_told_of_is_listed(consortium):
    sent = SimpleNamespace(operation="withdraw", account="0xabc", amount=10**20, nonce=3, hashes=("0x01", "0x02"))
    unsigned = SimpleNamespace(operation="deploy", account="0xabc", amount=0, nonce=4, hashes=())
    consortium.journal = SimpleNamespace(intents=[sent, unsigned])
    assert status(consortium).plain()["unfinished"] == [
        {"operation": "withdraw", "account": "0xabc", "amount": str(10**20), "nonce": 3, "transaction": "0x02"},
        {"operation": "deploy", "account": "0xabc", "amount": "0", "nonce": 4, "transaction": None},
    ]


def test_it_is_plain_json_with_wei_as_strings(consortium):
    consortium.loop.bond()
    found = status(consortium)
    plain = found.plain()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == [
        "consortium", "ledger", "round", "rounds_agreed", "phase", "now", "deadline", "organizations", "history",
        "next", "unfinished", "warnings",
    ]  # fmt: skip
    assert plain["deadline"] is None
    north = plain["organizations"]["north"]
    assert (north["balance"], north["liability"]) == (str(found.state.balances[0]), str(found.state.liabilities[0]))
