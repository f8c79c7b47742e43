"""Whatever single value of a recorded ledger is flipped, the named check fails: a mutation test of the auditor.

``EXPECTED`` says which check answers for which field of which event, ``UNDETECTABLE`` what no rule depends on, and why;
there the audit of one record passes, and a second node shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from chain.artifacts import load_artifact
from chain.audit import AuditReport, audit
from chain.audit.replay import EVENT_ARGUMENTS
from chain.encoding.signatures import Domain, contribution_struct_hash, sign, transfers_hash, transfers_struct_hash
from chain.encoding.terms import ScalarTerms
from chain.keys.keystores import development_key
from chain.record.export import read_ledger, write_ledger
from chain.record.values import BlockView, LedgerEvent, LedgerRecord, RoundView, StorageView
from cocogen.ledger import ZERO_ADDRESS

OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"
ANOTHER = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"

EXPECTED: dict[tuple[str, str], str] = {
    ("Accepted", "index"): "events",
    ("Accepted", "member"): "events",
    ("Accepted", "termsHash"): "terms",
    ("Deposited", "index"): "events",
    ("Deposited", "member"): "events",
    ("Deposited", "amount"): "balances",
    ("Deposited", "balance"): "balances",
    ("Withdrawn", "index"): "events",
    ("Withdrawn", "amount"): "balances",
    ("Withdrawn", "balance"): "balances",
    ("ExitRequested", "index"): "events",
    ("ExitCancelled", "index"): "events",
    ("RoundOpened", "round"): "events",
    ("RoundOpened", "participants"): "limits",
    ("RoundOpened", "deadline"): "limits",
    ("ContributionSubmitted", "round"): "signatures",
    ("ContributionSubmitted", "index"): "events",
    ("ContributionSubmitted", "member"): "signatures",
    ("ContributionSubmitted", "data"): "signatures",
    ("ContributionSubmitted", "generated"): "signatures",
    ("ContributionSubmitted", "compute"): "signatures",
    ("ContributionSubmitted", "evidenceHash"): "signatures",
    ("ContributionSubmitted", "attesterSignature"): "signatures",
    ("ProfileRecorded", "round"): "events",
    ("ProfileRecorded", "profileHash"): "settlement",
    ("ProfileRecorded", "submitted"): "settlement",
    ("RoundVoided", "round"): "events",
    ("RoundVoided", "reason"): "events",
    ("TransfersSubmitted", "round"): "signatures",
    ("TransfersSubmitted", "transfersHash"): "signatures",
    ("TransfersSubmitted", "transfers"): "settlement",
    ("TransfersSubmitted", "evidenceHash"): "signatures",
    ("TransfersSubmitted", "attesterSignature"): "signatures",
    ("TransfersSubmitted", "deadline"): "limits",
    ("DisputeRaised", "round"): "events",
    ("DisputeRaised", "index"): "events",
    ("DisputeRaised", "member"): "events",
    ("DisputeRaised", "deadline"): "limits",
    ("DisputeResolved", "round"): "events",
    ("DisputeResolved", "index"): "events",
    ("DisputeResolved", "forfeited"): "balances",
    ("Absent", "round"): "events",
    ("Absent", "bitmap"): "settlement",
    ("PayoffCalculated", "round"): "events",
    ("PayoffCalculated", "payoffHash"): "settlement",
    ("PayoffCalculated", "payoffs"): "settlement",
    ("PayoffTransferred", "round"): "events",
    ("PayoffTransferred", "ledger"): "settlement",
}
"""Arguments of events; a ruling has a test of its own, since each other ruling shows elsewhere."""

CALL: dict[str, str] = {"name": "events", "block": "events", "time": "events", "status": "events"}
"""What an event says of its transaction. ``value`` and ``sender`` depend on the call: see their tests."""

UNDETECTABLE = {
    ("Withdrawn", "to"): "money that has left is its owner's business: no state depends on where it went",
    ("DisputeRaised", "reasonHash"): "the digest of a document that stays off the ledger: no state depends on it",
    ("*", "transaction"): "a name: no rule depends on the hash of a call that emits one event",
    ("*", "log_index"): "its place among the logs of other contracts in the block, which the record does not hold",
    ("*", "gas"): "what a call cost depends on nothing that is recorded",
}

PERMISSIONLESS = ("ProfileRecorded", "RoundVoided", "TransfersSubmitted", "PayoffCalculated", "PayoffTransferred")
"""Whoever made these calls, the outcome is the same."""


SWEEPS = pytest.mark.parametrize(
    "step", [pytest.param(9, id="sample"), pytest.param(1, id="all", marks=pytest.mark.deep)]
)
"""Every place takes a minute; by default every ninth is tried."""

PHASES = pytest.mark.parametrize(
    "phase",
    [
        *("calculated", "done"),
        *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("open", "recorded", "disputed")),
    ],
)

OF_A_ROUND = set(EVENT_ARGUMENTS) - {"Accepted", "Deposited", "Withdrawn", "ExitRequested", "ExitCancelled"}
"""The events whose order is a round's; what members do with their own bonds is often the same in either order."""


def failed(report: AuditReport) -> set[str]:
    return {check.name for check in report.checks if check.status == "FAIL"}


def edited(record: LedgerRecord, position: int, **changes: Any) -> LedgerRecord:
    """Return the record with other values in one event; ``args`` are merged."""
    event = record.events[position]
    if "args" in changes:
        changes["args"] = {**event.args, **changes["args"]}
    return replace(
        record, events=(*record.events[:position], replace(event, **changes), *record.events[position + 1 :])
    )


def flips(value: Any) -> Iterator[Any]:
    """Yield other values of the same type: each entry of a list in turn, both ends of what is bytes."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, bytes):
        yield bytes([value[0] ^ 1]) + value[1:]
        yield value[:-1] + bytes([value[-1] ^ 1])
    elif isinstance(value, str):
        yield OTHER if value != OTHER else ANOTHER
    else:
        for n, item in enumerate(value):
            for flipped in flips(item):
                yield (*value[:n], flipped, *value[n + 1 :])


def ends(record: LedgerRecord) -> Iterator[tuple[int, LedgerEvent]]:
    """Yield the first and the last event of each name, with their positions."""
    by_name: dict[str, list[int]] = {}
    for position, event in enumerate(record.events):
        by_name.setdefault(event.name, []).append(position)
    for positions in by_name.values():
        for position in dict.fromkeys((positions[0], positions[-1])):
            yield position, record.events[position]


def last_of_each(record: LedgerRecord) -> Iterator[tuple[int, LedgerEvent]]:
    """Yield the last event of each name, with its position."""
    yield from {event.name: (position, event) for position, event in enumerate(record.events)}.values()


def expected_for(record: LedgerRecord, event: LedgerEvent, name: str, flipped: Any) -> str:
    """The check that must fail: that of the table, but where the flip breaks a limit before anything else."""
    if (event.name, name) == ("TransfersSubmitted", "transfers"):
        present = submitted_before(record, event)
        changed = [i for i, (a, b) in enumerate(zip(event.args["transfers"], flipped, strict=True)) if a != b]
        if not set(changed) <= present:
            return "limits"
    if (event.name, name) == ("ContributionSubmitted", "index"):
        opened = [e for e in record.events if e.name == "RoundOpened" and e.args["round"] == event.args["round"]]
        count = len(record.storage.balances)
        if flipped < count and not opened[0].args["participants"] >> flipped & 1:
            return "limits"
    return EXPECTED[event.name, name]


def submitted_before(record: LedgerRecord, event: LedgerEvent) -> set[int]:
    number = event.args["round"]
    return {e.args["index"] for e in record.events if e.name.startswith("Contribution") and e.args["round"] == number}


class TestEvents:
    def test_every_argument_of_every_event_is_in_one_table(self):
        arguments = {(name, argument) for name, given in EVENT_ARGUMENTS.items() for argument in given}
        unlisted = {key for key in UNDETECTABLE if key[0] != "*"} | {("DisputeResolved", "ruling")}
        assert EXPECTED.keys() | unlisted == arguments
        assert not EXPECTED.keys() & unlisted

    def test_every_event_of_the_contract_occurs(self, recorded):
        emitted = {event.name for event in recorded.done.events}
        assert emitted == set(EVENT_ARGUMENTS) - {"Absent" if recorded.encoded.is_vector else "TransfersSubmitted"}
        rulings = {(e.args["ruling"], e.args["forfeited"] > 0) for e in recorded.done.events if "ruling" in e.args}
        assert rulings == {(0, False), (1, False), (2, True)}

    def test_the_ledgers_are_honest_in_every_phase(self, recorded):
        phases = {name: record.storage.round.phase for name, record in recorded.records.items()}
        assert phases == {"open": 1, "disputed": 3, "calculated": 4, "recorded": 2, "done": 0}
        for record in recorded.records.values():
            report = audit(record, recorded.terms)
            assert [check.status for check in report.checks] == ["PASS"] * 9 + ["SKIPPED"] * 3

    @pytest.mark.parametrize(
        "every", [pytest.param(False, id="one of each name"), pytest.param(True, id="all", marks=pytest.mark.deep)]
    )
    def test_any_argument_of_every_single_event(self, recorded, every):
        tried = set()
        for position, event in enumerate(recorded.done.events) if every else last_of_each(recorded.done):
            for name, value in event.args.items():
                if (event.name, name) in UNDETECTABLE or name == "ruling":
                    continue
                for flipped in flips(value):
                    report = audit(edited(recorded.done, position, args={name: flipped}), recorded.encoded)
                    expected = expected_for(recorded.done, event, name, flipped)
                    assert expected in failed(report), (position, event.name, name, flipped, failed(report))
                    tried.add((event.name, name))
        occurring = {event.name for event in recorded.done.events}
        assert tried == {key for key in EXPECTED if key[0] in occurring}

    def test_a_sample_through_the_exported_file(self, recorded, tmp_path):
        file = tmp_path / "ledger.jsonl"
        for position, event in last_of_each(recorded.done):
            for name, value in list(event.args.items())[-2:]:
                if (event.name, name) in EXPECTED:
                    flipped = next(flips(value))
                    tampered = edited(recorded.done, position, args={name: flipped})
                    write_ledger(tampered, file, artifact="")
                    read = read_ledger(file).record
                    assert read == tampered
                    expected = expected_for(recorded.done, event, name, flipped)
                    assert expected in failed(audit(read, recorded.encoded)), (event.name, name)

    def test_any_other_ruling(self, recorded):
        for position, event in enumerate(recorded.done.events):
            if event.name == "DisputeResolved":
                for ruling in {0, 1, 2, 3, 255} - {event.args["ruling"]}:
                    report = audit(edited(recorded.done, position, args={"ruling": ruling}), recorded.encoded)
                    silent = event.sender != recorded.encoded.scalars.arbiter and ruling <= 2
                    # forfeiting differs from settling only in who got the bond
                    bond_only = {event.args["ruling"], ruling} == {0, 2}
                    expected = "limits" if silent else "balances" if bond_only else "events"
                    assert expected in failed(report), (event.args, ruling)

    @pytest.mark.parametrize("name", CALL)
    def test_what_is_said_of_the_transaction(self, recorded, name):
        for position, event in ends(recorded.done):
            for flipped in flips(getattr(event, name)):
                report = audit(edited(recorded.done, position, **{name: flipped}), recorded.encoded)
                assert CALL[name] in failed(report), (position, event.name, flipped)

    def test_the_value_of_a_call(self, recorded):
        for position, event in ends(recorded.done):
            report = audit(edited(recorded.done, position, value=event.value + 1), recorded.encoded)
            # the two events of a first deposit name two values then, which no transaction has
            assert ("balances" if event.name == "Deposited" else "events") in failed(report), event.name

    def test_the_sender_of_a_call_that_only_one_may_make(self, recorded):
        relay_from = recorded.encoded.scalars.submit_window // 2
        opened = 0
        for position, event in enumerate(recorded.done.events):
            opened = event.time if event.name == "RoundOpened" else opened
            late = event.name == "ContributionSubmitted" and event.time >= opened + relay_from
            by_anyone = event.name in PERMISSIONLESS or late or event.sender == OTHER
            before = recorded.done.events[position - 1]
            # the two events of one call name one sender
            second = (before.name, event.name) in (("DisputeResolved", "RoundVoided"), ("Absent", "PayoffCalculated"))
            report = audit(edited(recorded.done, position, sender=ANOTHER), recorded.encoded)
            if second or event.name == "Absent" or not by_anyone:
                expected = "limits" if event.name == "DisputeResolved" else "events"
                assert expected in failed(report), (position, event.name)
            else:
                assert report.status == "PASS", (position, event.name)

    @pytest.mark.parametrize(("event_name", "name"), UNDETECTABLE)
    def test_what_nothing_depends_on_passes_and_a_second_node_shows_it(self, recorded, event_name, name):
        record = recorded.done
        alone = {e.transaction: 0 for e in record.events}
        for event in record.events:
            alone[event.transaction] += 1
        tried = 0
        for position, event in enumerate(record.events):
            if event_name not in ("*", event.name) or alone[event.transaction] > 1:
                continue
            if event_name == "*":
                tampered = edited(record, position, **{name: next(flips(getattr(event, name)))})
            else:
                tampered = edited(record, position, args={name: next(flips(event.args[name]))})
            if tried == 0:
                assert audit(tampered, recorded.encoded).status == "PASS", UNDETECTABLE[event_name, name]
                report = audit(tampered, recorded.encoded, second=record)
                assert failed(report) == {"cross-check"}
                assert report.checks[9].transaction == tampered.events[position].transaction
            tried += 1
        assert tried

    def test_the_contract_pays_neither_itself_nor_nobody(self, recorded):
        position = next(i for i, event in enumerate(recorded.done.events) if event.name == "Withdrawn")
        for impossible in (recorded.done.address, ZERO_ADDRESS):
            report = audit(edited(recorded.done, position, args={"to": impossible}), recorded.encoded)
            assert "balances" in failed(report)


class TestOrder:
    """Dropped, repeated, exchanged and foreign events."""

    @SWEEPS
    def test_a_dropped_event(self, recorded, step):
        last = len(recorded.done.events) - 1
        for position in sorted({*range(0, last, step), last}):
            event = recorded.done.events[position]
            events = recorded.done.events[:position] + recorded.done.events[position + 1 :]
            report = audit(replace(recorded.done, events=events), recorded.encoded)
            # the block of the last event is the storage's too, so only the money tells
            assert ("balances" if position == last else "events") in failed(report), event.name

    def test_a_dropped_event_whose_block_is_dropped_too(self, recorded):
        done = recorded.done
        missed = []
        for position, event in enumerate(done.events):
            events = done.events[:position] + done.events[position + 1 :]
            left = {e.block for e in events} | {done.storage.block}
            tampered = replace(done, events=events, blocks=tuple(b for b in done.blocks if b.number in left))
            if not failed(audit(tampered, recorded.encoded)) & {"events", "limits", "balances", "settlement"}:
                missed.append(event)
                assert failed(audit(tampered, recorded.encoded, second=done)) == {"cross-check"}
        # nothing follows from a contribution to a round that was voided for want of contributions
        voided = {e.args["round"] for e in done.events if e.args.get("reason", b"").startswith(b"quorum")}
        assert [e.args["index"] for e in missed] == [0]
        assert {(e.name, e.args["round"] in voided) for e in missed} == {("ContributionSubmitted", True)}

    @SWEEPS
    def test_a_repeated_event(self, recorded, step):
        for position in range(0, len(recorded.done.events), step):
            events = recorded.done.events[: position + 1] + recorded.done.events[position:]
            assert "events" in failed(audit(replace(recorded.done, events=events), recorded.encoded)), position

    @SWEEPS
    def test_neighbours_exchanged(self, recorded, step):
        for position in range(0, len(recorded.done.events) - 1, step):
            events = list(recorded.done.events)
            events[position : position + 2] = reversed(events[position : position + 2])
            assert "events" in failed(audit(replace(recorded.done, events=tuple(events)), recorded.encoded))

    @SWEEPS
    def test_neighbours_exchanged_that_keep_their_places(self, recorded, step):
        # blocks, times and hashes stay in order: only the rules can tell
        for position in range(0, len(recorded.done.events) - 1, step):
            one, other = recorded.done.events[position : position + 2]
            if one.transaction == other.transaction or not {one.name, other.name} <= OF_A_ROUND:
                continue
            events = list(recorded.done.events)
            events[position : position + 2] = called(other, at=one), called(one, at=other)
            report = audit(replace(recorded.done, events=tuple(events)), recorded.encoded)
            assert failed(report) & {"events", "limits", "settlement", "balances"}, (position, one.name, other.name)

    def test_a_contribution_of_another_round(self, recorded):
        done = recorded.done
        positions = [i for i, e in enumerate(done.events) if e.name == "ContributionSubmitted" and e.args["index"] == 0]
        first, second = positions[:2]
        assert done.events[first].args["round"] != done.events[second].args["round"]
        tampered = edited(done, second, args=dict(done.events[first].args))
        assert {"events", "settlement"} & failed(audit(tampered, recorded.encoded))

    def test_a_signature_of_another_round(self, recorded):
        done = recorded.done
        positions = [i for i, e in enumerate(done.events) if e.name == "ContributionSubmitted" and e.args["index"] == 0]
        copied = done.events[positions[0]].args["attesterSignature"]
        report = audit(edited(done, positions[1], args={"attesterSignature": copied}), recorded.encoded)
        assert failed(report) == {"signatures"}

    @SWEEPS
    def test_a_log_cut_short(self, recorded, step):
        last = len(recorded.done.events) - 1
        for length in sorted({*range(0, last, step), last}):
            report = audit(replace(recorded.done, events=recorded.done.events[:length]), recorded.encoded)
            assert ("balances" if length == last else "events") in failed(report), length


def called(event: LedgerEvent, *, at: LedgerEvent) -> LedgerEvent:
    """Return the event of one call in the place of another."""
    return replace(at, name=event.name, args=event.args, sender=event.sender, value=event.value)


class TestForgery:
    def test_numbers_signed_by_someone_else(self, recorded):
        done, terms = recorded.done, recorded.encoded
        domain = Domain(done.chain_id, done.address)
        position = next(i for i, event in enumerate(done.events) if event.name == "ContributionSubmitted")
        args = {**done.events[position].args, "data": 1}
        signed = [args[name] for name in ("round", "member", "data", "generated", "compute", "evidenceHash")]
        digest = domain.digest(contribution_struct_hash(terms.terms_hash, *signed))
        for signer, expected in (("o1", {"signatures", "settlement"}), ("attester", {"settlement"})):
            forged = {**args, "attesterSignature": sign(digest, development_key(7, signer))}
            report = audit(edited(done, position, args=forged), terms)
            assert expected <= failed(report)
            assert ("signatures" in failed(report)) == ("signatures" in expected)

    def test_a_vector_signed_by_someone_else(self, recorded):
        if not recorded.encoded.is_vector:
            pytest.skip("only the vector mode has signed vectors")
        done, terms = recorded.done, recorded.encoded
        position = next(i for i, event in enumerate(done.events) if event.name == "TransfersSubmitted")
        transfers = list(done.events[position].args["transfers"])
        transfers[0] += 1
        transfers[1] -= 1
        hashed = transfers_hash(transfers)
        struct_hash = transfers_struct_hash(
            terms.terms_hash, done.events[position].args["round"], hashed, done.events[position].args["evidenceHash"]
        )
        signature = sign(Domain(done.chain_id, done.address).digest(struct_hash), development_key(7, "o1"))
        args = {"transfers": tuple(transfers), "transfersHash": hashed, "attesterSignature": signature}
        assert {"signatures", "settlement"} <= failed(audit(edited(done, position, args=args), terms))

    def test_payoffs_moved_by_one_wei_and_hashed_anew(self, recorded):
        position = next(i for i, event in enumerate(recorded.done.events) if event.name == "PayoffCalculated")
        payoffs = list(recorded.done.events[position].args["payoffs"])
        payoffs[0] += 1
        payoffs[1] -= 1
        args = {"payoffs": tuple(payoffs), "payoffHash": transfers_hash(payoffs)}
        assert "settlement" in failed(audit(edited(recorded.done, position, args=args), recorded.encoded))


STORAGE = {
    "terms": "terms",
    "terms_hash": "terms",
    "liabilities": "terms",
    "accepted": "events",
    "exiting": "events",
    "contributions": "events",
    "solvent": "balances",
    "balances": "balances",
    "total_balance": "balances",
    "payoffs": "settlement",
    "ledger": "settlement",
    "block": "events",
}


class TestStorage:
    def test_no_view_is_forgotten(self):
        assert STORAGE.keys() | {"round", "assets"} == {item.name for item in fields(StorageView)}

    @PHASES
    @pytest.mark.parametrize(("name", "check"), STORAGE.items())
    def test_any_entry_of_any_view(self, recorded, phase, name, check):
        record = recorded.records[phase]
        value = getattr(record.storage, name)
        for changed in flips(value):
            report = audit(replace(record, storage=replace(record.storage, **{name: changed})), recorded.encoded)
            assert check in failed(report), changed

    @PHASES
    def test_any_field_of_the_round(self, recorded, phase):
        record = recorded.records[phase]
        for item in fields(RoundView):
            for changed in flips(getattr(record.storage.round, item.name)):
                current = replace(record.storage.round, **{item.name: changed})
                report = audit(replace(record, storage=replace(record.storage, round=current)), recorded.encoded)
                assert failed(report) == {"settlement" if item.name == "round_hash" else "events"}, item.name

    def test_assets_below_the_balances_fail_and_forced_assets_do_not(self, recorded):
        record = recorded.records["open"]
        total = record.storage.total_balance
        for assets, failing in ((total - 1, {"balances"}), (total, set()), (total + 1, set())):
            report = audit(replace(record, storage=replace(record.storage, assets=assets)), recorded.encoded)
            assert failed(report) == failing

    def test_money_moved_between_balances(self, recorded):
        record = recorded.records["open"]
        balances = list(record.storage.balances)
        balances[0] += 1
        balances[1] -= 1
        report = audit(replace(record, storage=replace(record.storage, balances=tuple(balances))), recorded.encoded)
        assert failed(report) == {"balances"}

    def test_a_view_too_short_fails(self, recorded):
        for name in ("terms", "liabilities", "balances", "payoffs", "contributions"):
            storage = replace(recorded.done.storage, **{name: getattr(recorded.done.storage, name)[:-1]})
            assert STORAGE[name] in failed(audit(replace(recorded.done, storage=storage), recorded.encoded))


class TestTerms:
    def test_every_scalar(self, recorded):
        for item in fields(ScalarTerms):
            for changed in flips(getattr(recorded.encoded.scalars, item.name)):
                if item.name == "mode":
                    continue
                scalars = replace(recorded.encoded.scalars, **{item.name: changed})
                report = audit(recorded.done, replace(recorded.encoded, scalars=scalars))
                assert {"code", "terms"} <= failed(report), item.name

    def test_the_other_mode(self, recorded):
        vector = recorded.encoded.is_vector
        members = tuple(replace(member, max_debit=0 if vector else 1_000) for member in recorded.terms.members)
        members = tuple(replace(member, stand_in=None) for member in members)
        other = replace(recorded.terms, mode="pairwise" if vector else "vector", members=members)
        assert {"code", "terms"} <= failed(audit(recorded.done, other))

    def test_every_field_of_every_member(self, recorded):
        members = recorded.encoded.members
        for index, member in enumerate(members):
            for item in fields(member):
                for changed in flips(getattr(member, item.name)):
                    other = (*members[:index], replace(member, **{item.name: changed}), *members[index + 1 :])
                    assert "terms" in failed(audit(recorded.done, replace(recorded.encoded, members=other))), item.name

    def test_every_pair_weight(self, recorded):
        count = len(recorded.encoded.members)
        for i in range(count):
            for j in range(i + 1, count):
                weights = [list(row) for row in recorded.encoded.pair_weights]
                weights[i][j] = weights[j][i] = weights[i][j] ^ 1
                changed = replace(recorded.encoded, pair_weights=tuple(map(tuple, weights)))
                # in vector mode there is no triangle that a weight could be read from
                assert ("terms" in failed(audit(recorded.done, changed))) != recorded.encoded.is_vector

    @SWEEPS
    def test_every_byte_of_the_blob(self, recorded, step):
        blob = recorded.done.terms_blob
        for at in range(0, len(blob), step):
            tampered = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
            assert failed(audit(replace(recorded.done, terms_blob=tampered), recorded.encoded)) == {"terms"}

    def test_every_byte_of_the_stand_ins(self, recorded):
        blob = recorded.done.stand_ins_blob
        assert len(blob) == (0 if recorded.encoded.is_vector else 1 + 16 * 5)
        for at in range(len(blob)):
            tampered = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
            assert failed(audit(replace(recorded.done, stand_ins_blob=tampered), recorded.encoded)) == {"terms"}
        for tampered in {blob[:-1], blob + b"\0", b"", b"\0"} - {blob}:
            assert failed(audit(replace(recorded.done, stand_ins_blob=tampered), recorded.encoded)) == {"terms"}

    def test_any_other_stand_in_agreed_on(self, recorded):
        if recorded.encoded.is_vector:
            return
        for index in range(5):
            scores = [*recorded.encoded.stand_ins]
            scores[index] -= 1
            report = audit(recorded.done, replace(recorded.encoded, stand_ins=tuple(scores)))
            assert "terms" in failed(report)


class TestAbsent:
    """The event that says who is charged: it stands before the payoffs of its call, or there are findings."""

    def places(self, record):
        return [position for position, event in enumerate(record.events) if event.name == "Absent"]

    def test_removed(self, record_life):
        recorded = record_life("pairwise")
        for place in self.places(recorded.done):
            events = recorded.done.events[:place] + recorded.done.events[place + 1 :]
            assert "events" in failed(audit(replace(recorded.done, events=events), recorded.encoded))

    def test_added_where_nobody_is_absent(self, record_life):
        recorded = record_life("pairwise")
        events, place = recorded.done.events, self.places(recorded.done)[0]
        full = next(
            position
            for position, event in enumerate(events)
            if event.name == "PayoffCalculated" and events[position - 1].name != "Absent"
        )
        event = events[full]
        args = {"round": event.args["round"], "bitmap": 1}
        forged = replace(events[place], args=args, **{f: getattr(event, f) for f in ("block", "time", "transaction")})
        forged = replace(forged, sender=event.sender, value=event.value, log_index=event.log_index - 1)
        longer = replace(recorded.done, events=(*events[:full], forged, *events[full:]))
        assert "events" in failed(audit(longer, recorded.encoded))

    def test_moved_behind_the_payoffs(self, record_life):
        recorded = record_life("pairwise")
        events, place = [*recorded.done.events], self.places(recorded.done)[0]
        first, second = events[place : place + 2]
        events[place : place + 2] = [
            replace(second, log_index=first.log_index),
            replace(first, log_index=second.log_index),
        ]
        assert "events" in failed(audit(replace(recorded.done, events=tuple(events)), recorded.encoded))

    def test_payoffs_that_charge_nobody_fail_all_checks_that_compute_them(self, record_life):
        recorded = record_life("pairwise")
        place = self.places(recorded.done)[0] + 1
        payoffs = [*recorded.done.events[place].args["payoffs"]]
        absent = recorded.done.events[place - 1].args["bitmap"].bit_length() - 1
        assert payoffs[absent] < 0
        richest = payoffs.index(max(payoffs))
        payoffs[richest] += payoffs[absent]
        payoffs[absent] = 0
        report = audit(edited(recorded.done, place, args={"payoffs": tuple(payoffs)}), recorded.encoded)
        assert failed(report) >= {"settlement", "rounding", "transfers"}


class TestCode:
    @SWEEPS
    def test_every_immutable_and_any_other_byte(self, recorded, step):
        code = recorded.done.runtime_code
        artifact = load_artifact(recorded.encoded.contract_name)
        places = {
            s + n: name
            for name, found in artifact.immutable_references.items()
            for s, n in [(s, n - 1) for s, n in found]
        }
        one_of_each = {name: at for at, name in places.items()}.values()
        for at in sorted({*(places if step == 1 else one_of_each), *range(0, len(code), 997 * step), len(code) - 1}):
            tampered = code[:at] + bytes([code[at] ^ 1]) + code[at + 1 :]
            report = audit(replace(recorded.done, runtime_code=tampered), recorded.encoded)
            assert failed(report) == {"code"}, at
            assert places.get(at, "byte") in report.checks[0].detail

    @pytest.mark.parametrize("code", [b"", None, b"\0"])
    def test_no_code_or_another_contract(self, recorded, code):
        assert failed(audit(replace(recorded.done, runtime_code=code), recorded.encoded)) == {"code"}

    @pytest.mark.parametrize(
        ("name", "checks"),
        [("chain_id", {"code", "signatures"}), ("address", {"code", "signatures"}), ("blob_address", {"code"})],
    )
    def test_where_the_contract_is(self, recorded, name, checks):
        for changed in flips(getattr(recorded.done, name)):
            report = audit(replace(recorded.done, **{name: changed}), recorded.encoded)
            assert checks <= failed(report)

    def test_the_other_contracts_code(self, recorded):
        for name in ("ConsortiumERC20", "VectorConsortiumERC20"):
            report = audit(recorded.done, recorded.encoded, artifact=load_artifact(name))
            assert failed(report) == {"code"}


class TestPlace:
    """Blocks and creation."""

    def test_a_creation_after_the_first_event(self, recorded):
        first = recorded.done.events[0].block
        assert failed(audit(replace(recorded.done, created_block=first + 1), recorded.encoded)) == {"events"}

    def test_an_earlier_creation_or_another_creating_transaction_changes_nothing(self, recorded):
        # nothing happened in between; a node cannot be asked who created a contract
        for change in ({"created_block": 0}, {"created_transaction": None}):
            assert audit(replace(recorded.done, **change), recorded.encoded).status == "PASS"

    @SWEEPS
    def test_any_block(self, recorded, step):
        for position in range(0, len(recorded.done.blocks), step):
            block = recorded.done.blocks[position]
            for item in fields(BlockView)[: 3 if position in (0, 36) else 2]:
                changed = replace(block, **{item.name: next(flips(getattr(block, item.name)))})
                blocks = (*recorded.done.blocks[:position], changed, *recorded.done.blocks[position + 1 :])
                tampered = replace(recorded.done, blocks=blocks)
                if item.name != "hash":
                    assert failed(audit(tampered, recorded.encoded)) == {"events"}, (position, item.name)
                else:
                    # only who knows the chain knows its hashes
                    assert audit(tampered, recorded.encoded).status == "PASS"
                    assert failed(audit(tampered, recorded.encoded, second=recorded.done)) == {"cross-check"}

    def test_a_missing_or_foreign_block(self, recorded):
        blocks = recorded.done.blocks
        foreign = BlockView(blocks[-1].number + 1, blocks[-1].time + 1, bytes(32))
        for other in (blocks[1:], blocks[:-1], (*blocks, foreign), (*blocks[:-2], blocks[-1], blocks[-2])):
            assert failed(audit(replace(recorded.done, blocks=other), recorded.encoded)) == {"events"}

    def test_two_events_in_one_place(self, recorded):
        # the first deposit emits two events
        assert recorded.done.events[1].transaction == recorded.done.events[0].transaction
        assert failed(audit(edited(recorded.done, 1, log_index=0), recorded.encoded)) == {"events"}

    def test_a_block_older_than_the_one_before_it(self, recorded):
        done, last = recorded.done, recorded.done.blocks[-1]
        for seconds, failing in ((0, set()), (-1, {"events"})):
            newest = BlockView(last.number + 1, last.time + seconds, bytes(32))
            later = replace(done, storage=replace(done.storage, block=newest.number), blocks=(*done.blocks, newest))
            assert failed(audit(later, recorded.encoded)) == failing
