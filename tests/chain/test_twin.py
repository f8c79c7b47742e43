"""The contract's state machine in Python: every transition, every refusal, boundary times, and the invariants."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import replace

import pytest
from eth_utils import to_checksum_address
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chain.abi import keccak256, words
from chain.arithmetic import encode
from chain.attestation import sign
from chain.errors import (
    AlreadyExiting,
    AlreadySubmitted,
    ArgumentOutOfRange,
    ArithmeticBound,
    BondLocked,
    BondTooSmall,
    CapExceeded,
    ContractError,
    EvidenceMissing,
    InvalidRecipient,
    InvalidSignature,
    NoRoundsLeft,
    NotAttester,
    NotEnoughMembers,
    NotExiting,
    NotMember,
    NotParticipant,
    TermOutOfRange,
    TermsMismatch,
    TooEarly,
    TooLate,
    TotalBalanceTooLarge,
    TransferFailed,
    UnknownMember,
    WithdrawalExceedsBalance,
    WrongPhase,
)
from chain.keys import development_key
from chain.record import Event
from chain.twin import CALCULATED, IDLE, OPEN, RECORDED, Twin

ADDRESS = "0x" + "c0" * 20
CHECKSUMMED = to_checksum_address(ADDRESS)
STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"
ZERO = "0x" + "00" * 20
ATTESTER_KEY = development_key(7, "attester")
EVIDENCE = b"\xee" * 32
T0 = 1_700_000_000


class Consortium:
    """A twin with shorthand for the calls of honest members."""

    def __init__(self, terms, **hooks):
        self.terms = encode(terms)
        self.twin = Twin(self.terms, chain_id=5, address=ADDRESS, **hooks)
        self.attester = self.terms.scalars.attester
        self.accounts = [member.account for member in self.terms.members]
        self.bonds = self.terms.liabilities

    def deposit(self, index, value=None, time=T0):
        value = self.bonds[index] if value is None else value
        return self.twin.deposit_submit(
            index, self.terms.terms_hash, sender=self.accounts[index], time=time, value=value
        )

    def open(self, time=T0):
        return self.twin.round_open(sender=self.attester, time=time)

    def signature(self, index, data, generated, compute, evidence=EVIDENCE):
        return sign(self.twin.contribution_digest(index, data, generated, compute, evidence), ATTESTER_KEY)

    def submit(self, index, parts=(10, 5, 1), *, time=T0, sender=None, evidence=EVIDENCE, signature=None):
        signature = self.signature(index, *parts, evidence) if signature is None else signature
        sender = self.accounts[index] if sender is None else sender
        return self.twin.contribution_submit(index, *parts, evidence, signature, sender=sender, time=time)

    def record(self, time):
        return self.twin.profile_record(sender=STRANGER, time=time)

    def calculate(self, time):
        return self.twin.payoff_calculate(sender=STRANGER, time=time)

    def transfer(self, time):
        return self.twin.payoff_transfer(sender=STRANGER, time=time)

    def withdraw(self, index, amount, to=STRANGER, *, sender=None):
        sender = self.accounts[index] if sender is None else sender
        return self.twin.withdraw(index, amount, to, sender=sender, time=T0)

    def until(self, phase, *, silent=()):
        """Bond everybody and go to ``phase``, all but ``silent`` contributing; returns the time of the last call."""
        for index in range(len(self.accounts)):
            self.deposit(index)
        if phase == IDLE:
            return T0
        self.open()
        if phase == OPEN:
            return T0
        for index in range(len(self.accounts)):
            if index not in silent:
                self.submit(index, (10 * index, 5, index))
        time = T0 + 1 if not silent else self.twin.deadline + 1
        self.record(time)
        if phase == RECORDED:
            return time
        time = self.twin.deadline + 1
        self.calculate(time)
        return time


@pytest.fixture
def consortium(make_terms):
    return Consortium(make_terms(4))


def refused(error, values, call, twin):
    """Assert that ``call`` raises ``error`` with ``values`` and leaves the twin as it was."""
    before = twin.storage()
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    if values is not None:
        assert caught.value.values == values
    assert twin.storage() == before


class TestRound:
    def test_a_round_from_bond_to_payoff(self, consortium):
        twin = consortium.twin
        assert consortium.deposit(0) == (
            Event(
                "Accepted",
                {"index": 0, "member": consortium.accounts[0], "termsHash": consortium.terms.terms_hash},
            ),
            Event(
                "Deposited",
                {
                    "index": 0,
                    "member": consortium.accounts[0],
                    "amount": consortium.bonds[0],
                    "balance": consortium.bonds[0],
                },
            ),
        )
        (again,) = consortium.deposit(0, 5)
        assert (again.name, again.args["amount"], again.args["balance"]) == ("Deposited", 5, consortium.bonds[0] + 5)
        for index in (1, 2, 3):
            consortium.deposit(index)
        assert consortium.open(T0) == (
            Event("RoundOpened", {"round": 1, "participants": 0b1111, "deadline": T0 + 101}),
        )

        parts = [(100, 50, 7), (0, 0, 0), (3, 2, 1), (90, 0, 7)]
        chained = bytes(32)
        for index in (2, 0, 3, 1):
            signature = consortium.signature(index, *parts[index])
            (event,) = consortium.submit(index, parts[index], signature=signature)
            assert list(event.args.values()) == [
                *(1, index, consortium.accounts[index]),
                *parts[index],
                *(EVIDENCE, signature),
            ]
            typehash = keccak256(
                b"Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,"
                b"uint64 compute,bytes32 evidenceHash)"
            )
            struct_hash = keccak256(
                words(typehash, consortium.terms.terms_hash, 1, consortium.accounts[index], *parts[index], EVIDENCE)
            )
            chained = keccak256(words(chained, index, struct_hash))
            assert twin.round_hash == chained

        assert consortium.record(T0) == (
            Event("ProfileRecorded", {"round": 1, "profileHash": chained, "submitted": 0b1111}),
        )
        ledger = keccak256(words(bytes(32), 1, chained))
        assert twin.ledger == ledger
        assert twin.deadline == T0 + 50

        (event,) = consortium.calculate(T0 + 51)
        payoffs = consortium.terms.payoffs(parts)
        assert any(payoffs)
        payoff_hash = keccak256(words(32, 4, *payoffs))
        assert event == Event("PayoffCalculated", {"round": 1, "payoffHash": payoff_hash, "payoffs": payoffs})
        ledger = keccak256(words(ledger, 1, payoff_hash))

        balances = twin.storage().balances
        assert consortium.transfer(T0 + 52) == (Event("PayoffTransferred", {"round": 1, "ledger": ledger}),)
        after = twin.storage()
        assert after.balances == tuple(b + r for b, r in zip(balances, payoffs, strict=True))
        assert after.payoffs == (0, 0, 0, 0)
        assert (after.round.phase, after.round.idle_since) == (IDLE, T0 + 52)
        assert after.total_balance == sum(balances)
        for index, payoff in enumerate(payoffs):
            assert (after.solvent >> index & 1) == (after.balances[index] >= consortium.bonds[index])
            assert payoff >= -consortium.bonds[index]

    def test_masked_members_are_left_out_and_the_others_settle(self, consortium):
        consortium.until(CALCULATED, silent=(1,))
        parts = [(0, 5, 0), None, (20, 5, 2), (30, 5, 3)]
        assert tuple(consortium.twin.payoffs) == consortium.terms.payoffs(parts)
        assert consortium.twin.payoffs[1] == 0

    def test_a_round_below_quorum_is_voided(self, consortium):
        consortium.until(OPEN)
        # 60 % of four participants: two contributions are too few, three are enough
        consortium.submit(0)
        consortium.submit(1)
        ledger = consortium.twin.ledger
        assert consortium.record(T0 + 102) == (
            Event("RoundVoided", {"round": 1, "reason": b"quorum".ljust(32, b"\0")}),
        )
        assert (consortium.twin.phase, consortium.twin.idle_since) == (IDLE, T0 + 102)
        assert consortium.twin.ledger == ledger
        assert consortium.twin.payoffs == [0] * 4

    @pytest.mark.parametrize(("quorum", "phase"), [(7_500, RECORDED), (7_501, IDLE)])
    def test_a_round_at_quorum_stands_and_one_just_below_does_not(self, make_terms, quorum, phase):
        consortium = Consortium(make_terms(4, quorum_bps=quorum))
        consortium.until(RECORDED, silent=(3,))
        assert consortium.twin.phase == phase

    def test_the_next_round_starts_afresh(self, consortium):
        time = consortium.until(CALCULATED)
        consortium.transfer(time)
        for index in range(4):
            consortium.deposit(index, 10**18)
        consortium.open(time + 40)
        storage = consortium.twin.storage()
        assert storage.round.number == 2
        assert (storage.round.submitted, storage.round.round_hash) == (0, bytes(32))
        assert storage.contributions == ((0, 0, 0),) * 4
        assert storage.ledger != bytes(32)

    def test_only_the_solvent_who_stay_take_part(self, consortium):
        consortium.until(IDLE)
        consortium.twin.exit_request(2, sender=consortium.accounts[2], time=T0)
        consortium.withdraw(3, 1)
        (event,) = consortium.open()
        assert event.args["participants"] == 0b0011

    def test_exit_takes_effect_at_the_next_opening(self, consortium):
        consortium.until(OPEN)
        account = consortium.accounts[1]
        assert consortium.twin.exit_request(1, sender=account, time=T0) == (Event("ExitRequested", {"index": 1}),)
        consortium.submit(1)
        assert consortium.twin.exit_cancel(1, sender=account, time=T0) == (Event("ExitCancelled", {"index": 1}),)
        assert consortium.twin.exiting == 0

    def test_everything_can_be_withdrawn_once_idle(self, consortium):
        time = consortium.until(CALCULATED)
        consortium.transfer(time)
        for index, balance in enumerate(consortium.twin.storage().balances):
            (event,) = consortium.withdraw(index, balance)
            assert event == Event("Withdrawn", {"index": index, "to": STRANGER, "amount": balance, "balance": 0})
        assert consortium.twin.total_balance == 0
        assert consortium.twin.solvent == 0

    def test_a_member_with_no_liability_may_bond_nothing(self, make_terms):
        consortium = Consortium(make_terms(3, competition=((0.0,) * 3,) * 3))
        assert [event.name for event in consortium.deposit(0)] == ["Accepted", "Deposited"]
        assert consortium.twin.solvent == 1

    def test_sender_addresses_count_in_any_case(self, consortium):
        account = consortium.accounts[0].lower()
        twin, bond = consortium.twin, consortium.bonds[0]
        events = twin.deposit_submit(0, consortium.terms.terms_hash, sender=account, time=T0, value=bond)
        assert events[0].args["member"] == consortium.accounts[0]


class TestConstructor:
    def test_terms_are_checked(self, make_terms):
        with pytest.raises(TermOutOfRange):
            Consortium(make_terms(4, quorum_bps=0))
        terms = make_terms(4, incentive=1e14)
        members = tuple(replace(member, data_cap=2**60) for member in terms.members)
        with pytest.raises(ArithmeticBound):
            Consortium(replace(terms, members=members))


class TestDepositSubmit:
    def call(self, consortium, index, *, sender=None, terms_hash=None, value=0):
        sender = consortium.accounts[0] if sender is None else sender
        terms_hash = consortium.terms.terms_hash if terms_hash is None else terms_hash
        return lambda: consortium.twin.deposit_submit(index, terms_hash, sender=sender, time=T0, value=value)

    def test_refusals_in_order(self, consortium):
        twin, wrong, expected = consortium.twin, b"\x01" * 32, consortium.terms.terms_hash
        refused(UnknownMember, (4, 4), self.call(consortium, 4, sender=STRANGER), twin)
        call = self.call(consortium, 0, sender=STRANGER, terms_hash=wrong)
        refused(NotMember, (0, STRANGER), call, twin)
        call = self.call(consortium, 0, terms_hash=wrong)
        refused(TermsMismatch, (wrong, expected), call, twin)
        bond = consortium.bonds[0]
        refused(BondTooSmall, (0, bond - 1, bond), self.call(consortium, 0, value=bond - 1), twin)
        refused(TotalBalanceTooLarge, (2**127,), self.call(consortium, 0, value=2**127), twin)

    def test_bonds_add_up(self, consortium):
        consortium.deposit(0)
        consortium.withdraw(0, 2)
        bond = consortium.bonds[0]
        refused(BondTooSmall, (0, bond - 1, bond), self.call(consortium, 0, value=1), consortium.twin)
        consortium.deposit(0, 2)
        assert consortium.twin.balances[0] == bond

    def test_total_balance_stays_below_2_127(self, consortium):
        consortium.deposit(0, 2**127 - 2 - consortium.bonds[1])
        consortium.deposit(1)
        consortium.deposit(1, 1)
        assert consortium.twin.total_balance == 2**127 - 1
        refused(TotalBalanceTooLarge, (2**127,), lambda: consortium.deposit(1, 1), consortium.twin)

    @pytest.mark.parametrize("value", [-1, 2**256])
    def test_impossible_amounts(self, consortium, value):
        refused(ArgumentOutOfRange, None, self.call(consortium, 0, value=value), consortium.twin)


class TestRoundOpen:
    def test_refusals_in_order(self, consortium):
        twin = consortium.twin
        consortium.until(OPEN)
        refused(NotAttester, (STRANGER,), lambda: twin.round_open(sender=STRANGER, time=T0), twin)
        refused(WrongPhase, (OPEN, IDLE), lambda: consortium.open(), twin)

    def test_too_few_members(self, consortium):
        consortium.deposit(0)
        refused(NotEnoughMembers, (1, 2), lambda: consortium.open(), consortium.twin)
        consortium.deposit(1)
        consortium.open()

    def test_gap_counts_from_the_last_idle_time_but_not_before_the_first_round(self, consortium):
        consortium.until(OPEN)
        consortium.record(T0 + 102)
        refused(TooEarly, (T0 + 141, T0 + 142), lambda: consortium.open(T0 + 141), consortium.twin)
        consortium.open(T0 + 142)

    def test_the_first_round_waits_for_no_gap_even_at_the_beginning_of_time(self, consortium):
        consortium.until(IDLE)
        consortium.open(0)
        assert consortium.twin.deadline == 101

    def test_rounds_are_limited(self, consortium):
        consortium.until(IDLE)
        time = T0
        for _ in range(3):
            consortium.open(time)
            consortium.record(time + 102)
            time += 142
        refused(NoRoundsLeft, (3,), lambda: consortium.open(T0), consortium.twin)


class TestContributionSubmit:
    def test_refusals_in_order(self, consortium):
        twin, account = consortium.twin, consortium.accounts[0]
        over = (2**64 - 1,) * 3
        bad = b"\0" * 65

        def call(index, parts, evidence, *, time=T0, sender=STRANGER):
            return lambda: consortium.submit(index, parts, time=time, sender=sender, evidence=evidence, signature=bad)

        consortium.deposit(0)
        consortium.deposit(1)
        refused(UnknownMember, (4, 4), call(4, over, bytes(32)), twin)
        refused(WrongPhase, (IDLE, OPEN), call(3, over, bytes(32)), twin)
        consortium.open()
        refused(TooLate, (T0 + 102, T0 + 101), call(3, over, bytes(32), time=T0 + 102), twin)
        refused(NotParticipant, (3, 1), call(3, over, bytes(32)), twin)
        consortium.submit(1)
        refused(NotMember, (1, STRANGER), call(1, over, bytes(32)), twin)
        refused(AlreadySubmitted, (1, 1), call(1, over, bytes(32), sender=consortium.accounts[1]), twin)
        refused(EvidenceMissing, (0,), call(0, over, bytes(32), sender=account), twin)
        member = consortium.terms.members[0]
        caps = (member.data_cap, member.generated_cap, member.compute_cap)
        for component in range(3):
            parts = (*caps[:component], *over[component:])
            values = (0, component, 2**64 - 1, caps[component])
            refused(CapExceeded, values, call(0, parts, EVIDENCE, sender=account), twin)
        refused(InvalidSignature, (consortium.attester,), call(0, caps, EVIDENCE, sender=account), twin)
        consortium.submit(0, caps)

    @pytest.mark.parametrize("component", range(3))
    def test_one_above_the_cap(self, consortium, component):
        consortium.until(OPEN)
        member = consortium.terms.members[0]
        parts = [member.data_cap, member.generated_cap, member.compute_cap]
        cap = parts[component]
        parts[component] += 1
        values = (0, component, cap + 1, cap)
        refused(CapExceeded, values, lambda: consortium.submit(0, tuple(parts)), consortium.twin)

    def test_the_deadline_itself_is_in_time(self, consortium):
        consortium.until(OPEN)
        consortium.submit(0, time=T0 + 101)
        refused(TooLate, (T0 + 102, T0 + 101), lambda: consortium.submit(1, time=T0 + 102), consortium.twin)

    def test_strangers_relay_from_half_of_the_window_on(self, consortium):
        consortium.until(OPEN)
        # half of 101 s, rounded down
        call = lambda: consortium.submit(0, time=T0 + 49, sender=STRANGER)  # noqa: E731
        refused(NotMember, (0, STRANGER), call, consortium.twin)
        (event,) = consortium.submit(0, time=T0 + 50, sender=STRANGER)
        assert event.args["member"] == consortium.accounts[0]

    @pytest.mark.parametrize(
        "what", ["member", "data", "generated", "compute", "evidence", "round", "chain", "contract"]
    )
    def test_a_signature_counts_for_nothing_else(self, make_terms, what):
        consortium, other = Consortium(make_terms(4)), Consortium(make_terms(4))
        consortium.until(OPEN)
        parts, evidence, index = (10, 5, 1), EVIDENCE, 0
        signature = consortium.signature(0, *parts)
        if what == "member":
            index = 1
        elif what in ("data", "generated", "compute"):
            at = ("data", "generated", "compute").index(what)
            parts = tuple(value + (i == at) for i, value in enumerate(parts))
        elif what == "evidence":
            evidence = b"\xef" * 32
        elif what == "round":
            consortium.record(T0 + 102)
            consortium.open(T0 + 142)
        else:
            chain, address = (6, ADDRESS) if what == "chain" else (5, "0x" + "c1" * 20)
            other.twin = Twin(other.terms, chain_id=chain, address=address)
            other.until(OPEN)
            signature = other.signature(0, *parts)
        time = consortium.twin.deadline - 101
        refused(
            InvalidSignature,
            (consortium.attester,),
            lambda: consortium.submit(index, parts, evidence=evidence, signature=signature, time=time),
            consortium.twin,
        )

    def test_a_member_cannot_sign_for_itself(self, make_terms):
        terms = make_terms(4)
        consortium = Consortium(terms)
        consortium.until(OPEN)
        index = consortium.terms.positions[0]
        own = sign(consortium.twin.contribution_digest(index, 1, 1, 1, EVIDENCE), development_key(7, "o0"))
        call = lambda: consortium.submit(index, (1, 1, 1), signature=own)  # noqa: E731
        refused(InvalidSignature, (consortium.attester,), call, consortium.twin)

    def test_an_attested_zero_is_a_contribution(self, consortium):
        consortium.until(OPEN)
        consortium.submit(0, (0, 0, 0))
        assert consortium.twin.submitted == 1

    @pytest.mark.parametrize("value", [-1, 2**64])
    def test_impossible_amounts(self, consortium, value):
        consortium.until(OPEN)
        call = lambda: consortium.submit(0, (value, 0, 0), signature=bytes(65))  # noqa: E731
        refused(ArgumentOutOfRange, None, call, consortium.twin)

    def test_evidence_has_32_bytes(self, consortium):
        consortium.until(OPEN)
        call = lambda: consortium.submit(0, evidence=b"short", signature=bytes(65))  # noqa: E731
        refused(ArgumentOutOfRange, None, call, consortium.twin)

    def test_a_contract_attester_decides_through_the_hook(self, make_terms):
        asked = []

        def verify(digest, signature, address):
            asked.append((digest, signature, address))
            return signature == b"wallet says yes"

        consortium = Consortium(make_terms(4), verify=verify)
        consortium.until(OPEN)
        call = lambda: consortium.submit(0, signature=b"wallet says no")  # noqa: E731
        refused(InvalidSignature, (consortium.attester,), call, consortium.twin)
        consortium.submit(0, signature=b"wallet says yes")
        digest = consortium.twin.contribution_digest(0, 10, 5, 1, EVIDENCE)
        assert asked[-1] == (digest, b"wallet says yes", consortium.attester)


class TestRecordCalculateTransfer:
    @pytest.mark.parametrize("phase", [IDLE, OPEN, RECORDED, CALCULATED])
    def test_each_call_has_its_phase(self, consortium, phase):
        consortium.until(phase)
        late = T0 + 10_000
        for expected, call in ((OPEN, "record"), (RECORDED, "calculate"), (CALCULATED, "transfer")):
            if phase != expected:
                refused(
                    WrongPhase, (phase, expected), lambda call=call: getattr(consortium, call)(late), consortium.twin
                )

    def test_recording_waits_for_the_silent_until_after_the_deadline(self, consortium):
        consortium.until(OPEN)
        for index in (0, 1, 2):
            consortium.submit(index)
        refused(TooEarly, (T0 + 101, T0 + 102), lambda: consortium.record(T0 + 101), consortium.twin)
        consortium.record(T0 + 102)

    def test_recording_waits_for_nobody_when_all_have_submitted(self, consortium):
        consortium.until(OPEN)
        for index in range(4):
            consortium.submit(index)
        consortium.record(T0)
        assert consortium.twin.phase == RECORDED

    def test_calculating_waits_until_after_the_dispute_window(self, consortium):
        time = consortium.until(RECORDED)
        call = lambda: consortium.calculate(time + 50)  # noqa: E731
        refused(TooEarly, (time + 50, time + 51), call, consortium.twin)
        consortium.calculate(time + 51)


class TestWithdraw:
    def test_refusals_in_order(self, make_terms):
        consortium = Consortium(make_terms(4), accepts=lambda to, amount: False)
        twin, account = consortium.twin, consortium.accounts[0]
        consortium.until(OPEN)
        bond = consortium.bonds[0]
        refused(UnknownMember, (4, 4), lambda: consortium.withdraw(4, 1, ZERO, sender=STRANGER), twin)
        refused(NotMember, (0, STRANGER), lambda: consortium.withdraw(0, bond + 1, ZERO, sender=STRANGER), twin)
        refused(InvalidRecipient, (ZERO,), lambda: consortium.withdraw(0, bond + 1, ZERO), twin)
        refused(InvalidRecipient, (CHECKSUMMED,), lambda: consortium.withdraw(0, bond + 1, ADDRESS), twin)
        refused(WithdrawalExceedsBalance, (0, bond + 1, bond), lambda: consortium.withdraw(0, bond + 1, account), twin)
        refused(BondLocked, (0, 1, 0), lambda: consortium.withdraw(0, 1, account), twin)
        refused(TransferFailed, (STRANGER, 0), lambda: consortium.withdraw(0, 0), twin)

    @pytest.mark.parametrize("phase", [OPEN, RECORDED, CALCULATED])
    def test_a_participant_keeps_its_liability_while_the_round_lives(self, consortium, phase):
        consortium.until(phase)
        consortium.deposit(2, 9)
        call = lambda: consortium.withdraw(2, 10)  # noqa: E731
        refused(BondLocked, (2, 10, 9), call, consortium.twin)
        consortium.withdraw(2, 9)
        assert consortium.twin.balances[2] == consortium.bonds[2]

    def test_a_masked_participant_is_bound_too(self, consortium):
        consortium.until(RECORDED, silent=(1,))
        refused(BondLocked, (1, 1, 0), lambda: consortium.withdraw(1, 1), consortium.twin)

    def test_a_bystander_may_take_everything(self, consortium):
        for index in (0, 1, 2):
            consortium.deposit(index)
        consortium.open()
        consortium.deposit(3)
        consortium.withdraw(3, consortium.bonds[3])
        assert consortium.twin.balances[3] == 0

    def test_impossible_arguments(self, consortium):
        consortium.until(IDLE)
        refused(ArgumentOutOfRange, None, lambda: consortium.withdraw(0, 1, "0x12"), consortium.twin)
        refused(ArgumentOutOfRange, None, lambda: consortium.withdraw(0, -1), consortium.twin)


class TestExit:
    def test_refusals_in_order(self, consortium):
        twin, account = consortium.twin, consortium.accounts[0]
        for call in (twin.exit_request, twin.exit_cancel):
            refused(UnknownMember, (9, 4), lambda call=call: call(9, sender=STRANGER, time=T0), twin)
            refused(NotMember, (0, STRANGER), lambda call=call: call(0, sender=STRANGER, time=T0), twin)
        refused(NotExiting, (0,), lambda: twin.exit_cancel(0, sender=account, time=T0), twin)
        twin.exit_request(0, sender=account, time=T0)
        refused(AlreadyExiting, (0,), lambda: twin.exit_request(0, sender=account, time=T0), twin)

    def test_negative_indices_are_impossible(self, consortium):
        call = lambda: consortium.twin.exit_request(-1, sender=consortium.accounts[-1], time=T0)  # noqa: E731
        refused(ArgumentOutOfRange, None, call, consortium.twin)


GRAPH = {(IDLE, OPEN), (OPEN, RECORDED), (OPEN, IDLE), (RECORDED, CALCULATED), (CALCULATED, IDLE)}


class TwinMachine(RuleBasedStateMachine):
    """Random calls, allowed and forbidden, by members and strangers; the numbered invariants after each."""

    count = 3
    indices = st.integers(0, count)
    make_terms = None
    seen = None

    @initialize()
    def start(self):
        self.consortium = Consortium(self.make_terms(self.count, quorum_bps=5_000, maximum_rounds=2))
        self.twin = self.consortium.twin
        self.time = T0
        self.deposits = self.withdrawals = 0
        self.previous = self.twin.storage()
        self.open(patient=False)
        self.bond_everybody()

    def sender(self, index, honest):
        return self.consortium.accounts[index] if honest and index < self.count else STRANGER

    def attempt(self, call):
        """Make a call; a refusal must leave no trace. Then check what a single step may change."""
        before = self.previous
        try:
            events = call()
        except ContractError as error:
            assert self.twin.storage() == before
            self.seen[error.code] += 1
            return ()
        after = self.twin.storage()
        self.check_step(before, after, events)
        self.seen.update(event.name for event in events)
        self.previous = after
        return events

    def check_step(self, before, after, events):
        names = {event.name for event in events}
        # I10: phase and round along the graph; the ledger hash moves at record and calculate only
        if before.round.phase != after.round.phase:
            assert (before.round.phase, after.round.phase) in GRAPH
        assert after.round.number - before.round.number == ("RoundOpened" in names)
        assert (after.ledger != before.ledger) == bool(names & {"ProfileRecorded", "PayoffCalculated"})
        # I11: one contribution per member and round, unchanged once there
        if "RoundOpened" not in names:
            assert before.round.submitted & ~after.round.submitted == 0
            for index in range(self.count):
                if before.round.submitted >> index & 1:
                    assert after.contributions[index] == before.contributions[index]
        # I13: a balance changes by its own deposit or withdrawal, or by the transfer
        for index in range(self.count):
            change = after.balances[index] - before.balances[index]
            own = [e for e in events if e.name in ("Deposited", "Withdrawn") and e.args["index"] == index]
            if own:
                assert change == own[0].args["amount"] * (1 if own[0].name == "Deposited" else -1)
            elif "PayoffTransferred" in names:
                assert change == before.payoffs[index]
            else:
                assert change == 0

    @rule(index=indices, honest=st.booleans(), right=st.booleans(), extra=st.sampled_from([-1, 0, 1, 10**17]))
    def deposit(self, index, honest, right, extra):
        due = self.consortium.bonds[index] - self.twin.balances[index] if index < self.count else 0
        value = max(0, due + extra)
        terms_hash = self.consortium.terms.terms_hash if right else b"\x01" * 32
        sender = self.sender(index, honest)
        call = lambda: self.twin.deposit_submit(index, terms_hash, sender=sender, time=self.time, value=value)  # noqa: E731
        if self.attempt(call):
            self.deposits += value

    @rule(index=st.integers(0, count - 1))
    def bond_too_little(self, index):
        self.withdraw(index, honest=True, how="all")
        self.deposit(index, honest=True, right=True, extra=-1)

    @rule()
    def bond_everybody(self):
        for index in range(self.count):
            self.deposit(index, honest=True, right=True, extra=0)

    @precondition(lambda self: self.twin.phase == IDLE)
    @rule(patient=st.booleans())
    def open(self, patient):
        if patient:
            self.time = max(self.time, self.twin.idle_since + self.consortium.terms.scalars.min_gap)
        self.attempt(lambda: self.consortium.open(self.time))

    @rule(parts=st.tuples(*[st.none() | st.tuples(st.integers(0, 100), st.integers(0, 50), st.integers(0, 7))] * count))
    def go_on(self, parts):
        """Take the next step as everybody should, so that rounds come to their end often enough."""
        if self.twin.phase == IDLE:
            self.bond_everybody()
            self.open(patient=True)
        elif self.twin.phase == OPEN:
            self.submit_in_time(parts)
            self.record(patient=True)
        elif self.twin.phase == RECORDED:
            self.calculate(patient=True)
        else:
            self.transfer()

    @rule(index=indices)
    def call_out_of_turn(self, index):
        for call in (self.consortium.record, self.consortium.calculate, self.consortium.transfer):
            self.attempt(lambda call=call: call(self.time))
        self.attempt(lambda: self.twin.round_open(sender=STRANGER, time=self.time))
        self.submit(index, (1, 1, 1))

    def submit(self, index, parts, *, honest=True, signed=True):
        sender = self.sender(index, honest)
        signature = self.consortium.signature(min(index, self.count - 1), *parts) if signed else bytes(65)
        self.attempt(
            lambda: self.twin.contribution_submit(index, *parts, EVIDENCE, signature, sender=sender, time=self.time)
        )

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(index=st.integers(0, count - 1), late=st.booleans())
    def submit_wrongly(self, index, late):
        self.time = self.twin.deadline + 1 if late else min(self.time, self.twin.deadline)
        cap = self.consortium.terms.members[index].data_cap
        self.submit(index, (cap + 1, 1, 1))
        self.submit(index, (cap, 1, 1), signed=False)
        self.submit(index, (cap, 1, 1), honest=False)

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(parts=st.lists(st.sampled_from([None, (0, 0, 0), (100, 50, 7), (1, 2, 3)]), min_size=count, max_size=count))
    def submit_in_time(self, parts):
        self.time = min(self.time, self.twin.deadline)
        for index, own in enumerate(parts):
            if own is not None:
                self.submit(index, own)

    def wait_if(self, patient):
        """Let time pass until the deadline of the phase is over."""
        if patient:
            self.time = max(self.time, self.twin.deadline + 1)

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(patient=st.booleans())
    def record(self, patient):
        self.wait_if(patient)
        self.attempt(lambda: self.consortium.record(self.time))

    @precondition(lambda self: self.twin.phase == RECORDED)
    @rule(patient=st.booleans())
    def calculate(self, patient):
        self.wait_if(patient)
        # I9, I6: payoffs follow from the contributions alone
        storage = self.previous
        present = [c if storage.round.submitted >> i & 1 else None for i, c in enumerate(storage.contributions)]
        for event in self.attempt(lambda: self.consortium.calculate(self.time)):
            assert event.args["payoffs"] == self.consortium.terms.payoffs(present)
            self.seen["money moved"] += any(event.args["payoffs"])
            self.seen["masked"] += storage.round.submitted != storage.round.participants

    @precondition(lambda self: self.twin.phase == CALCULATED)
    @rule()
    def transfer(self):
        self.attempt(lambda: self.consortium.transfer(self.time))

    @rule(index=indices, honest=st.booleans(), how=st.sampled_from(["all", "free", "free + 1", "one", "too much"]))
    def withdraw(self, index, honest, how):
        balance = self.twin.balances[index] if index < self.count else 1
        bond = self.consortium.bonds[index] if index < self.count else 0
        free = max(0, balance - bond)
        amounts = {"all": balance, "free": free, "free + 1": free + 1, "one": 1, "too much": balance + 1}
        amount = amounts[how]
        sender = self.sender(index, honest)
        if self.attempt(lambda: self.twin.withdraw(index, amount, STRANGER, sender=sender, time=self.time)):
            self.withdrawals += amount

    @rule(index=indices, honest=st.booleans(), cancel=st.booleans())
    def exit(self, index, honest, cancel):
        call = self.twin.exit_cancel if cancel else self.twin.exit_request
        for _ in range(2):
            self.attempt(lambda: call(index, sender=self.sender(index, honest), time=self.time))

    @rule(seconds=st.sampled_from([1, 40, 50, 102]))
    def wait(self, seconds):
        self.time += seconds

    @rule()
    def a_stranger_can_always_bring_it_to_idle(self):
        # I12: time and at most three permissionless calls
        twin, time, calls = copy(self.twin), self.time, 0
        twin.balances, twin.payoffs = list(twin.balances), list(twin.payoffs)
        while twin.phase != IDLE:
            time = max(time, twin.deadline + 1)
            step = {OPEN: twin.profile_record, RECORDED: twin.payoff_calculate, CALCULATED: twin.payoff_transfer}
            step[twin.phase](sender=STRANGER, time=time)
            calls += 1
        assert calls <= 3

    def teardown(self):
        """Go on to the end of a round, trying everything on the way: no run leaves out what the others explored."""
        for _ in range(4):
            self.bond_too_little(0)
            self.call_out_of_turn(self.count)
            self.deposit(1, honest=True, right=False, extra=0)
            for cancel in (False, True):
                self.exit(2, honest=True, cancel=cancel)
            for how in ("too much", "free + 1", "free"):
                self.withdraw(1, honest=True, how=how)
            if self.twin.phase == OPEN:
                self.submit_wrongly(1, late=False)
                self.submit_wrongly(1, late=True)
            self.go_on([None, (100, 50, 7), (1, 2, 3)])
            self.money_is_conserved()
            self.bonds_hold()

    @invariant()
    def money_is_conserved(self):
        storage = self.previous
        assert sum(storage.payoffs) == 0  # I1
        assert sum(storage.balances) == storage.total_balance == self.deposits - self.withdrawals  # I2
        assert storage.ether >= storage.total_balance  # I3
        for balance, payoff in zip(storage.balances, storage.payoffs, strict=True):
            assert balance >= 0
            assert balance + payoff >= 0  # I4

    @invariant()
    def bonds_hold(self):
        storage, bonds = self.previous, self.consortium.bonds
        for index, (balance, bond) in enumerate(zip(storage.balances, bonds, strict=True)):
            if storage.round.phase != IDLE and storage.round.participants >> index & 1:
                assert balance >= bond  # I5
            accepted = storage.accepted >> index & 1
            assert (storage.solvent >> index & 1) == (accepted and balance >= bond)  # I8

    @invariant()
    def payoffs_wait_only_for_contributors_of_a_calculated_round(self):
        storage = self.previous
        for index, payoff in enumerate(storage.payoffs):
            if payoff:
                assert storage.round.phase == CALCULATED  # I7
                assert storage.round.submitted >> index & 1
            assert -payoff <= self.consortium.bonds[index]  # I6

    @invariant()
    def contributions_come_from_participants(self):
        storage = self.previous
        assert storage.round.submitted & ~storage.round.participants == 0


REACHED = {
    *("Accepted", "Deposited", "Withdrawn", "ExitRequested", "ExitCancelled", "RoundOpened", "ContributionSubmitted"),
    *("ProfileRecorded", "RoundVoided", "PayoffCalculated", "PayoffTransferred", "money moved", "masked"),
    *("UnknownMember", "NotMember", "TermsMismatch", "BondTooSmall", "NotAttester", "WrongPhase", "TooEarly"),
    *("NotEnoughMembers", "NotParticipant", "AlreadySubmitted", "CapExceeded", "InvalidSignature", "TooLate"),
    *("WithdrawalExceedsBalance", "BondLocked", "AlreadyExiting", "NotExiting", "NoRoundsLeft"),
}
"""What random calls must have met, so that the invariants were not checked on empty ground."""


def explore(make_terms, examples, steps):
    seen = Counter()
    machine = type("Machine", (TwinMachine,), {"make_terms": staticmethod(make_terms), "seen": seen})
    limits = settings(max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True)
    run_state_machine_as_test(machine, settings=limits)
    return seen


def test_property_invariants_hold_under_random_calls(make_terms):
    seen = explore(make_terms, examples=50, steps=40)
    assert set(seen) >= REACHED, REACHED - set(seen)


@pytest.mark.slow
def test_property_invariants_hold_under_many_random_calls(make_terms):
    seen = explore(make_terms, examples=200, steps=60)
    assert set(seen) >= REACHED, REACHED - set(seen)
