"""The ledger protocol over a real chain: rounds, connection, the organizations' order, and agreement with memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace

import pytest

from chain.audit import audit
from chain.backends import open_backend
from chain.contract.provider import ChainProvider
from chain.errors.chain import (
    ArgumentOutOfRange,
    ArtifactMismatch,
    MalformedSignature,
    MissingKey,
    NoContract,
    UnencodableTerms,
    WrongChain,
)
from chain.errors.contract import (
    BondTooSmall,
    InvalidSignature,
    NotMember,
    TermOutOfRange,
    TermsMismatch,
    TooEarly,
    TooLate,
    WrongPhase,
)
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution, Ledger, LedgerProvider
from cocogen.operations.deployment import load_deployment, save_deployment

SEED = 7
EVIDENCE = b"\x05" * 32
COUNT = 4


@pytest.fixture(scope="module")
def shared_ledgers(shared_tester, make_terms):
    """Two deployments, the second with every member bonded: built once, rolled back to after every test."""
    provider = ChainProvider(shared_tester, SEED)
    empty, bonded = provider.deploy(make_terms(COUNT)), provider.deploy(make_terms(COUNT))
    bond(bonded)
    return provider, empty, bonded


@pytest.fixture
def provider(shared_ledgers, tester):
    return shared_ledgers[0]


@pytest.fixture
def empty(shared_ledgers, tester):
    """A consortium into which nobody has paid yet."""
    return shared_ledgers[1]


@pytest.fixture
def ledger(shared_ledgers, tester):
    """A consortium whose members hold twice their liability."""
    return shared_ledgers[2]


def half(ledger, index):
    member = ledger.terms.members[index]
    return Contribution(member.data_cap // 2, member.generated_cap // 2, member.compute_cap // 2, EVIDENCE)


def bond(ledger, *indices, times=2):
    for index in indices or range(COUNT):
        ledger.deposit(index, times * ledger.decoded.liabilities[index])


def submit(ledger, *indices):
    for index in indices or range(COUNT):
        contribution = half(ledger, index)
        ledger.submit(index, contribution, ledger.attest(index, contribution))


def finish(ledger):
    state = ledger.state()
    if state.participants != state.submitted:
        ledger.wait_until(state.deadline + 1)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    return ledger.settle()


class TestRound:
    def test_settled_round_transfers_what_was_predicted(self, ledger):
        before = ledger.state().balances
        ledger.open_round()
        submit(ledger)
        outcome = finish(ledger)
        contributions = tuple(half(ledger, index) for index in range(COUNT))
        assert outcome.status == "settled"
        assert outcome.contributions == contributions
        assert outcome.transfers == ledger.predict(contributions)
        assert sum(outcome.transfers) == 0
        assert any(outcome.transfers)
        assert ledger.state().balances == tuple(b + r for b, r in zip(before, outcome.transfers, strict=True))
        assert [receipt.operation for receipt in outcome.receipts] == ["payoffCalculate", "payoffTransfer"]

    def test_organizations_keep_their_order_though_the_contract_sorts_them(self, empty):
        assert empty.encoded.positions != tuple(range(COUNT)), "the test needs members out of order"
        empty.deposit(2, empty.decoded.liabilities[2] + 5)
        state = empty.state()
        assert state.accepted == state.solvent == (False, False, True, False)
        assert state.balances == (0, 0, empty.decoded.liabilities[2] + 5, 0)
        assert state.total_balance == sum(state.balances)

    def test_receipt_names_transaction_gas_and_block_time(self, empty):
        receipt = empty.deposit(0, empty.decoded.liabilities[0])
        assert receipt.operation == "depositSubmit"
        assert receipt.transaction.startswith("0x")
        assert receipt.gas > 21_000
        assert receipt.time == empty.state().now

    def test_silent_member_is_relayed_in_the_second_half_of_the_window(self, ledger):
        ledger.open_round()
        submit(ledger, 0, 1, 2)
        contribution = half(ledger, 3)
        attestation = ledger.attest(3, contribution)
        relay_from = ledger.state().relay_from
        ledger.wait_until(relay_from - 1)
        with pytest.raises(NotMember):
            ledger.submit(3, contribution, attestation, sender=0)
        ledger.wait_until(relay_from)
        ledger.submit(3, contribution, attestation, sender=0)
        assert ledger.state().submitted == (True,) * COUNT
        assert finish(ledger).transfers == ledger.predict([half(ledger, n) for n in range(COUNT)])

    def test_silent_member_is_masked_while_everyone_else_is_settled(self, ledger):
        ledger.open_round()
        submit(ledger, 0, 1, 3)
        with pytest.raises(TooEarly):
            ledger.record()
        outcome = finish(ledger)
        assert outcome.status == "settled"
        assert outcome.contributions[2] is None
        assert outcome.transfers == ledger.predict([half(ledger, 0), half(ledger, 1), None, half(ledger, 3)])
        assert outcome.transfers[2] == 0

    def test_round_below_quorum_is_voided_and_moves_nothing(self, ledger):
        before = ledger.state()
        ledger.open_round()
        submit(ledger, 0, 1)
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.record()
        outcome = ledger.outcomes()[-1]
        assert (outcome.status, outcome.transfers) == ("voided", (0,) * COUNT)
        after = ledger.state()
        assert (after.phase, after.balances, after.ledger_hash) == ("idle", before.balances, before.ledger_hash)
        with pytest.raises(WrongPhase):
            ledger.settle()

    def test_interrupted_settlement_goes_on_where_it_stopped(self, provider, ledger):
        ledger.open_round()
        submit(ledger)
        ledger.record()
        ledger.wait_until(ledger.state().deadline + 1)
        operator = provider._accounts.signer("operator")
        ledger.contract.payoff_calculate(account=operator)
        assert ledger.outcomes()[-1].status == "calculated"
        assert ledger.state().phase == "calculated"
        outcome = ledger.settle()
        assert outcome.status == "settled"
        assert [receipt.operation for receipt in outcome.receipts] == ["payoffTransfer"]

    def test_settle_reverts_while_the_dispute_window_is_open(self, ledger):
        ledger.open_round()
        submit(ledger)
        ledger.record()
        with pytest.raises(TooEarly):
            ledger.settle()
        assert ledger.outcomes()[-1].status == "recorded"

    def test_late_contribution_is_refused(self, ledger):
        ledger.open_round()
        contribution = half(ledger, 0)
        attestation = ledger.attest(0, contribution)
        ledger.wait_until(ledger.state().deadline + 1)
        with pytest.raises(TooLate):
            ledger.submit(0, contribution, attestation)

    def test_contribution_on_the_deadline_counts(self, ledger):
        ledger.open_round()
        contribution = half(ledger, 0)
        attestation = ledger.attest(0, contribution)
        ledger.wait_until(ledger.state().deadline)
        assert ledger.submit(0, contribution, attestation).time == ledger.state().deadline

    def test_attestation_covers_every_component_and_the_member(self, ledger):
        ledger.open_round()
        contribution = half(ledger, 0)
        attestation = ledger.attest(0, contribution)
        for changed in (
            replace(contribution, data=contribution.data - 1),
            replace(contribution, generated=contribution.generated + 1),
            replace(contribution, compute=0),
            replace(contribution, evidence_hash=b"\x06" * 32),
        ):
            with pytest.raises(InvalidSignature):
                ledger.submit(0, changed, attestation)
        with pytest.raises(InvalidSignature):
            ledger.submit(1, contribution, attestation)

    def test_exiting_member_is_out_of_the_next_round_and_back_after_cancelling(self, ledger):
        ledger.exit(1)
        assert ledger.state().exiting == (False, True, False, False)
        ledger.open_round()
        assert ledger.state().participants == (True, False, True, True)
        submit(ledger, 0, 2, 3)
        finish(ledger)
        ledger.exit(1, cancel=True)
        ledger.wait_until(ledger.state().next_round_from)
        ledger.open_round()
        assert ledger.state().participants == (True,) * COUNT

    def test_withdrawal_pays_whom_it_names(self, ledger, tester):
        payee = tester.web3.to_checksum_address("0x" + "ef" * 20)
        ledger.withdraw(0, 7, to=payee.lower())
        assert tester.web3.eth.get_balance(payee) == 7
        assert ledger.state().balances[0] == 2 * ledger.decoded.liabilities[0] - 7

    def test_withdrawal_pays_the_member_itself_by_default(self, empty, tester):
        empty.deposit(1, 10**20)
        own = empty.terms.members[1].address
        before = tester.web3.eth.get_balance(own)
        empty.withdraw(1, 10**20)
        fees = 10**20 - (tester.web3.eth.get_balance(own) - before)
        assert 0 < fees < 10**16
        assert empty.state().balances[1] == 0


class TestOutcomes:
    def test_only_new_blocks_are_read_again(self, ledger, monkeypatch):
        ledger.open_round()
        assert [outcome.status for outcome in ledger.outcomes()] == ["open"]
        read = []
        logs = ledger.contract.logs
        monkeypatch.setattr(
            ledger.contract, "logs", lambda first, last: read.append((first, last)) or logs(first, last)
        )
        assert [outcome.status for outcome in ledger.outcomes()] == ["open"]
        assert read == []
        contribution = half(ledger, 1)
        ledger.submit(1, contribution, ledger.attest(1, contribution))
        assert ledger.outcomes()[0].contributions == (None, contribution, None, None)
        assert len(read) == 1
        assert read[0][1] - read[0][0] <= 1

    def test_blocks_that_the_chain_took_back_are_forgotten(self, ledger, tester):
        provider = tester.web3.provider
        snapshot = provider.make_request("evm_snapshot", [])["result"]
        for grown_again in (False, True):
            ledger.open_round()
            assert [outcome.status for outcome in ledger.outcomes()] == ["open"]
            provider.make_request("evm_revert", [snapshot])
            if grown_again:
                tester.advance(1)
                ledger.exit(0)
                tester.advance(1)
            assert ledger.outcomes() == ()


class TestLocalMoney:
    def test_deposit_gives_a_development_account_what_it_deposits(self, empty, tester):
        amount = 10**24
        assert tester.web3.eth.get_balance(empty.terms.members[0].address) < amount
        empty.deposit(0, amount)
        assert empty.state().balances[0] == amount

    def test_refused_deposit_is_not_recorded(self, empty):
        with pytest.raises(BondTooSmall):
            empty.deposit(0, empty.decoded.liabilities[0] - 1)
        assert empty.state().balances[0] == 0


class TestKeys:
    def test_attester_with_a_foreign_address_has_no_key_here(self, provider, make_terms):
        ledger = provider.deploy(make_terms(COUNT, attester="0x" + "77" * 20))
        with pytest.raises(MissingKey):
            ledger.open_round()
        with pytest.raises(MissingKey):
            ledger.attest(0, half(ledger, 0))

    def test_member_with_a_foreign_address_has_no_key_here(self, provider, make_terms):
        terms = make_terms(COUNT)
        members = (replace(terms.members[0], address="0x" + "78" * 20), *terms.members[1:])
        ledger = provider.deploy(replace(terms, members=members))
        with pytest.raises(MissingKey):
            ledger.deposit(0, 10**18)
        with pytest.raises(MissingKey):
            ledger.sign("o0", bytes(32))

    def test_evidence_signature_is_that_of_the_organization_alone(self, ledger):
        digest, address = b"\x09" * 32, ledger.terms.members[2].address
        assert ledger.verify(address, digest, ledger.sign("o2", digest))
        assert ledger.verify(address.lower(), digest, ledger.sign("o2", digest))
        assert not ledger.verify(address, b"\x0a" * 32, ledger.sign("o2", digest))
        assert not ledger.verify(ledger.terms.members[1].address, digest, ledger.sign("o2", digest))
        assert not ledger.verify(address, digest, b"\x00" * 64)
        with pytest.raises(MalformedSignature):
            ledger.verify(address, digest[1:], b"\x00" * 65)

    @pytest.mark.parametrize("index", [-1, COUNT])
    def test_index_beyond_the_organizations_is_refused(self, ledger, index):
        for operation in (
            lambda: ledger.deposit(index, 1),
            lambda: ledger.exit(index),
            lambda: ledger.withdraw(index, 1),
            lambda: ledger.attest(index, half(ledger, 0)),
            lambda: ledger.submit(0, half(ledger, 0), bytes(65), sender=index),
        ):
            with pytest.raises(ArgumentOutOfRange):
                operation()


class TestConnection:
    def test_connected_ledger_continues_the_consortium(self, provider, ledger, tmp_path):
        ledger.open_round()
        save_deployment(ledger.deployment, tmp_path / "deployment.json")
        again = provider.connect(ledger.terms, load_deployment(tmp_path / "deployment.json"))
        submit(again)
        assert again.deployment == ledger.deployment
        assert again.state() == ledger.state()
        assert replace(finish(again), receipts=()) == ledger.outcomes()[-1]

    def test_other_chain_is_refused(self, provider, ledger):
        with pytest.raises(WrongChain, match="chain 5"):
            provider.connect(ledger.terms, replace(ledger.deployment, chain_id=5))

    def test_address_without_code_is_refused(self, provider, ledger):
        with pytest.raises(NoContract):
            provider.connect(ledger.terms, replace(ledger.deployment, address="0x" + "79" * 20))

    def test_other_contract_is_refused(self, provider, ledger):
        blob = ledger.contract.view("termsBlob")
        with pytest.raises(ArtifactMismatch):
            provider.connect(ledger.terms, replace(ledger.deployment, address=blob))

    def test_one_changed_byte_of_code_is_refused(self, provider, ledger, monkeypatch):
        eth = provider.backend.web3.eth
        code = bytearray(eth.get_code(ledger.deployment.address))
        code[100] ^= 1
        monkeypatch.setattr(eth, "get_code", lambda _address: bytes(code))
        with pytest.raises(ArtifactMismatch):
            provider.connect(ledger.terms, ledger.deployment)

    def test_other_terms_are_refused_with_both_hashes(self, provider, ledger):
        other = replace(ledger.terms, quorum_bps=6_001)
        with pytest.raises(TermsMismatch) as error:
            provider.connect(other, ledger.deployment)
        assert error.value.values == (provider.decode(other).terms_hash, ledger.decoded.terms_hash)

    def test_deployment_record_of_other_terms_is_refused(self, provider, ledger):
        with pytest.raises(TermsMismatch):
            provider.connect(ledger.terms, replace(ledger.deployment, terms_hash="0x" + "01" * 32))

    def test_terms_that_the_contract_refuses_are_not_deployed(self, provider, make_terms):
        with pytest.raises(TermOutOfRange):
            provider.deploy(make_terms(COUNT, quorum_bps=0))
        with pytest.raises(TermOutOfRange):
            provider.decode(make_terms(COUNT, quorum_bps=0))
        with pytest.raises(UnencodableTerms):
            provider.deploy(make_terms(COUNT, incentive=float("nan")))

    def test_round_survives_the_process_on_an_embedded_chain(self, tmp_path, make_terms):
        location = f"embedded:{tmp_path / 'chain.sqlite'}"
        provider = ChainProvider(open_backend(location), SEED)
        first = provider.deploy(make_terms(COUNT))
        bond(first)
        first.open_round()
        submit(first, 0, 1)
        state = first.state()
        provider.close()
        provider = ChainProvider(open_backend(first.deployment.backend), SEED)
        second = provider.connect(first.terms, first.deployment)
        assert second.state() == state
        submit(second, 2, 3)
        outcome = finish(second)
        provider.close()
        assert outcome.transfers == first.predict([half(first, n) for n in range(COUNT)])


def _resume(location, terms, deployment, reports):
    """Whatever the open round still needs, judged by the ledger's state alone; one report after every operation."""
    provider = ChainProvider(open_backend(location), SEED)
    ledger = provider.connect(terms, deployment)
    state = ledger.state()
    for index in range(COUNT):
        if state.phase == "open" and not state.submitted[index]:
            submit(ledger, index)
            reports.send(f"submit {index}")
    if state.phase == "open":
        ledger.record()
        reports.send("record")
    if state.phase != "idle":
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.settle()
    reports.send("settled")
    provider.close()


@pytest.mark.slow
def test_round_killed_after_every_operation_still_settles_as_predicted(tmp_path, make_terms):
    location, terms = f"embedded:{tmp_path / 'chain.sqlite'}", make_terms(COUNT)
    provider = ChainProvider(open_backend(location), SEED)
    ledger = provider.deploy(terms)
    bond(ledger)
    ledger.open_round()
    predicted = ledger.predict([half(ledger, n) for n in range(COUNT)])
    provider.close()

    fork, kills, report = multiprocessing.get_context("fork"), 0, ""
    while report != "settled":
        receiver, sender = fork.Pipe(duplex=False)
        child = fork.Process(target=_resume, args=(location, terms, ledger.deployment, sender))
        child.start()
        report = receiver.recv()
        if report != "settled":
            time.sleep(0.01 * kills)
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()

    assert kills >= 2
    provider = ChainProvider(open_backend(location), SEED)
    outcomes = provider.connect(terms, ledger.deployment).outcomes()
    provider.close()
    assert [(outcome.status, outcome.transfers) for outcome in outcomes] == [("settled", predicted)]


class TestRecord:
    def test_collected_record_passes_the_audit(self, ledger):
        for silent in ({2}, {0, 1, 2}, set()):
            ledger.wait_until(ledger.state().next_round_from)
            ledger.open_round()
            submit(ledger, *(set(range(COUNT)) - silent))
            if len(silent) == 3:
                ledger.wait_until(ledger.state().deadline + 1)
                ledger.record()
            else:
                finish(ledger)
        ledger.withdraw(0, 1)
        ledger.exit(1)
        record = ledger.collect()
        report = audit(record, ledger.terms)
        assert [check.name for check in report.checks if check.status != "PASS"] == ["cross-check", "evidence", "data"]
        assert report.status == "PASS"

    def test_event_names_the_direct_caller_and_its_value(self, empty):
        amount = 3 * empty.decoded.liabilities[2]
        receipt = empty.deposit(2, amount)
        event = empty.collect().events[-1]
        assert (event.sender, event.value) == (empty.terms.members[2].address, amount)
        assert (event.transaction, event.time) == (receipt.transaction, receipt.time)

    def test_record_holds_code_terms_and_creation(self, ledger, tester):
        record = ledger.collect()
        assert record.terms_blob == ledger.encoded.blob
        assert record.created_transaction == ledger.deployment.details["transaction"]
        assert tester.web3.eth.get_transaction_receipt(record.created_transaction)["contractAddress"] == record.address
        assert record.storage.terms_hash == ledger.decoded.terms_hash
        assert record.attester_is_contract is False

    def test_forced_ether_shows_in_the_record_and_belongs_to_nobody(self, ledger, tester):
        eth = tester.web3.eth
        # creation code: SELFDESTRUCT in favour of the consortium, the only way to push ether into it
        forcing = "0x73" + ledger.deployment.address[2:] + "ff"
        eth.send_transaction({"from": eth.accounts[0], "data": forcing, "value": 11})
        storage = ledger.collect().storage
        assert storage.assets == storage.total_balance + 11


def play(provider: LedgerProvider, ledger: Ledger):
    """Three rounds with a relay, a masked member, a void and an exit; what an engine sees of it."""
    seen = []
    bond(ledger, times=4)
    ledger.open_round()
    submit(ledger, 0, 2)
    contribution = half(ledger, 3)
    ledger.wait_until(ledger.state().relay_from)
    ledger.submit(3, contribution, ledger.attest(3, contribution), sender=2)
    seen.append(replace(finish(ledger), receipts=()))
    ledger.withdraw(1, 5)
    ledger.exit(1)
    ledger.wait_until(ledger.state().next_round_from)
    ledger.open_round()
    submit(ledger, 0)
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    seen.append(ledger.outcomes()[-1])
    ledger.exit(1, cancel=True)
    ledger.wait_until(ledger.state().next_round_from)
    ledger.open_round()
    submit(ledger)
    seen.append(ledger.state().phase)
    seen.append(replace(finish(ledger), receipts=()))
    state = ledger.state()
    timeless = replace(state, now=0, deadline=0, relay_from=0, next_round_from=0, ledger_hash=b"")
    return seen, ledger.outcomes(), timeless


def test_memory_and_chain_give_the_same_outcomes_for_the_same_script(provider, make_terms):
    terms, memory = make_terms(COUNT), MemoryProvider(SEED)
    assert play(provider, provider.deploy(terms)) == play(memory, memory.deploy(terms))
