"""The audit's own rules: honest ledgers of every kind pass, what cannot be judged is said, money is accounted for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.artifacts import CONTRACTS, load_artifact
from chain.audit import CANNOT_KNOW, CHECKS, QUESTIONS, AuditReport, audit, incomplete
from chain.audit.replay import EVENT_ARGUMENTS
from chain.audit.rounds import SettledRound, tally
from chain.audit.second import ask_second_node
from chain.encoding import kernel
from chain.encoding.codec import encode
from chain.errors.chain import ChainUnavailable, WrongChain
from chain.open import open_ledger
from chain.record.values import LedgerEvent, LedgerRecord
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution, Ledger, SettlementTerms

SEED = 7
OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"
EVIDENCE = b"\xee" * 32
BESIDE = {"evidence": "SKIPPED", "data": "SKIPPED"}
"""What lies beside the ledger is for whoever has the files and the data."""
PARTS = [(100, 50, 7), (0, 0, 0), (3, 2, 1), (90, 10, 7)]


def live_two_rounds(ledger: Ledger) -> None:
    """One round with everybody, one with a masked member, and everything withdrawn."""
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, 3 * liability)
    for present in ((2, 0, 3, 1), (0, 2, 3)):
        ledger.wait_until(ledger.state().next_round_from)
        ledger.open_round()
        for n in present:
            contribution = Contribution(*PARTS[n], EVIDENCE)
            ledger.submit(n, contribution, ledger.attest(n, contribution))
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.record()
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.settle()
    ledger.exit(3)
    for n, balance in enumerate(ledger.state().balances):
        ledger.withdraw(n, balance, to=OTHER)


@pytest.fixture(scope="module")
def terms(make_terms) -> SettlementTerms:
    return make_terms(4, submit_window=3_600, dispute_window=3_600)


@pytest.fixture(scope="module")
def memory_record(terms) -> LedgerRecord:
    ledger = MemoryProvider(SEED).deploy(terms)
    live_two_rounds(ledger)
    return ledger.collect()


@pytest.fixture(scope="module")
def chain_record(terms) -> LedgerRecord:
    provider = open_ledger("tester", seed=SEED)
    try:
        ledger: Any = provider.deploy(terms)
        live_two_rounds(ledger)
        return provider.inspect(terms, ledger.deployment, receipts=True)
    finally:
        provider.close()


def statuses(report: AuditReport) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def failed(report: AuditReport) -> set[str]:
    return {name for name, status in statuses(report).items() if status == "FAIL"}


def edited(record: LedgerRecord, position: int, **changes: Any) -> LedgerRecord:
    event = record.events[position]
    if "args" in changes:
        changes["args"] = {**event.args, **changes["args"]}
    events = (*record.events[:position], replace(event, **changes), *record.events[position + 1 :])
    return replace(record, events=events)


def find(record: LedgerRecord, name: str) -> int:
    return next(i for i, event in enumerate(record.events) if event.name == name)


class TestHonestLedgers:
    def test_a_chain_passes_every_check(self, chain_record, terms):
        report = audit(chain_record, terms)
        assert report == audit(chain_record, encode(terms))
        assert [check.id for check in report.checks] == list(range(1, 13))
        assert tuple(check.name for check in report.checks) == CHECKS == tuple(QUESTIONS)
        assert statuses(report) == dict.fromkeys(CHECKS, "PASS") | BESIDE | {"cross-check": "SKIPPED"}
        assert report.status == "PASS"
        assert all(check.detail for check in report.checks)

    def test_a_chain_gives_receipts_and_blocks(self, chain_record):
        assert all(event.status == 1 and event.gas > 21_000 for event in chain_record.events)
        assert {block.number for block in chain_record.blocks} >= {event.block for event in chain_record.events}

    def test_a_ledger_in_memory_has_no_code_to_check(self, memory_record, terms):
        report = audit(memory_record, terms)
        assert statuses(report)["code"] == "SKIPPED"
        assert report.status == "PASS"

    def test_memory_and_chain_tell_the_same_story(self, memory_record, chain_record):
        assert [event.name for event in memory_record.events] == [event.name for event in chain_record.events]
        assert memory_record.storage.balances == chain_record.storage.balances
        assert memory_record.storage.terms_hash == chain_record.storage.terms_hash
        assert memory_record.terms_blob == chain_record.terms_blob

    def test_an_unused_ledger_passes(self, terms):
        report = audit(MemoryProvider(SEED).deploy(terms).collect(), terms)
        assert report.status == "PASS"
        assert report.accounting.rounds == 0

    @pytest.mark.parametrize("mode", ["pairwise", "vector"])
    def test_a_ledger_in_a_token_passes_and_its_calls_carry_no_ether(self, record_life, mode):
        played = record_life(mode, token=OTHER)
        assert audit(played.done, played.encoded).status == "PASS"
        tampered = edited(played.done, find(played.done, "RoundOpened"), value=1)
        assert failed(audit(tampered, played.encoded)) == {"events"}
        native = load_artifact("ConsortiumNative" if mode == "pairwise" else "VectorConsortiumNative")
        assert failed(audit(played.done, played.encoded, artifact=native)) == {"code"}

    def test_calls_through_wallets_have_no_sender(self, recorded):
        for record in recorded.records.values():
            events = tuple(replace(event, sender=None, value=None) for event in record.events)
            assert audit(replace(record, events=events), recorded.encoded).status == "PASS"

    def test_names_do_not_matter(self, memory_record, terms):
        members = (replace(terms.members[0], name="renamed"), *terms.members[1:])
        assert audit(memory_record, replace(terms, members=members)).status == "PASS"

    def test_progress_is_told(self, memory_record, terms):
        told: list[tuple[str, int, int]] = []
        audit(memory_record, terms, progress=lambda *step: told.append(step))
        assert told == [("verifying signatures", 0, 7), ("replaying the log", 0, 1)]

    def test_the_abis_declare_exactly_the_events_of_the_replay(self):
        declared = {
            e["name"]: tuple(i["name"] for i in e["inputs"])
            for contract in CONTRACTS
            for e in load_artifact(contract).abi
            if e["type"] == "event"
        }
        # declared by OpenZeppelin's EIP712, whose domain never changes here
        assert declared == {**EVENT_ARGUMENTS, "EIP712DomainChanged": ()}

    def test_the_record_is_plain_data(self, chain_record, memory_record):
        for event in (*chain_record.events, *memory_record.events):
            assert isinstance(event, LedgerEvent)
            assert all(type(value) in (int, str, bytes, tuple) for value in event.args.values())


class TestMalformedEvents:
    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_missing_arguments(self, recorded, name):
        if name not in {event.name for event in recorded.done.events}:
            pytest.skip("not in this mode")
        position = find(recorded.done, name)
        for argument in EVENT_ARGUMENTS[name]:
            args = {k: v for k, v in recorded.done.events[position].args.items() if k != argument}
            events = list(recorded.done.events)
            events[position] = replace(events[position], args=args)
            assert "events" in failed(audit(replace(recorded.done, events=tuple(events)), recorded.encoded))

    @pytest.mark.parametrize("name", EVENT_ARGUMENTS)
    def test_another_name(self, recorded, name):
        if name not in {event.name for event in recorded.done.events}:
            pytest.skip("not in this mode")
        for other in (*EVENT_ARGUMENTS, "Upgraded"):
            if other != name:
                report = audit(edited(recorded.done, find(recorded.done, name), name=other), recorded.encoded)
                assert "events" in failed(report), other

    def test_impossible_values_in_what_is_signed(self, recorded):
        position = find(recorded.done, "ContributionSubmitted")
        for args in ({"member": "nobody"}, {"evidenceHash": b"short"}, {"data": 2**300}):
            assert "signatures" in failed(audit(edited(recorded.done, position, args=args), recorded.encoded))

    def test_a_recipient_that_is_no_address(self, recorded):
        position = find(recorded.done, "Withdrawn")
        assert "events" in failed(audit(edited(recorded.done, position, args={"to": "nowhere"}), recorded.encoded))

    def test_a_shorter_list_of_payoffs(self, recorded):
        position = find(recorded.done, "PayoffCalculated")
        shorter = recorded.done.events[position].args["payoffs"][:-1]
        report = audit(edited(recorded.done, position, args={"payoffs": shorter}), recorded.encoded)
        assert "settlement" in failed(report)

    def test_two_calls_in_one_direct_transaction(self, recorded):
        position = find(recorded.done, "PayoffCalculated")
        first, second = recorded.done.events[position : position + 2]
        joined = replace(first, name=second.name, args=second.args, log_index=first.log_index + 1)
        events = (*recorded.done.events[: position + 1], joined, *recorded.done.events[position + 2 :])
        report = audit(replace(recorded.done, events=events), recorded.encoded)
        assert "one direct call cannot emit PayoffCalculated, PayoffTransferred" in report.checks[2].detail

    def test_every_bad_signature_is_counted(self, memory_record, terms):
        events = tuple(
            replace(event, args={**event.args, "attesterSignature": bytes(65)})
            if event.name == "ContributionSubmitted"
            else event
            for event in memory_record.events
        )
        report = audit(replace(memory_record, events=events), terms)
        assert report.checks[3].detail.endswith("(and 6 more)")


class TestLimits:
    @pytest.mark.parametrize(
        ("name", "shift"),
        [("ContributionSubmitted", 1), ("DisputeRaised", 1), ("TransfersSubmitted", 1), ("PayoffCalculated", 0)],
    )
    def test_a_second_too_late_or_too_early(self, recorded, name, shift):
        done = recorded.done
        if name not in {event.name for event in done.events}:
            pytest.skip("not in this mode")
        position = find(done, name)
        # in vector mode the transfers say until when they can be disputed, pairwise the time of the record does
        said = [event.args["deadline"] for event in done.events[:position] if "deadline" in event.args]
        last = next(event for event in reversed(done.events[:position]) if event.name != "Withdrawn")
        by_record = last.name == "ProfileRecorded"
        deadline = last.time + recorded.encoded.scalars.dispute_window if by_record else said[-1]
        report = audit(edited(done, position, time=deadline + shift), recorded.encoded)
        assert "limits" in failed(report)
        assert report.checks[4].transaction == done.events[position].transaction

    def test_without_the_test_flag_short_windows_cannot_be_deployed(self, memory_record, terms):
        report = audit(memory_record, replace(terms, test=False))
        assert "terms" in failed(report)
        for name in ("events", "limits", "settlement", "balances", "rounding", "transfers"):
            assert statuses(report)[name] in ("INCOMPLETE", "FAIL")
        assert report.accounting is None


class TestTerms:
    def test_the_organization_and_the_field_are_named(self, recorded):
        encoded = recorded.encoded
        fields = {"account": 0, "data_cap": 20, "generated_cap": 28, "compute_cap": 36, "weight": 44, "offset": 52}
        for name, offset in (fields | {"liability": 68}).items():
            blob = bytearray(recorded.done.terms_blob)
            blob[1 + 84 * 2 + offset] ^= 1
            report = audit(replace(recorded.done, terms_blob=bytes(blob)), encoded)
            assert report.checks[1].detail.endswith(f"in {name} of {encoded.names[encoded.organizations[2]]}")

    @pytest.mark.parametrize(("at", "place"), [(0, "STOP"), (1 + 84 * 4, "pair weight 0"), (-1, "pair weight 5")])
    def test_the_rest_of_the_blob_is_named(self, memory_record, terms, at, place):
        blob = bytearray(memory_record.terms_blob)
        blob[at] ^= 1
        assert place in audit(replace(memory_record, terms_blob=bytes(blob)), terms).checks[1].detail

    def test_the_organization_whose_stand_in_differs_is_named(self, record_life):
        recorded = record_life("pairwise")
        encoded, blob = recorded.encoded, bytearray(recorded.done.stand_ins_blob)
        blob[1 + 16 * 3 + 15] ^= 1
        report = audit(replace(recorded.done, stand_ins_blob=bytes(blob)), encoded)
        assert report.checks[1].detail.endswith(f"for {encoded.names[encoded.organizations[3]]}")

    def test_a_blob_of_another_length(self, memory_record, terms):
        longer = replace(memory_record, terms_blob=memory_record.terms_blob + b"\0")
        assert failed(audit(longer, terms)) == {"terms"}

    def test_an_artifact_with_an_unknown_immutable(self, recorded):
        artifact = load_artifact(recorded.encoded.contract_name)
        references = {**artifact.immutable_references, "OWNER": ((0, 32),)}
        odd = replace(artifact, immutable_references=references)
        report = audit(recorded.done, recorded.encoded, artifact=odd)
        assert "OWNER" in report.checks[0].detail


class TestWrongKernel:
    """Were contract and twin wrong alike, the exact rationals would still show it, and so would the pairs."""

    @pytest.mark.parametrize(
        ("shift", "checks"),
        [
            ((1, 0, 0, 0), {"settlement", "transfers"}),
            ((1, -1, 0, 0), {"transfers"}),
            ((7, -7, 0, 0), {"rounding", "transfers"}),
            ((-9, 9, 0, 0), {"rounding", "transfers"}),
        ],
    )
    def test_payoffs_off_by_some_wei(self, monkeypatch, terms, shift, checks):
        true_payoffs = kernel.payoffs

        def wrong(*arguments):
            return tuple(payoff + error for payoff, error in zip(true_payoffs(*arguments), shift, strict=True))

        monkeypatch.setattr(kernel, "payoffs", wrong)
        ledger = MemoryProvider(SEED).deploy(terms)
        live_two_rounds(ledger)
        report = audit(ledger.collect(), terms)
        assert failed(report) == checks
        assert "payoff is" in report.checks[8].detail
        if "rounding" in checks:
            assert "wei away from the exact rational" in report.checks[7].detail

    @pytest.mark.parametrize("contributors", [1, 2, 3, 5])
    def test_the_allowance_ends_just_below_n_minus_1(self, recorded, contributors):
        # equal scores: the exact payoffs are all zero
        scores = tuple(10**18 if i < contributors else None for i in range(5))
        allowed = max(contributors - 1, 1)
        for wei, fails in ((allowed - 1, False), (1 - allowed, False), (allowed, True), (-allowed, True)):
            settled = SettledRound(1, "0x", scores, (None,) * 5, (wei, 0, 0, 0, 0))
            payments = tally([settled], replace(recorded.encoded, scalars=replace(recorded.encoded.scalars, mode=0)))
            assert any(finding.check == "rounding" for finding in payments.findings) == fails
            assert payments.largest_rounding == abs(wei)

    def test_the_exact_payoff_of_a_masked_member_is_zero(self, recorded):
        settled = SettledRound(1, "0x", (10**18, 10**18, None, None, None), (None,) * 5, (0, 0, 0, 0, 1))
        payments = tally([settled], replace(recorded.encoded, scalars=replace(recorded.encoded.scalars, mode=0)))
        assert {finding.check for finding in payments.findings} == {"rounding", "transfers"}

    def test_an_absent_member_owes_what_its_stand_in_would_and_is_owed_nothing(self, record_life):
        encoded = record_life("pairwise").encoded
        scores, stand_ins = (9 * 10**19, 0, None, None, None), (None, None, 10**19, 5 * 10**19, None)
        payoffs = kernel.payoffs(encoded.pair_weights, encoded.scalars.gamma_wad, scores, stand_ins)
        assert tally([SettledRound(1, "0x", scores, stand_ins, payoffs)], encoded).findings == []
        receiving = kernel.payoffs(encoded.pair_weights, encoded.scalars.gamma_wad, (*scores[:2], *stand_ins[2:]))
        masked = kernel.payoffs(encoded.pair_weights, encoded.scalars.gamma_wad, scores)
        for wrong in (receiving, masked):
            payments = tally([SettledRound(1, "0x", scores, stand_ins, wrong)], encoded)
            assert {finding.check for finding in payments.findings} == {"rounding", "transfers"}

    @pytest.mark.parametrize(("wei", "fails"), [(1, False), (2, True), (-1, False), (-2, True)])
    def test_the_allowance_counts_the_absent(self, record_life, wei, fails):
        scores, stand_ins = (10**18, 10**18, None, None, None), (None, None, 10**18, None, None)
        settled = SettledRound(1, "0x", scores, stand_ins, (0, 0, wei, 0, 0))
        payments = tally([settled], record_life("pairwise").encoded)
        assert any(finding.check == "rounding" for finding in payments.findings) == fails


class TestAccounting:
    def test_net_payments_explain_every_balance(self, recorded):
        for record in recorded.records.values():
            accounting = audit(record, recorded.encoded).accounting
            assert [account.name for account in accounting.organizations] == list(recorded.encoded.names)
            assert sum(account.net for account in accounting.organizations) == 0
            assert sum(account.forfeits for account in accounting.organizations) == 0
            pending = record.storage.payoffs
            for account, position in zip(accounting.organizations, recorded.encoded.positions, strict=True):
                moves = [
                    e for e in record.events if e.name in ("Deposited", "Withdrawn") and e.args["index"] == position
                ]
                own = sum(e.args["amount"] * (1 if e.name == "Deposited" else -1) for e in moves)
                assert account.balance == own + account.net + account.forfeits - pending[position]
                assert account.net == account.received - account.paid
                assert account.runway == account.balance // account.liability

    def test_pairs_add_up_to_the_net_payments(self, recorded):
        accounting = audit(recorded.done, recorded.encoded).accounting
        assert accounting.rounds == 5
        assert all(pair.wei > 0 for pair in accounting.pairs)
        for account in accounting.organizations:
            received = sum(pair.wei for pair in accounting.pairs if pair.payee == account.name)
            paid = sum(pair.wei for pair in accounting.pairs if pair.payer == account.name)
            assert received - paid == account.net

    def test_a_forfeited_bond_is_shared_among_the_other_contributors(self, recorded):
        accounting = audit(recorded.done, recorded.encoded).accounting
        forfeits = {account.name: account.forfeits for account in accounting.organizations}
        disputant = recorded.encoded.names[recorded.encoded.organizations[2]]
        assert forfeits.pop(disputant) == -1_000
        assert set(forfeits.values()) == {250}

    def test_nobody_who_cannot_lose_runs_out(self, make_terms):
        calm = make_terms(4, competition=((0.0,) * 4,) * 4)
        accounting = audit(MemoryProvider(SEED).deploy(calm).collect(), calm).accounting
        assert [account.runway for account in accounting.organizations] == [None] * 4


class TestContractAttesters:
    """EIP-1271: the contract's own answers, as the node gave them at the time, are in the record."""

    def answered(self, record: LedgerRecord, answer: bool | None, **changes: Any) -> LedgerRecord:
        events = tuple(
            replace(event, attested=answer, args={**event.args, **changes})
            if "attesterSignature" in event.args
            else event
            for event in record.events
        )
        return replace(record, attester_is_contract=True, events=events)

    def test_its_answers_decide(self, recorded):
        assert audit(self.answered(recorded.done, True, attesterSignature=b"any"), recorded.encoded).status == "PASS"
        assert failed(audit(self.answered(recorded.done, False), recorded.encoded)) == {"signatures"}

    def test_a_missing_answer_leaves_the_check_incomplete(self, recorded):
        report = audit(self.answered(recorded.done, None, attesterSignature=bytes(65)), recorded.encoded)
        assert statuses(report)["signatures"] == "INCOMPLETE"
        assert report.status == "INCOMPLETE"
        assert "EIP-1271" in report.checks[3].detail

    def test_a_key_that_got_code_later_signed_as_a_key(self, recorded):
        assert audit(self.answered(recorded.done, None), recorded.encoded).status == "PASS"

    def test_answers_are_nothing_to_a_key(self, recorded):
        events = tuple(replace(event, attested=True) for event in recorded.done.events)
        position = find(recorded.done, "ContributionSubmitted")
        record = edited(replace(recorded.done, events=events), position, args={"attesterSignature": bytes(65)})
        assert failed(audit(record, recorded.encoded)) == {"signatures"}

    def test_a_contract_attester_who_never_signed_leaves_nothing_open(self, terms):
        record = replace(MemoryProvider(SEED).deploy(terms).collect(), attester_is_contract=True)
        assert audit(record, terms).status == "PASS"


class TestIncomplete:
    def test_what_follows_a_refused_call_cannot_be_judged(self, recorded):
        position = find(recorded.done, "RoundOpened")
        report = audit(edited(recorded.done, position, sender=OTHER), recorded.encoded)
        assert failed(report) == {"events"}
        for check in report.checks:
            if check.name in ("limits", "settlement", "balances"):
                assert check.status == "INCOMPLETE"
                assert check.transaction == recorded.done.events[position].transaction
        for name in ("signatures", "rounding", "transfers"):
            assert statuses(report)[name] == "PASS"
        assert report.status == "FAIL"

    def test_an_audit_without_anything_to_read_says_why_in_every_check(self):
        report = incomplete("the node is dead")
        assert report.status == "INCOMPLETE"
        assert {(check.status, check.detail) for check in report.checks} == {("INCOMPLETE", "the node is dead")}
        assert len(report.checks) == 12
        assert CANNOT_KNOW


class TestSecondNode:
    def test_an_equal_answer_passes(self, recorded):
        report = audit(recorded.done, recorded.encoded, second=recorded.done)
        assert statuses(report)["cross-check"] == "PASS"

    def test_no_answer_leaves_the_check_incomplete(self, recorded):
        report = audit(recorded.done, recorded.encoded, second="it is dead")
        assert statuses(report)["cross-check"] == "INCOMPLETE"
        assert report.checks[9].detail == "it is dead"
        assert report.status == "INCOMPLETE"

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"runtime_code": b"\0"}, "runtime code"),
            ({"terms_blob": b"\0"}, "terms blob"),
            ({"chain_id": 1}, "chain id"),
            ({"blocks": ()}, "a block"),
            ({"events": ()}, "number of events"),
        ],
    )
    def test_another_answer_fails(self, recorded, change, what):
        report = audit(recorded.done, recorded.encoded, second=replace(recorded.done, **change))
        assert failed(report) == {"cross-check"}
        assert what in report.checks[9].detail

    def test_other_storage_or_events_fail(self, recorded):
        done = recorded.done
        others = [
            replace(done, storage=replace(done.storage, total_balance=done.storage.total_balance + 1)),
            edited(done, 3, transaction="0x" + "00" * 32),
            replace(done, events=done.events[:-1]),
        ]
        for other in others:
            assert failed(audit(done, recorded.encoded, second=other)) == {"cross-check"}

    def test_receipts_that_one_side_lacks_are_no_difference(self, recorded):
        bare = replace(recorded.done, events=tuple(replace(e, gas=None, status=None) for e in recorded.done.events))
        assert audit(recorded.done, recorded.encoded, second=bare).status == "PASS"
        assert audit(bare, recorded.encoded, second=recorded.done).status == "PASS"


class TestAskingASecondNode:
    @pytest.fixture
    def node(self, monkeypatch, tester):
        """The chain in memory, under an address of the web."""
        monkeypatch.setattr("chain.backends.open_backend", lambda url: tester)
        monkeypatch.setattr(tester, "close", lambda: None)
        return tester

    def test_it_gives_the_same_record_at_the_same_block(self, node, terms):
        from chain.contract.provider import ChainProvider

        ledger = ChainProvider(node, SEED).deploy(terms)
        ledger.deposit(0, 3 * ledger.decoded.liabilities[0])
        record = ledger.collect(receipts=True)
        ledger.deposit(1, 3 * ledger.decoded.liabilities[1])
        second = ask_second_node("http://second", record, "ConsortiumNative")
        assert second == record
        assert statuses(audit(record, terms, second=second))["cross-check"] == "PASS"

    def test_a_node_of_another_chain_or_behind_or_without_the_contract(self, node, recorded):
        record = replace(recorded.done, chain_id=node.chain_id)
        with pytest.raises(WrongChain, match="it serves chain"):
            ask_second_node("http://second", replace(record, chain_id=1), "ConsortiumNative")
        far = replace(record, storage=replace(record.storage, block=10**9))
        with pytest.raises(ChainUnavailable, match="has come to block"):
            ask_second_node("http://second", far, "ConsortiumNative")
        near = replace(record, storage=replace(record.storage, block=0))
        absent = ask_second_node("http://second", near, "ConsortiumNative")
        report = audit(near, recorded.encoded, second=absent)
        assert "cross-check" in failed(report)
