"""Files whose values fit one another: what a forger without the attester's key can write, and how the audit judges it.

The checks compare a file with the terms and with itself. So an invented wallet of the attester must leave check 4 open,
and an invented history must never be said to be the chain's: only a second node tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.audit import AuditReport, audit
from chain.record.export import read_ledger, write_ledger
from chain.record.values import LedgerRecord

STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"
EVIDENCE = b"\xee" * 32
SIGNED = ("ContributionSubmitted", "TransfersSubmitted")


@pytest.fixture
def new_life(recorded, play_calls):
    """A consortium with bonds, on a twin that takes any signature, as a forger's does."""

    def begin() -> Any:
        life = play_calls(recorded, verify=lambda *_: True)
        for index, liability in enumerate(recorded.encoded.liabilities):
            life.deposit(index, 6 * liability + 2_006)
        return life

    return begin


@pytest.fixture
def through_file(tmp_path) -> Callable[[LedgerRecord], LedgerRecord]:
    def pass_through(record: LedgerRecord) -> LedgerRecord:
        path: Path = tmp_path / "ledger.jsonl"
        write_ledger(record, path, artifact="")
        return read_ledger(path).record

    return pass_through


def judged(report: AuditReport) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def as_wallet(record: LedgerRecord, answer: bool | None = True, signature: bytes | None = None) -> LedgerRecord:
    """Return the record as that of an attester with a contract, which answered for every signature."""
    changes = {} if signature is None else {"attesterSignature": signature}
    events = tuple(
        replace(event, attested=answer, args={**event.args, **changes}) if event.name in SIGNED else event
        for event in record.events
    )
    return replace(record, attester_is_contract=True, events=events)


def invented(life: Any) -> LedgerRecord:
    """A whole round that nobody signed."""
    life.open()
    for index in range(5):
        data = life.encoded.members[index].data_cap if index == 0 else 0
        life.call(life.account(index), life.twin.contribution_submit, index, data, 0, 0, EVIDENCE, b"\x01")
    life.call(STRANGER, life.twin.profile_record)
    if life.encoded.is_vector:
        life.call(STRANGER, life.twin.transfers_submit, (1_000, -1_000, 0, 0, 0), EVIDENCE, b"\x01")
    life.settle()
    return life.collect()


class TestInventedWallets:
    def test_a_round_without_any_signature_does_not_pass(self, recorded, new_life, through_file):
        forged = through_file(as_wallet(invented(new_life())))
        report = audit(forged, recorded.encoded, offline=True)
        assert report.status == "INCOMPLETE"
        assert judged(report)["signatures"] == "INCOMPLETE"
        count = 6 if recorded.encoded.is_vector else 5
        assert f"the file says that the attester's wallet accepted {count} of {count}" in report.checks[3].detail
        assert "--second-node" in report.checks[3].detail
        assert report.checks[3].transaction == next(e.transaction for e in forged.events if e.name in SIGNED)
        assert report.origin == "file"

    @pytest.mark.parametrize("answer", [True, False, None])
    def test_flag_answers_and_garbage_never_pass_a_file(self, recorded, through_file, answer):
        forged = through_file(as_wallet(recorded.done, answer, bytes(65)))
        report = audit(forged, recorded.encoded, offline=True)
        assert judged(report)["signatures"] == ("FAIL" if answer is False else "INCOMPLETE")

    def test_answers_without_the_flag_fail(self, recorded, through_file):
        forged = replace(as_wallet(recorded.done, True, bytes(65)), attester_is_contract=False)
        assert judged(audit(through_file(forged), recorded.encoded, offline=True))["signatures"] == "FAIL"

    def test_one_invented_contribution_among_true_ones_is_counted_alone(self, recorded):
        claimed = as_wallet(recorded.done)
        at = next(n for n, event in enumerate(claimed.events) if event.name in SIGNED)
        event = replace(claimed.events[at], args={**claimed.events[at].args, "attesterSignature": b""})
        forged = replace(claimed, events=(*claimed.events[:at], event, *claimed.events[at + 1 :]))
        report = audit(forged, recorded.encoded, offline=True)
        assert judged(report)["signatures"] == "INCOMPLETE"
        assert "accepted 1 of " in report.checks[3].detail
        assert report.checks[3].transaction == event.transaction

    def test_a_missing_answer_beside_hearsay_is_said_too(self, recorded):
        claimed = as_wallet(recorded.done, True, b"")
        at = next(n for n, event in enumerate(claimed.events) if event.name in SIGNED)
        events = list(claimed.events)
        events[at] = replace(events[at], attested=None)
        detail = audit(replace(claimed, events=tuple(events)), recorded.encoded, offline=True).checks[3].detail
        assert "its answers for 1 of" in detail
        assert "the file says" in detail

    def test_signatures_of_the_attesters_own_key_pass_in_a_file(self, recorded, through_file):
        report = audit(through_file(as_wallet(recorded.done)), recorded.encoded, offline=True)
        assert judged(report)["signatures"] == "PASS"
        assert report.status == "PASS"

    def test_answers_that_a_node_gave_pass(self, recorded):
        report = audit(as_wallet(recorded.done, True, b"any"), recorded.encoded)
        assert report.status == "PASS"
        assert report.origin == "node"


class TestSecondNode:
    @pytest.fixture
    def genuine(self, recorded) -> LedgerRecord:
        return as_wallet(recorded.done, True, b"any")

    def test_its_same_answers_confirm_the_file(self, recorded, genuine, through_file):
        report = audit(through_file(genuine), recorded.encoded, offline=True, second=genuine)
        assert {name for name, status in judged(report).items() if status != "PASS"} == {"evidence", "data"}
        assert report.status == "PASS"

    def test_it_answers_where_the_file_has_no_answer(self, recorded, genuine):
        silent = as_wallet(genuine, None)
        assert audit(silent, recorded.encoded, offline=True, second=genuine).status == "PASS"

    def test_without_old_state_it_confirms_nothing(self, recorded, genuine):
        pruned = as_wallet(genuine, None)
        report = audit(genuine, recorded.encoded, offline=True, second=pruned)
        assert judged(report)["signatures"] == "INCOMPLETE"
        assert judged(report)["cross-check"] == "PASS"

    def test_another_answer_fails(self, recorded, genuine):
        report = audit(genuine, recorded.encoded, offline=True, second=as_wallet(genuine, False))
        assert judged(report)["signatures"] == judged(report)["cross-check"] == "FAIL"

    def test_answers_for_other_events_or_another_contract_confirm_nothing(self, recorded, genuine):
        others = [
            as_wallet(genuine, True, b"other"),
            replace(genuine, address=STRANGER),
            replace(genuine, chain_id=1),
            replace(genuine, events=()),
        ]
        for other in others:
            report = audit(genuine, recorded.encoded, offline=True, second=other)
            assert judged(report)["signatures"] == "INCOMPLETE"
            assert judged(report)["cross-check"] == "FAIL"

    def test_no_answer_confirms_nothing(self, recorded, genuine):
        report = audit(genuine, recorded.encoded, offline=True, second="it is dead")
        assert judged(report)["signatures"] == judged(report)["cross-check"] == "INCOMPLETE"


class TestInventedHistories:
    """Genuine signatures in a history that never was: no check but the tenth can tell, so no report claims it."""

    @pytest.mark.parametrize("what", ["void", "forfeit", "mask", "withdraw", "erase"])
    def test_a_file_is_consistent_at_most_and_a_second_node_tells(self, recorded, new_life, through_file, what):
        if what == "mask" and recorded.encoded.is_vector:
            pytest.skip("another vector needs another signature")
        real = settled(new_life()).collect()
        life = new_life()
        if what == "void":
            settled(life, ruling=1)
        elif what == "forfeit":
            settled(life, ruling=2)
        elif what == "mask":
            settled(life, masked=2)
        elif what == "withdraw":
            settled(life)
            life.call(life.account(0), life.twin.withdraw, 0, life.twin.balances[0], STRANGER)
        forged = through_file(life.collect())
        assert forged.storage.balances != real.storage.balances
        assert signatures(forged) <= signatures(real)
        report = audit(forged, recorded.encoded, offline=True)
        assert report.status == "PASS"
        assert report.origin == "file"
        assert judged(report)["cross-check"] == "SKIPPED"
        assert judged(audit(forged, recorded.encoded, offline=True, second=real))["cross-check"] == "FAIL"


def settled(life: Any, *, ruling: int | None = None, masked: int | None = None) -> Any:
    """Play one round: undisputed, or disputed by member 1 with the given ruling (0 settle, 1 void, 2 forfeit)."""
    life.open()
    life.submit(*(index for index in range(5) if index != masked))
    life.record()
    if ruling is not None:
        life.dispute(1, ruling)
    if ruling != 1:
        life.settle()
    return life


def signatures(record: LedgerRecord) -> set[Any]:
    return {event.args["attesterSignature"] for event in record.events if event.name in SIGNED}
