"""The audit: honest ledgers pass, and whatever single value is tampered with, a named check fails."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from chain import kernel
from chain.arithmetic import EncodedTerms, encode
from chain.attestation import sign
from chain.audit import CHECKS, AuditReport, audit
from chain.build import load_artifact
from chain.bytecode import blob_address
from chain.keys import development_key
from chain.memory import MemoryProvider
from chain.record import LedgerEvent, LedgerRecord, RoundView
from chain.replay import EVENT_ARGUMENTS
from cocogen.ledger import Contribution, Ledger, LedgerProvider, SettlementTerms

SEED = 7
OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"
EVIDENCE = b"\xee" * 32
PARTS = [(100, 50, 7), (0, 0, 0), (3, 2, 1), (90, 10, 7)]


def live_a_full_life(ledger: Ledger) -> tuple[Any, Any]:
    """Emit every event of the contract; returns the record with a third round under way, and the last one."""
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, 3 * liability)
    ledger.deposit(0, 17)
    ledger.open_round()
    for n in (2, 0, 3):
        contribution = Contribution(*PARTS[n], EVIDENCE)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.wait_until(ledger.state().relay_from)
    contribution = Contribution(*PARTS[1], EVIDENCE)
    ledger.submit(1, contribution, ledger.attest(1, contribution), sender=0)
    ledger.exit(1)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.settle()
    ledger.exit(1, cancel=True)
    ledger.exit(3)
    ledger.wait_until(ledger.state().next_round_from)
    ledger.open_round()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    ledger.withdraw(3, 5)
    ledger.wait_until(ledger.state().next_round_from)
    ledger.open_round()
    for n in (0, 2):
        contribution = Contribution(*PARTS[n], EVIDENCE)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    under_way = ledger.collect()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.settle()
    for n, balance in enumerate(ledger.state().balances):
        ledger.withdraw(n, balance, to=OTHER)
    return under_way, ledger.collect()


def records_of(provider: LedgerProvider, terms: SettlementTerms) -> dict[str, LedgerRecord]:
    under_way, done = live_a_full_life(provider.deploy(terms))
    return {"under way": under_way, "done": done}


@pytest.fixture(scope="module")
def terms(make_terms) -> SettlementTerms:
    return make_terms(4, submit_window=3_600, dispute_window=3_600)


@pytest.fixture(scope="module")
def encoded(terms) -> EncodedTerms:
    return encode(terms)


@pytest.fixture(scope="module")
def chain_records(terms) -> dict[str, LedgerRecord]:
    from chain.open import open_ledger

    provider = open_ledger("tester", seed=SEED)
    records = records_of(provider, terms)
    provider.close()
    return records


@pytest.fixture(scope="module")
def memory_records(terms) -> dict[str, LedgerRecord]:
    return records_of(MemoryProvider(SEED), terms)


@pytest.fixture(scope="module", params=["chain", "memory"])
def records(request) -> dict[str, LedgerRecord]:
    return request.getfixturevalue(f"{request.param}_records")


@pytest.fixture(scope="module", params=["under way", "done"])
def record(records, request) -> LedgerRecord:
    return records[request.param]


def statuses(report: AuditReport) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def failed(report: AuditReport) -> set[str]:
    return {name for name, status in statuses(report).items() if status == "FAIL"}


def edited(record: LedgerRecord, position: int, **changes: Any) -> LedgerRecord:
    """Return the record with other values in one event; ``args`` are merged."""
    event = record.events[position]
    if "args" in changes:
        changes["args"] = {**event.args, **changes["args"]}
    events = (*record.events[:position], replace(event, **changes), *record.events[position + 1 :])
    return replace(record, events=events)


def find(record: LedgerRecord, name: str, last: bool = False) -> int:
    positions = [i for i, event in enumerate(record.events) if event.name == name]
    return positions[-1 if last else 0]


def other_value(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"\1"
    if isinstance(value, str):
        return OTHER if value != OTHER else "0x" + "11" * 20
    return (other_value(value[0]), *value[1:])


class TestHonestLedgers:
    def test_they_pass(self, record, terms, encoded):
        report = audit(record, terms)
        assert report == audit(record, encoded)
        assert [check.id for check in report.checks] == [1, 2, 3, 4, 5, 6, 7]
        assert tuple(check.name for check in report.checks) == CHECKS
        expected = dict.fromkeys(CHECKS, "PASS")
        if record.runtime_code is None:
            expected["code"] = "SKIPPED"
            assert report.checks[0].detail == "in-memory ledger: no bytecode"
        assert statuses(report) == expected
        assert report.status == "PASS"
        assert all(check.detail for check in report.checks)

    def test_every_event_of_the_contract_occurs(self, chain_records):
        abi = load_artifact("ConsortiumNative").abi
        declared = {e["name"]: tuple(i["name"] for i in e["inputs"]) for e in abi if e["type"] == "event"}
        # declared by OpenZeppelin's EIP712, whose domain never changes here
        assert declared == {**EVENT_ARGUMENTS, "EIP712DomainChanged": ()}
        assert {event.name for event in chain_records["done"].events} == set(EVENT_ARGUMENTS)

    def test_memory_and_chain_tell_the_same_story(self, memory_records, chain_records):
        for key, memory in memory_records.items():
            chain = chain_records[key]
            assert [event.name for event in memory.events] == [event.name for event in chain.events]
            assert memory.storage.balances == chain.storage.balances
            assert memory.storage.terms_hash == chain.storage.terms_hash
            assert memory.terms_blob == chain.terms_blob

    def test_an_unused_ledger_passes(self, terms):
        report = audit(MemoryProvider(SEED).deploy(terms).collect(), terms)
        assert report.status == "PASS"

    def test_forced_ether_is_no_offence(self, record, terms):
        richer = replace(record, storage=replace(record.storage, ether=record.storage.ether + 1))
        assert audit(richer, terms).status == "PASS"

    def test_calls_through_wallets_have_no_sender(self, record, terms):
        events = tuple(replace(event, sender=None, value=None) for event in record.events)
        assert audit(replace(record, events=events), terms).status == "PASS"


CHECK_OF = {
    ("Accepted", "termsHash"): {"terms"},
    **{(name, arg): {"balances"} for name in ("Deposited", "Withdrawn") for arg in ("amount", "balance")},
    **{("RoundOpened", arg): {"limits"} for arg in ("participants", "deadline")},
    **{("ContributionSubmitted", arg): {"signatures", "limits"} for arg in ("data", "generated", "compute")},
    **{("ContributionSubmitted", arg): {"signatures"} for arg in ("evidenceHash", "attesterSignature", "member")},
    **{("ProfileRecorded", arg): {"settlement"} for arg in ("profileHash", "submitted")},
    **{("PayoffCalculated", arg): {"settlement"} for arg in ("payoffHash", "payoffs")},
    ("PayoffTransferred", "ledger"): {"settlement"},
}


class TestTamperedEvents:
    @pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
    @pytest.mark.parametrize(
        ("name", "argument"),
        [(n, a) for n, arguments in EVENT_ARGUMENTS.items() for a in arguments if (n, a) != ("Withdrawn", "to")],
    )
    def test_any_argument(self, records, terms, name, argument, last):
        record = records["done"]
        position = find(record, name, last)
        event = record.events[position]
        tampered = edited(record, position, args={argument: other_value(event.args[argument])})
        report = audit(tampered, terms)
        assert report.status == "FAIL"
        # where the check is not singled out it is the order of events, or what the changed index makes of the call
        assert failed(report) & CHECK_OF.get((name, argument), {"events", "limits", "balances"})
        faulty = {check.transaction for check in report.checks if check.status == "FAIL"}
        assert faulty & {event.transaction, record.events[-1].transaction}

    def test_where_money_is_withdrawn_to_is_the_members_business(self, records, terms):
        # no state of the contract depends on it; but the contract pays neither itself nor nobody
        record = records["done"]
        position = find(record, "Withdrawn")
        assert audit(edited(record, position, args={"to": OTHER}), terms).status == "PASS"
        for impossible in (record.address, "0x" + "00" * 20):
            assert "balances" in failed(audit(edited(record, position, args={"to": impossible}), terms))
        assert "events" in failed(audit(edited(record, position, args={"to": "nowhere"}), terms))

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_a_missing_event(self, records, terms, name):
        record = records["done"]
        position = find(record, name, last=True)
        events = record.events[:position] + record.events[position + 1 :]
        report = audit(replace(record, events=events), terms)
        assert failed(report) & {"events", "balances", "limits", "settlement"}

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_an_event_twice(self, records, terms, name):
        record = records["done"]
        position = find(record, name)
        events = (*record.events[: position + 1], *record.events[position:])
        report = audit(replace(record, events=events), terms)
        assert "events" in failed(report)

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_an_event_of_another_name(self, records, terms, name):
        record = records["done"]
        for other in (*EVENT_ARGUMENTS, "Upgraded"):
            if other != name:
                report = audit(edited(record, find(record, name), name=other), terms)
                assert report.status == "FAIL"

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_an_event_with_missing_arguments(self, records, terms, name):
        record = records["done"]
        position = find(record, name)
        for argument in EVENT_ARGUMENTS[name]:
            args = {key: value for key, value in record.events[position].args.items() if key != argument}
            events = list(record.events)
            events[position] = replace(events[position], args=args)
            assert "events" in failed(audit(replace(record, events=tuple(events)), terms))

    def test_neighbours_swapped(self, records, terms):
        record = records["done"]
        for position in range(len(record.events) - 1):
            events = list(record.events)
            events[position : position + 2] = reversed(events[position : position + 2])
            assert "events" in failed(audit(replace(record, events=tuple(events)), terms))

    @pytest.mark.parametrize("name", ["Deposited", "Withdrawn", "ExitRequested", "ExitCancelled", "RoundOpened"])
    def test_a_sender_who_may_not(self, records, terms, name):
        record = records["done"]
        tampered = edited(record, find(record, name, last=True), sender=OTHER)
        assert "events" in failed(audit(tampered, terms))

    def test_a_relay_before_its_time(self, records, terms):
        record = records["done"]
        assert "events" in failed(audit(edited(record, find(record, "ContributionSubmitted"), sender=OTHER), terms))

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_the_value_of_a_call(self, records, terms, name):
        record = records["done"]
        position = find(record, name)
        tampered = edited(record, position, value=record.events[position].value + 1)
        assert failed(audit(tampered, terms)) & {"events", "balances"}

    @pytest.mark.parametrize("change", [{"block": 0}, {"block": 10**9}, {"time": 0}])
    def test_a_place_in_the_log_that_cannot_be(self, records, terms, change):
        record = records["done"]
        for position in (5, len(record.events) - 1):
            assert failed(audit(edited(record, position, **change), terms)) & {"events", "limits"}

    def test_two_events_in_one_place(self, records, terms):
        record = records["done"]
        tampered = edited(record, 1, log_index=record.events[0].log_index)
        assert failed(audit(tampered, terms)) == {"events"}

    def test_two_times_in_one_block(self, records, terms):
        record = records["done"]
        # the first deposit emits two events
        assert "events" in failed(audit(edited(record, 1, time=record.events[1].time + 1), terms))

    def test_two_calls_in_one_direct_transaction(self, records, terms):
        record = records["done"]
        position = find(record, "PayoffCalculated")
        first, second = record.events[position : position + 2]
        joined = replace(first, name=second.name, args=second.args, log_index=first.log_index + 1)
        events = (*record.events[: position + 1], joined, *record.events[position + 2 :])
        assert "events" in failed(audit(replace(record, events=events), terms))

    def test_a_contribution_after_the_deadline(self, records, terms):
        record = records["done"]
        position = find(record, "ContributionSubmitted")
        deadline = record.events[find(record, "RoundOpened")].args["deadline"]
        report = audit(edited(record, position, time=deadline + 1), terms)
        assert "limits" in failed(report)
        assert {check.transaction for check in report.checks if check.name == "limits"} == {
            record.events[position].transaction
        }

    def test_a_settlement_before_its_time(self, records, terms):
        record = records["done"]
        position = find(record, "PayoffCalculated")
        tampered = edited(record, position, time=record.events[position - 1].time)
        assert "limits" in failed(audit(tampered, terms))

    def test_the_time_of_a_record_and_of_the_last_transfer_show_in_storage(self, records, terms):
        record = records["under way"]
        position = find(record, "ProfileRecorded", last=True)
        tampered = edited(record, position, time=record.events[position].time + 1)
        assert "events" in failed(audit(tampered, terms))
        record = records["done"]
        position = find(record, "PayoffTransferred", last=True)
        tampered = edited(record, position, time=record.events[position].time + 1)
        assert "events" in failed(audit(tampered, terms))

    def test_a_contribution_signed_by_another(self, records, terms):
        record = records["done"]
        position = find(record, "ContributionSubmitted")
        args = record.events[position].args
        forged = sign(bytes(32), development_key(SEED, "o1"))
        report = audit(edited(record, position, args={"attesterSignature": forged}), terms)
        assert failed(report) == {"signatures"}
        detail = next(check.detail for check in report.checks if check.name == "signatures")
        assert str(args["member"]) in detail

    def test_every_bad_signature_is_counted(self, records, terms):
        record = records["done"]
        events = tuple(
            replace(event, args={**event.args, "attesterSignature": bytes(65)})
            if event.name == "ContributionSubmitted"
            else event
            for event in record.events
        )
        report = audit(replace(record, events=events), terms)
        assert next(check.detail for check in report.checks if check.name == "signatures").endswith("(and 5 more)")

    def test_impossible_values_in_a_contribution(self, records, terms):
        record = records["done"]
        position = find(record, "ContributionSubmitted")
        for args in ({"member": "nobody"}, {"evidenceHash": b"short"}, {"data": 2**300}):
            assert "signatures" in failed(audit(edited(record, position, args=args), terms))

    def test_a_shorter_list_of_payoffs(self, records, terms):
        record = records["done"]
        position = find(record, "PayoffCalculated")
        shorter = record.events[position].args["payoffs"][:-1]
        assert "settlement" in failed(audit(edited(record, position, args={"payoffs": shorter}), terms))

    def test_a_round_settled_in_another_way_and_recorded_consistently(self, records, terms):
        # a forger who moves one wei and recomputes the payoff hash still meets the kernel
        from chain.twin import payoff_hash

        record = records["done"]
        position = find(record, "PayoffCalculated")
        payoffs = list(record.events[position].args["payoffs"])
        payoffs[0] += 1
        payoffs[1] -= 1
        args = {"payoffs": tuple(payoffs), "payoffHash": payoff_hash(payoffs)}
        assert "settlement" in failed(audit(edited(record, position, args=args), terms))


STORAGE_CHECKS = {
    "block": "events",
    "terms_hash": "terms",
    "liabilities": "terms",
    "accepted": "events",
    "exiting": "events",
    "contributions": "events",
    "solvent": "balances",
    "balances": "balances",
    "total_balance": "balances",
    "ether": "balances",
    "payoffs": "settlement",
    "ledger": "settlement",
}
ROUND_FIELDS = [item.name for item in fields(RoundView)]


class TestTamperedStorage:
    def test_no_view_is_forgotten(self, record):
        assert set(STORAGE_CHECKS) | {"terms", "round"} == {item.name for item in fields(record.storage)}

    @pytest.mark.parametrize(("name", "check"), STORAGE_CHECKS.items())
    def test_any_view(self, record, terms, name, check):
        value = getattr(record.storage, name)
        if name == "block":
            changed: Any = record.events[-1].block - 1
        elif name == "ether":
            changed = record.storage.total_balance - 1
        else:
            changed = other_value(value)
        report = audit(replace(record, storage=replace(record.storage, **{name: changed})), terms)
        assert check in failed(report)

    @pytest.mark.parametrize("name", ROUND_FIELDS)
    def test_any_field_of_the_round(self, record, terms, name):
        current = record.storage.round
        changed = replace(current, **{name: other_value(getattr(current, name))})
        report = audit(replace(record, storage=replace(record.storage, round=changed)), terms)
        assert failed(report) == {"settlement" if name == "round_hash" else "events"}

    @pytest.mark.parametrize("position", range(18))
    def test_any_scalar_of_the_terms(self, record, terms, position):
        values = list(record.storage.terms)
        assert len(values) == 18
        values[position] = other_value(values[position])
        report = audit(replace(record, storage=replace(record.storage, terms=tuple(values))), terms)
        assert failed(report) == {"terms"}

    def test_a_scalar_too_few(self, record, terms):
        storage = replace(record.storage, terms=record.storage.terms[:-1])
        assert failed(audit(replace(record, storage=storage), terms)) == {"terms"}

    def test_balances_moved_between_members(self, records, terms):
        record = records["under way"]
        balances = list(record.storage.balances)
        balances[0] += 1
        balances[1] -= 1
        storage = replace(record.storage, balances=tuple(balances))
        assert failed(audit(replace(record, storage=storage), terms)) == {"balances"}

    def test_assets_below_the_balances(self, records, terms):
        record = records["under way"]
        storage = replace(record.storage, ether=record.storage.ether - 1)
        report = audit(replace(record, storage=storage), terms)
        assert failed(report) == {"balances"}


def other_terms(terms: SettlementTerms) -> list[tuple[str, SettlementTerms]]:
    """Return the terms with each field changed in turn, members' fields included."""
    changed: dict[str, Any] = {
        "incentive": terms.incentive * 1.001,
        "attester": OTHER,
        "arbiter": OTHER,
        "document_hash": b"\x99" * 32,
        "dispute_default": "void",
        "test": True,
        "mode": "vector",
        "generated_weight": 0.5,
        "compute_weight": 2.0,
        "token": OTHER,
        "wei_per_unit": terms.wei_per_unit + 10**11,
        "competition": tuple(
            tuple(v + 0.001 if (n, m) == (2, 1) else v for m, v in enumerate(row))
            for n, row in enumerate(terms.competition)
        ),
    }
    variants = []
    for item in fields(terms):
        if item.name in ("members", "test"):
            continue
        value = changed.get(item.name, getattr(terms, item.name))
        variants.append((item.name, replace(terms, **{item.name: value if item.name in changed else value + 1})))
    for name, value in (
        ("address", OTHER),
        ("data_cap", 99),
        ("generated_cap", 99),
        ("compute_cap", 99),
        ("score_weight", 1.1),
        ("score_offset", -3.0),
    ):
        members = (replace(terms.members[0], **{name: value}), *terms.members[1:])
        variants.append((name, replace(terms, members=members)))
    return variants


class TestTamperedTerms:
    def test_any_field(self, records, terms):
        for name, tampered in other_terms(terms):
            report = audit(records["done"], tampered)
            assert "terms" in failed(report), name

    def test_without_the_test_flag_short_gaps_cannot_be_deployed(self, records, terms):
        report = audit(records["done"], replace(terms, test=False))
        assert "terms" in failed(report)
        assert statuses(report)["settlement"] == "INCOMPLETE"

    def test_names_do_not_matter(self, records, terms):
        members = (replace(terms.members[0], name="renamed"), *terms.members[1:])
        assert audit(records["done"], replace(terms, members=members)).status == "PASS"

    def test_the_organization_and_the_field_are_named(self, records, terms, encoded):
        record = records["done"]
        for name, offset in (
            ("account", 0),
            ("data_cap", 20),
            ("generated_cap", 28),
            ("compute_cap", 36),
            ("weight", 44),
            ("offset", 52),
            ("liability", 68),
        ):
            at = 1 + 84 * 2 + offset
            blob = bytearray(record.terms_blob)
            blob[at] ^= 1
            report = audit(replace(record, terms_blob=bytes(blob)), terms)
            detail = next(check.detail for check in report.checks if check.name == "terms")
            assert detail.endswith(f"in {name} of {encoded.names[encoded.organizations[2]]}")

    @pytest.mark.parametrize(("at", "place"), [(0, "STOP"), (1 + 84 * 4, "pair weight 0"), (-1, "pair weight 5")])
    def test_the_rest_of_the_blob_is_named(self, records, terms, at, place):
        blob = bytearray(records["done"].terms_blob)
        blob[at] ^= 1
        report = audit(replace(records["done"], terms_blob=bytes(blob)), terms)
        assert failed(report) == {"terms"}
        assert place in report.checks[1].detail

    def test_a_blob_of_another_length(self, records, terms):
        record = records["done"]
        assert failed(audit(replace(record, terms_blob=record.terms_blob + b"\0"), terms)) == {"terms"}


class TestTamperedCode:
    @pytest.fixture
    def record(self, chain_records) -> LedgerRecord:
        return chain_records["done"]

    def test_any_immutable(self, record, terms):
        references = load_artifact("ConsortiumNative").immutable_references
        assert {"GAMMA_WAD", "ATTESTER", "TERMS_HASH", "TERMS_BLOB", "_cachedChainId"} <= set(references)
        for name, places in references.items():
            for start, length in places:
                code = bytearray(record.runtime_code)
                code[start + length - 1] ^= 1
                report = audit(replace(record, runtime_code=bytes(code)), terms)
                assert failed(report) == {"code"}
                assert name in report.checks[0].detail

    def test_any_other_byte(self, record, terms):
        length = len(record.runtime_code)
        for at in (0, length // 3, length // 2, length - 1):
            code = bytearray(record.runtime_code)
            code[at] ^= 1
            assert failed(audit(replace(record, runtime_code=bytes(code)), terms)) == {"code"}

    def test_code_of_another_length(self, record, terms):
        assert failed(audit(replace(record, runtime_code=record.runtime_code + b"\0"), terms)) == {"code"}
        assert failed(audit(replace(record, runtime_code=b""), terms)) == {"code"}

    def test_no_code_on_a_chain(self, record, terms):
        report = audit(replace(record, runtime_code=None), terms)
        assert failed(report) == {"code"}

    def test_an_artifact_with_an_unknown_immutable(self, record, terms):
        artifact = load_artifact("ConsortiumNative")
        references = {**artifact.immutable_references, "OWNER": ((0, 32),)}
        report = audit(record, terms, artifact=replace(artifact, immutable_references=references))
        assert "OWNER" in report.checks[0].detail
        assert report.checks[0].status == "FAIL"

    def test_a_blob_that_the_contract_did_not_create(self, record, terms):
        assert record.blob_address == blob_address(record.address)
        report = audit(replace(record, blob_address=OTHER), terms)
        assert failed(report) == {"code"}

    @pytest.mark.parametrize("change", [{"chain_id": 1}, {"address": OTHER}])
    def test_another_chain_or_address(self, record, terms, change):
        report = audit(replace(record, **change), terms)
        assert {"code", "signatures"} <= failed(report)

    def test_a_creation_after_the_first_event(self, record, terms):
        report = audit(replace(record, created_block=record.events[0].block + 1), terms)
        assert "events" in failed(report)


class TestWrongKernel:
    """Were contract and twin wrong alike, the exact rationals would still show it."""

    @pytest.mark.parametrize(
        ("shift", "detail"),
        [
            ((1, 0, 0, 0), "sum to 1 wei"),
            ((3, -3, 0, 0), "away from the exact"),
            ((-9, 9, 0, 0), "away from the exact"),
        ],
    )
    def test_payoffs_off_by_some_wei(self, monkeypatch, terms, shift, detail):
        true_payoffs = kernel.payoffs

        def wrong(*arguments):
            return tuple(payoff + error for payoff, error in zip(true_payoffs(*arguments), shift, strict=True))

        monkeypatch.setattr(kernel, "payoffs", wrong)
        record = records_of(MemoryProvider(SEED), terms)["done"]
        report = audit(record, terms)
        assert failed(report) == {"settlement"}
        assert detail in report.checks[5].detail


class TestIncomplete:
    def test_a_contract_attester_leaves_signatures_open(self, records, terms):
        record = records["done"]
        report = audit(replace(record, attester_is_contract=True), terms)
        assert statuses(report)["signatures"] == "INCOMPLETE"
        assert report.status == "INCOMPLETE"

    def test_a_contract_attester_who_never_signed_leaves_nothing_open(self, terms):
        record = replace(MemoryProvider(SEED).deploy(terms).collect(), attester_is_contract=True)
        assert audit(record, terms).status == "PASS"

    def test_what_follows_a_refused_call_cannot_be_judged(self, records, terms):
        record = records["done"]
        position = find(record, "RoundOpened")
        report = audit(edited(record, position, sender=OTHER), terms)
        assert failed(report) == {"events"}
        for name in ("limits", "settlement", "balances"):
            check = next(check for check in report.checks if check.name == name)
            assert check.status == "INCOMPLETE"
            assert check.transaction == record.events[position].transaction
        assert statuses(report)["signatures"] == "PASS"
        assert report.status == "FAIL"


def test_the_truncated_log_of_a_longer_life_fails(records, terms):
    # whoever leaves out the end of the log contradicts the storage
    record = records["done"]
    for length in range(len(record.events)):
        assert audit(replace(record, events=record.events[:length]), terms).status == "FAIL"


def test_the_record_is_plain_data(record):
    def plain(value: Any) -> bool:
        if isinstance(value, tuple | list):
            return all(map(plain, value))
        return value is None or isinstance(value, int | str | bytes)

    for event in record.events:
        assert isinstance(event, LedgerEvent)
        assert all(map(plain, event.args.values()))
        assert all(type(value) in (int, str, bytes, tuple) for value in event.args.values())
