"""The contract's state machine in Python: every transition, every refusal, and boundary times.

The invariants under random calls are in ``test_state_machine.py``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils import to_checksum_address

from chain.abi import keccak256, words
from chain.encoding.codec import encode
from chain.encoding.signatures import sign, transfers_hash
from chain.encoding.states import CALCULATED, DISPUTED, FORFEIT, IDLE, OPEN, RECORDED, SETTLE, VOID, ruling_number
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import (
    AlreadyExiting,
    AlreadySubmitted,
    ArithmeticBound,
    BondLocked,
    BondTooSmall,
    CapExceeded,
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
    UnsupportedToken,
    WithdrawalExceedsBalance,
    WrongPhase,
)
from chain.errors.disputes import (
    DisputeBondTooSmall,
    NotArbiter,
    NotDefaultRuling,
    ReasonMissing,
    RulingOutOfRange,
    TransferOutOfRange,
    TransfersAlreadySubmitted,
    TransfersEvidenceMissing,
    TransfersLengthInvalid,
    TransfersMissing,
    TransfersUnbalanced,
    WrongMode,
)
from chain.keys.keystores import development_key
from chain.record.values import Event
from chain.twin.machine import Twin

ADDRESS = "0x" + "c0" * 20
CHECKSUMMED = to_checksum_address(ADDRESS)
STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"
ZERO = "0x" + "00" * 20
ATTESTER_KEY = development_key(7, "attester")
EVIDENCE = b"\xee" * 32
REASON = b"\x0d" * 32
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

    def attested(self, transfers, evidence=EVIDENCE):
        return sign(self.twin.transfers_digest(transfers_hash(transfers), evidence), ATTESTER_KEY)

    def transfers(self, transfers, time, *, evidence=EVIDENCE, signature=None):
        signature = self.attested(transfers, evidence) if signature is None else signature
        return self.twin.transfers_submit(transfers, evidence, signature, sender=STRANGER, time=time)

    def dispute(self, index, time, *, reason=REASON, sender=None):
        sender = self.accounts[index] if sender is None else sender
        return self.twin.dispute_raise(index, reason, sender=sender, time=time)

    def resolve(self, ruling, time, *, sender=None):
        return self.twin.dispute_resolve(ruling, sender=sender or self.terms.scalars.arbiter, time=time)

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
        for to in ("0x12", "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"):
            refused(ArgumentOutOfRange, None, lambda to=to: consortium.withdraw(0, 1, to), consortium.twin)
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


@pytest.fixture
def disputable(make_terms):
    """Four members; a dispute costs 100 wei, which member 2 alone holds on top of its liability."""
    consortium = Consortium(make_terms(4, dispute_bond=100))
    consortium.deposit(2, consortium.bonds[2] + 100)
    return consortium


@pytest.fixture
def vector(make_terms):
    """Four members in vector mode, who can be debited 10, 20, 30 and 40 wei in contract order."""
    terms = make_terms(4, mode="vector", dispute_bond=5)
    positions = encode(terms).positions
    members = tuple(replace(m, max_debit=10 * (positions[n] + 1)) for n, m in enumerate(terms.members))
    return Consortium(replace(terms, members=members))


def voided(reason):
    return Event("RoundVoided", {"round": 1, "reason": reason.ljust(32, b"\0")})


class TestDispute:
    def test_a_dispute_locks_the_round_and_the_bond(self, disputable):
        time = disputable.until(RECORDED)
        assert disputable.dispute(2, time + 50) == (
            Event(
                "DisputeRaised",
                {
                    "round": 1,
                    "index": 2,
                    "member": disputable.accounts[2],
                    "reasonHash": REASON,
                    "deadline": time + 110,
                },
            ),
        )
        view = disputable.twin.storage().round
        assert (view.phase, view.disputant, view.deadline) == (DISPUTED, 2, time + 110)
        disputable.deposit(2, 7)
        balance = disputable.twin.balances[2]
        free = balance - disputable.bonds[2] - 100
        refused(BondLocked, (2, free + 1, free), lambda: disputable.withdraw(2, free + 1), disputable.twin)
        disputable.withdraw(2, free)
        disputable.deposit(1, 50)
        disputable.withdraw(1, 50)

    def test_refusals_in_order(self, disputable):
        twin = disputable.twin

        def call(index, time, *, reason=bytes(32), sender=None):
            return lambda: disputable.dispute(index, time, reason=reason, sender=sender)

        disputable.withdraw(3, 0)
        for index in (0, 1):
            disputable.deposit(index)
        refused(UnknownMember, (4, 4), call(4, 0, sender=STRANGER), twin)
        refused(NotMember, (3, STRANGER), call(3, 0, sender=STRANGER), twin)
        refused(WrongPhase, (IDLE, RECORDED), call(3, 0), twin)
        disputable.open()
        for index in (0, 1, 2):
            disputable.submit(index)
        disputable.record(T0)
        refused(TooLate, (T0 + 51, T0 + 50), call(3, T0 + 51), twin)
        refused(NotParticipant, (3, 1), call(3, T0 + 50), twin)
        refused(ReasonMissing, (1,), call(1, T0 + 50), twin)
        balance = disputable.bonds[1]
        values = (1, balance, balance + 100)
        refused(DisputeBondTooSmall, values, call(1, T0 + 50, reason=REASON), twin)
        disputable.deposit(1, 99)
        values = (1, balance + 99, balance + 100)
        refused(DisputeBondTooSmall, values, call(1, T0 + 50, reason=REASON), twin)
        disputable.dispute(2, T0 + 50)
        refused(WrongPhase, (DISPUTED, RECORDED), call(2, T0 + 50, reason=REASON), twin)
        refused(ArgumentOutOfRange, None, call(2, T0, reason=b"short"), twin)

    def test_a_masked_participant_may_dispute(self, disputable):
        time = disputable.until(RECORDED, silent=(2,))
        disputable.dispute(2, time)
        assert disputable.twin.phase == DISPUTED

    @pytest.mark.parametrize("phase", [IDLE, OPEN, RECORDED, CALCULATED])
    def test_only_a_disputed_round_is_ruled_on(self, disputable, phase):
        disputable.until(phase)
        refused(WrongPhase, (phase, DISPUTED), lambda: disputable.resolve(9, T0), disputable.twin)

    @pytest.mark.parametrize("call", ["record", "calculate", "transfer", "open"])
    def test_nothing_else_happens_while_a_dispute_is_open(self, disputable, call):
        disputable.dispute(2, disputable.until(RECORDED))
        expected = {"record": OPEN, "calculate": RECORDED, "transfer": CALCULATED, "open": IDLE}[call]
        values = (DISPUTED, expected)
        refused(WrongPhase, values, lambda: getattr(disputable, call)(T0 + 10_000), disputable.twin)

    def test_settled_dispute_lets_the_payoffs_be_calculated_at_once_and_cannot_be_repeated(self, disputable):
        time = disputable.until(RECORDED)
        disputable.dispute(2, time)
        before = disputable.twin.storage()
        assert disputable.resolve(SETTLE, time + 60) == (
            Event("DisputeResolved", {"round": 1, "index": 2, "ruling": 0, "forfeited": 0}),
        )
        after = disputable.twin.storage()
        assert (after.round.phase, after.round.deadline, after.round.disputant) == (RECORDED, time + 59, 0)
        assert (after.balances, after.ledger) == (before.balances, before.ledger)
        again = lambda: disputable.dispute(2, time + 60)  # noqa: E731
        refused(TooLate, (time + 60, time + 59), again, disputable.twin)
        disputable.withdraw(2, 100)
        disputable.calculate(time + 60)
        assert disputable.twin.payoffs == list(disputable.terms.payoffs([(10 * index, 5, index) for index in range(4)]))

    def test_voided_dispute_ends_the_round_without_payoffs(self, disputable):
        time = disputable.until(RECORDED)
        disputable.dispute(2, time)
        before = disputable.twin.storage()
        assert disputable.resolve(VOID, time + 3) == (
            Event("DisputeResolved", {"round": 1, "index": 2, "ruling": 1, "forfeited": 0}),
            voided(b"dispute"),
        )
        after = disputable.twin.storage()
        assert (after.round.phase, after.round.idle_since) == (IDLE, time + 3)
        assert (after.balances, after.payoffs, after.ledger) == (before.balances, (0,) * 4, before.ledger)

    @pytest.mark.parametrize(
        ("bond", "silent", "share"),
        [(100, (), 33), (100, (0,), 50), (99, (2,), 33), (2, (), 0), (100, (0, 1, 3), 0)],
    )
    def test_forfeited_bond_is_shared_among_the_other_contributors(self, make_terms, bond, silent, share):
        consortium = Consortium(make_terms(4, dispute_bond=bond, quorum_bps=1))
        consortium.deposit(2, consortium.bonds[2] + bond)
        time = consortium.until(RECORDED, silent=silent)
        consortium.dispute(2, time)
        before = consortium.twin.storage()
        (event,) = consortium.resolve(FORFEIT, time)
        receivers = [index for index in (0, 1, 3) if index not in silent]
        forfeited = share * len(receivers)
        assert event.args["forfeited"] == forfeited
        change = [a - b for a, b in zip(consortium.twin.balances, before.balances, strict=True)]
        assert change == [share if i in receivers else -forfeited if i == 2 else 0 for i in range(4)]
        after = consortium.twin.storage()
        assert (after.total_balance, after.solvent, after.round.phase) == (
            before.total_balance,
            before.solvent,
            RECORDED,
        )

    def test_only_the_arbiter_rules_until_its_window_is_over(self, disputable):
        time = disputable.until(RECORDED)
        disputable.dispute(2, time)
        twin = disputable.twin
        refused(RulingOutOfRange, (3, 2), lambda: disputable.resolve(3, time, sender=STRANGER), twin)
        for sender in (STRANGER, disputable.attester):
            refused(NotArbiter, (sender,), lambda s=sender: disputable.resolve(SETTLE, time + 60, sender=s), twin)
        refused(ArgumentOutOfRange, None, lambda: disputable.resolve(256, time), twin)
        disputable.resolve(FORFEIT, time + 60)

    @pytest.mark.parametrize(("default", "ruling", "phase"), [("settle", SETTLE, RECORDED), ("void", VOID, IDLE)])
    @pytest.mark.parametrize("who", ["arbiter", "stranger"])
    def test_silent_arbiter_leaves_the_default_to_anyone(self, make_terms, default, ruling, phase, who):
        consortium = Consortium(make_terms(4, dispute_default=default))
        time = consortium.until(RECORDED)
        consortium.dispute(1, time)
        sender = STRANGER if who == "stranger" else None
        for other in {SETTLE, VOID, FORFEIT} - {ruling}:
            call = lambda other=other: consortium.resolve(other, time + 61, sender=sender)  # noqa: E731
            refused(NotDefaultRuling, (other, ruling), call, consortium.twin)
        consortium.resolve(ruling, time + 61, sender=sender)
        assert consortium.twin.phase == phase

    def test_rulings_have_names(self):
        assert [ruling_number(name) for name in ("settle", "void", "settle-and-forfeit")] == [SETTLE, VOID, FORFEIT]
        with pytest.raises(ArgumentOutOfRange, match="forgive"):
            ruling_number("forgive")


class TestVectorMode:
    GOOD = (-10, -20, 0, 30)

    def test_a_round_pays_what_the_attester_signed(self, vector):
        time = vector.until(RECORDED)
        twin = vector.twin
        assert twin.deadline == time + 101, "the transfers have a submit window of their own"
        assert not twin.storage().round.transfers_submitted
        signature = vector.attested(self.GOOD)
        hashed = keccak256(words(32, 4, *self.GOOD))
        assert vector.transfers(self.GOOD, time + 101) == (
            Event(
                "TransfersSubmitted",
                {
                    "round": 1,
                    "transfersHash": hashed,
                    "transfers": self.GOOD,
                    "evidenceHash": EVIDENCE,
                    "attesterSignature": signature,
                    "deadline": time + 151,
                },
            ),
        )
        assert twin.storage().round.transfers_submitted
        assert twin.storage().payoffs == (0,) * 4, "pending only once calculated"
        refused(TooEarly, (time + 151, time + 152), lambda: vector.calculate(time + 151), twin)
        ledger, balances = twin.ledger, twin.storage().balances
        (event,) = vector.calculate(time + 152)
        assert event.args == {"round": 1, "payoffHash": hashed, "payoffs": self.GOOD}
        assert twin.ledger == keccak256(words(ledger, 1, hashed))
        vector.transfer(time + 152)
        assert twin.balances == [b + t for b, t in zip(balances, self.GOOD, strict=True)]
        assert twin.storage().round.transfers_submitted
        for index in (0, 1):
            vector.deposit(index)
        vector.open(time + 192)
        assert not twin.storage().round.transfers_submitted

    def test_refusals_in_order(self, vector):
        twin, bad = vector.twin, (-11, 0, 5)

        def call(transfers, time, *, evidence=EVIDENCE, signature=bytes(65)):
            return lambda: vector.transfers(transfers, time, evidence=evidence, signature=signature)

        none = bytes(32)
        refused(WrongPhase, (IDLE, RECORDED), call(bad, 0, evidence=none), twin)
        time = vector.until(RECORDED, silent=(2,))
        late = time + 102
        refused(TooLate, (late, time + 101), call(bad, late, evidence=none), twin)
        refused(TransfersLengthInvalid, (3, 4), call(bad, time, evidence=none), twin)
        refused(TransfersEvidenceMissing, (1,), call((-11, 0, 5, 0), time, evidence=none), twin)
        refused(TransferOutOfRange, (0, -11, -10, 2**127 - 1), call((-11, 0, 5, 0), time), twin)
        refused(TransferOutOfRange, (1, 2**127, -20, 2**127 - 1), call((0, 2**127, 5, 0), time), twin)
        refused(TransferOutOfRange, (2, 5, 0, 0), call((0, 0, 5, 7), time), twin)
        refused(TransferOutOfRange, (2, -1, 0, 0), call((0, 0, -1, 7), time), twin)
        refused(TransfersUnbalanced, (7,), call((0, 0, 0, 7), time), twin)
        refused(InvalidSignature, (vector.attester,), call((-7, 0, 0, 7), time), twin)
        refused(ArgumentOutOfRange, None, call((2**255, 0, 0, 0), time), twin)
        refused(ArgumentOutOfRange, None, call((0, 0, 0, 0), time, evidence=b"short"), twin)
        vector.transfers((-7, 0, 0, 7), time)
        refused(TransfersAlreadySubmitted, (1,), call(bad, late, evidence=none), twin)

    @pytest.mark.parametrize("what", ["transfers", "evidence", "round", "chain"])
    def test_a_signature_counts_for_nothing_else(self, vector, what):
        signature = vector.attested(self.GOOD)
        time = vector.until(RECORDED)
        signature = vector.attested(self.GOOD) if what != "round" else signature
        transfers = (-10, -19, 0, 29) if what == "transfers" else self.GOOD
        evidence = b"\xef" * 32 if what == "evidence" else EVIDENCE
        if what == "chain":
            other = Twin(vector.terms, chain_id=6, address=ADDRESS)
            other.number = 1
            signature = sign(other.transfers_digest(transfers_hash(transfers), EVIDENCE), ATTESTER_KEY)
        call = lambda: vector.transfers(transfers, time, evidence=evidence, signature=signature)  # noqa: E731
        refused(InvalidSignature, (vector.attester,), call, vector.twin)

    def test_a_round_without_transfers_is_voided(self, vector):
        time = vector.until(RECORDED)
        ledger, balances = vector.twin.ledger, vector.twin.storage().balances
        refused(TooEarly, (time + 101, time + 102), lambda: vector.calculate(time + 101), vector.twin)
        assert vector.calculate(time + 102) == (voided(b"transfers"),)
        storage = vector.twin.storage()
        assert (storage.round.phase, storage.round.idle_since) == (IDLE, time + 102)
        assert (storage.ledger, storage.balances, storage.payoffs) == (ledger, balances, (0,) * 4)

    def test_only_transfers_that_are_there_can_be_disputed(self, vector):
        vector.deposit(3, vector.bonds[3] + 5)
        time = vector.until(RECORDED)
        refused(TransfersMissing, (1,), lambda: vector.dispute(3, time, reason=bytes(32)), vector.twin)
        vector.transfers(self.GOOD, time)
        vector.dispute(3, time + 50)
        vector.resolve(FORFEIT, time + 51)
        vector.calculate(time + 51)
        assert vector.twin.payoffs == list(self.GOOD)

    def test_transfers_of_a_voided_round_pay_nobody(self, vector):
        vector.deposit(3, vector.bonds[3] + 5)
        time = vector.until(RECORDED)
        vector.transfers(self.GOOD, time)
        vector.dispute(3, time)
        vector.resolve(VOID, time)
        assert vector.twin.storage().payoffs == (0,) * 4
        vector.open(time + 40)
        for index in range(4):
            vector.submit(index, time=time + 40)
        vector.record(time + 40)
        assert vector.calculate(time + 142)[0].args["reason"].startswith(b"transfers")

    def test_contributions_do_not_determine_transfers(self, vector):
        with pytest.raises(WrongMode) as caught:
            vector.twin.predict([(1, 1, 1)] * 4)
        assert caught.value.values == (1, 0)

    def test_pairwise_terms_take_no_transfers(self, consortium):
        consortium.until(RECORDED)
        call = lambda: consortium.transfers((0,) * 4, T0, signature=bytes(65))  # noqa: E731
        refused(WrongMode, (0, 1), call, consortium.twin)
        refused(WrongMode, (0, 1), lambda: consortium.twin.transfers_digest(bytes(32), EVIDENCE), consortium.twin)


class TestToken:
    TOKEN = to_checksum_address("0x" + "70" * 20)

    @pytest.mark.parametrize(
        ("arrives", "error"), [(None, TransferFailed), (-1, UnsupportedToken), (1, UnsupportedToken), (0, None)]
    )
    def test_a_deposit_must_arrive_in_full(self, make_terms, arrives, error):
        asked = []

        def delivers(sender, amount):
            asked.append((sender, amount))
            return None if arrives is None else amount + arrives

        consortium = Consortium(make_terms(4, token=self.TOKEN), delivers=delivers)
        bond = consortium.bonds[1]
        values = (CHECKSUMMED, bond) if arrives is None else (self.TOKEN,)
        if error is None:
            assert [event.name for event in consortium.deposit(1)] == ["Accepted", "Deposited"]
            assert consortium.twin.balances[1] == bond
        else:
            refused(error, values, lambda: consortium.deposit(1), consortium.twin)
        assert asked == [(consortium.accounts[1], bond)]

    def test_the_token_is_asked_after_every_other_check(self, make_terms):
        consortium = Consortium(make_terms(4, token=self.TOKEN), delivers=lambda *_: None)
        bond = consortium.bonds[1]
        refused(BondTooSmall, (1, bond - 1, bond), lambda: consortium.deposit(1, bond - 1), consortium.twin)
        refused(TotalBalanceTooLarge, (2**127,), lambda: consortium.deposit(1, 2**127), consortium.twin)

    def test_ether_asks_no_token(self, make_terms):
        consortium = Consortium(make_terms(4), delivers=lambda *_: None)
        consortium.deposit(1)
        assert consortium.twin.solvent == 0b10
