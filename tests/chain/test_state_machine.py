"""The numbered invariants under random calls, allowed and forbidden: on the twin alone, and on contract and twin alike.

One set of rules (:class:`Machine`) drives either system. Over the contract every call is made on the chain too, and
must give the same events, or the same error with the same values, as the twin's; what the invariants say of the twin's
storage they then say of the contract's, which is compared whenever a round ends.
"""

from __future__ import annotations

import re
from collections import Counter
from copy import copy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chain.contract.collect import collect_record
from chain.encoding import kernel
from chain.encoding.codec import encode
from chain.encoding.signatures import address_of, sign, transfers_hash
from chain.encoding.states import CALCULATED, DISPUTED, FORFEIT, IDLE, OPEN, RECORDED, SETTLE, VOID
from chain.errors.reverts import ContractError
from chain.keys.keystores import development_account, development_key
from chain.twin.machine import Twin

SEED = 7
COUNT = 3
EVIDENCE = b"\xee" * 32
BOND = 1_000_001
T0 = 1_700_000_000
STRANGER = address_of(development_key(SEED, "stranger"))
ATTESTER_KEY = development_key(SEED, "attester")


def snake(function: str) -> str:
    """The twin's name of a contract's function."""
    return re.sub("(?=[A-Z])", "_", function).lower()


class TwinSystem:
    """The twin with a clock that moves by a second with every accepted call."""

    def __init__(self, terms):
        self.terms = terms
        self.twin = Twin(terms, chain_id=5, address="0x" + "c0" * 20)
        self.now = T0

    @property
    def time(self):
        """What the next call sees."""
        return self.now + 1

    def wait_until(self, time):
        self.now = max(self.now, time - 1)

    def call(self, function, *arguments, sender, value=None):
        paid = {} if value is None else {"value": value}
        events = getattr(self.twin, snake(function))(*arguments, sender=sender, time=self.time, **paid)
        self.now += 1
        return events

    def check_storage(self):
        """There is nothing to compare with."""

    def close(self):
        """There is nothing to give back."""


class ContractSystem(TwinSystem):
    """The twin beside the contract on a chain: both are called, and must answer alike."""

    def __init__(self, stage):
        self.stage = stage
        self.terms = stage.encoded
        self.twin = Twin(self.terms, chain_id=stage.backend.chain_id, address=stage.contract.address)
        roles = ("stranger", "attester", "arbiter", *(f"o{n}" for n in range(COUNT)))
        self.accounts = {account.address: account for account in (development_account(SEED, r) for r in roles)}
        self.provider = stage.backend.web3.provider
        self.snapshot = self.provider.make_request("evm_snapshot", [])["result"]

    @property
    def time(self):
        return self.stage.backend.now() + 1

    def wait_until(self, time):
        self.stage.backend.wait_until(time)

    def call(self, function, *arguments, sender, value=None):
        paid, time = {} if value is None else {"value": value}, self.time
        account, contract, refusal = self.accounts[sender], self.stage.contract, None
        try:
            events = getattr(self.twin, snake(function))(*arguments, sender=sender, time=time, **paid)
        except ContractError as error:
            refusal = error
        if refusal is not None:
            with pytest.raises(type(refusal)) as refused:
                contract.transact(function, *arguments, account=account, **paid)
            assert refused.value.values == refusal.values
            raise refusal
        mined = contract.transact(function, *arguments, account=account, **paid)
        assert mined.time == time
        assert tuple(log.event for log in contract.logs(mined.block, mined.block)) == events
        return events

    def check_storage(self):
        block = self.stage.deployed.block
        storage = collect_record(self.stage.contract, created_block=block, created_transaction=None).storage
        assert storage == self.twin.storage(block=storage.block)

    def close(self):
        self.provider.make_request("evm_revert", [self.snapshot])


GRAPH = {
    *((IDLE, OPEN), (OPEN, RECORDED), (OPEN, IDLE), (RECORDED, DISPUTED), (RECORDED, CALCULATED), (RECORDED, IDLE)),
    *((DISPUTED, RECORDED), (DISPUTED, IDLE), (CALCULATED, IDLE)),
}
LEDGER_MOVES = {"ProfileRecorded", "PayoffCalculated"}
ENDS = {"PayoffTransferred", "RoundVoided", "DisputeResolved"}

indices = st.integers(0, COUNT)
members = st.integers(0, COUNT - 1)
profiles = st.lists(
    st.sampled_from([None, (0, 0, 0), (100, 50, 7), (1, 2, 3), (60, 0, 1)]), min_size=COUNT, max_size=COUNT
)


class Machine(RuleBasedStateMachine):
    """Random calls by members, officers and strangers; the numbered invariants after each."""

    new_system = None
    seen = None
    closing_steps = 6

    @initialize()
    def start(self):
        self.system = self.new_system()
        self.twin, self.terms = self.system.twin, self.system.terms
        self.scalars, self.bonds = self.terms.scalars, self.terms.liabilities
        self.accounts = [member.account for member in self.terms.members]
        self.deposits = self.withdrawals = 0
        self.bondless = None
        self.previous = self.twin.storage()
        self.open(patient=False)
        self.bond_everybody()

    def sender(self, index, honest=True):
        return self.accounts[index] if honest and index < COUNT else STRANGER

    def attempt(self, function, *arguments, sender=STRANGER, value=None):
        """Make a call; a refusal must leave no trace. Then check what a single step may change."""
        before = self.previous
        try:
            events = self.system.call(function, *arguments, sender=sender, value=value)
        except ContractError as error:
            assert self.twin.storage() == before
            self.seen[error.code] += 1
            return ()
        after = self.twin.storage()
        self.check_step(before, after, events)
        self.seen.update(event.name for event in events)
        self.previous = after
        if ENDS & {event.name for event in events}:
            self.system.check_storage()
        return events

    def check_step(self, before, after, events):
        names = {event.name for event in events}
        # I10: phase and round along the graph; the ledger hash moves at record and calculate only
        if before.round.phase != after.round.phase:
            assert (before.round.phase, after.round.phase) in GRAPH
        assert after.round.number - before.round.number == ("RoundOpened" in names)
        assert (after.ledger != before.ledger) == bool(names & LEDGER_MOVES)
        # I11: one contribution per member and round, unchanged once there
        if "RoundOpened" not in names:
            assert before.round.submitted & ~after.round.submitted == 0
            for index in range(COUNT):
                if before.round.submitted >> index & 1:
                    assert after.contributions[index] == before.contributions[index]
        self.check_balances(before, after, events)

    def check_balances(self, before, after, events):
        # I13: a balance changes by its own deposit or withdrawal, by the transfer, or by a ruling
        by_name = {event.name: event.args for event in events}
        expected = [0] * COUNT
        if "Deposited" in by_name:
            expected[by_name["Deposited"]["index"]] = by_name["Deposited"]["amount"]
        elif "Withdrawn" in by_name:
            expected[by_name["Withdrawn"]["index"]] = -by_name["Withdrawn"]["amount"]
        elif "PayoffTransferred" in by_name:
            expected = list(before.payoffs)
        elif "DisputeResolved" in by_name:
            ruling = by_name["DisputeResolved"]
            others = [i for i in range(COUNT) if before.round.submitted >> i & 1 and i != ruling["index"]]
            share = self.scalars.dispute_bond // len(others) if others and ruling["ruling"] == FORFEIT else 0
            assert ruling["forfeited"] == share * len(others)
            for index in others:
                expected[index] = share
            expected[ruling["index"]] = -ruling["forfeited"]
            self.seen["money forfeited"] += share > 0
            if share and self.absent(before) >> ruling["index"] & 1:
                self.bondless = (before.round.number, ruling["index"])
        assert [a - b for a, b in zip(after.balances, before.balances, strict=True)] == expected

    def absent(self, storage):
        """Bitmap of the participants without a contribution, where they pay for that."""
        return storage.round.participants & ~storage.round.submitted if self.terms.stand_ins else 0

    def settled(self, storage):
        """What the round as it stands settles to, from the stand-ins and the contributions alone."""
        present = [c if storage.round.submitted >> i & 1 else None for i, c in enumerate(storage.contributions)]
        return self.terms.payoffs(present, self.absent(storage))

    def must_hold(self, storage, index):
        """What a participant of a live round must hold (I5)."""
        disputed = storage.round.phase == DISPUTED and storage.round.disputant == index
        bond = self.scalars.dispute_bond if disputed else 0
        if storage.round.phase == OPEN or not self.absent(storage) >> index & 1:
            return self.bonds[index] + bond
        owed = -self.settled(storage)[index]
        if self.bondless == (storage.round.number, index):
            return owed
        return max(self.bonds[index], owed + bond)

    # Bonds -----------------------------------------------------------------------------------------------------

    @rule(index=indices, honest=st.booleans(), right=st.booleans(), extra=st.sampled_from([-1, 0, 1, BOND, 10**12]))
    def deposit(self, index, honest, right, extra):
        due = self.bonds[index] - self.twin.balances[index] if index < COUNT else 0
        value = max(0, due + extra)
        terms_hash = self.terms.terms_hash if right else b"\x01" * 32
        if self.attempt("depositSubmit", index, terms_hash, sender=self.sender(index, honest), value=value):
            self.deposits += value

    @rule(index=members)
    def bond_too_little(self, index):
        self.withdraw(index, honest=True, how="all")
        self.deposit(index, honest=True, right=True, extra=-1)

    @rule()
    def bond_everybody(self):
        for index in range(COUNT):
            self.deposit(index, honest=True, right=True, extra=BOND if index else 0)

    @rule(index=indices, honest=st.booleans(), how=st.sampled_from(["all", "free", "free + 1", "one", "too much"]))
    def withdraw(self, index, honest, how):
        balance = self.twin.balances[index] if index < COUNT else 1
        free = max(0, balance - (self.bonds[index] if index < COUNT else 0))
        amount = {"all": balance, "free": free, "free + 1": free + 1, "one": 1, "too much": balance + 1}[how]
        if self.attempt("withdraw", index, amount, STRANGER, sender=self.sender(index, honest)):
            self.withdrawals += amount

    @rule(index=indices, honest=st.booleans(), cancel=st.booleans())
    def exit(self, index, honest, cancel):
        for _ in range(2):
            self.attempt("exitCancel" if cancel else "exitRequest", index, sender=self.sender(index, honest))

    # The round, as it should go ----------------------------------------------------------------------------------

    @precondition(lambda self: self.twin.phase == IDLE)
    @rule(patient=st.booleans())
    def open(self, patient):
        if patient:
            self.system.wait_until(self.twin.idle_since + self.scalars.min_gap)
        self.attempt("roundOpen", sender=self.scalars.attester)

    def submit(self, index, parts, *, honest=True, signed=True):
        digest = self.twin.contribution_digest(min(index, COUNT - 1), *parts, EVIDENCE)
        signature = sign(digest, ATTESTER_KEY) if signed else bytes(65)
        sender = self.sender(index, honest)
        self.attempt("contributionSubmit", index, *parts, EVIDENCE, signature, sender=sender)

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(profile=profiles)
    def submit_all(self, profile):
        for index, parts in enumerate(profile):
            if parts is not None:
                self.submit(index, parts)

    def wait_if(self, patient):
        """Let time pass until the deadline of the phase is over."""
        if patient:
            self.system.wait_until(self.twin.deadline + 1)

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(patient=st.booleans())
    def record(self, patient):
        self.wait_if(patient)
        self.attempt("profileRecord")

    @precondition(lambda self: self.twin.phase == RECORDED and self.terms.is_vector)
    @rule(share=st.integers(0, 100), other=st.booleans())
    def submit_transfers(self, share, other):
        """The first contributor pays a share of its bond, to one or to all of the others."""
        self.transfers(self.balanced(share, other))

    def balanced(self, share, other):
        present = [i for i in range(COUNT) if self.twin.submitted >> i & 1]
        transfers = [0] * COUNT
        if len(present) > 1:
            transfers[present[0]] = -(self.bonds[present[0]] * share // 100)
            receivers = present[1:2] if other else present[1:]
            for index in receivers:
                transfers[index] = -transfers[present[0]] // len(receivers)
            transfers[present[0]] = -sum(transfers[i] for i in receivers)
        return transfers

    def transfers(self, transfers, *, evidence=EVIDENCE, signed=True):
        signature = bytes(65)
        if signed and self.terms.is_vector:
            signature = sign(self.twin.transfers_digest(transfers_hash(transfers), evidence), ATTESTER_KEY)
        self.attempt("transfersSubmit", tuple(transfers), evidence, signature)

    @precondition(lambda self: self.twin.phase == RECORDED)
    @rule(patient=st.booleans())
    def calculate(self, patient):
        self.wait_if(patient)
        # I9, I6: payoffs follow from stand-ins and contributions alone, or are those that the attester signed
        storage, signed = self.previous, self.twin.transfers
        for event in self.attempt("payoffCalculate"):
            if event.name == "Absent":
                assert event.args["bitmap"] == self.absent(storage) != 0
                continue
            if event.name == "RoundVoided":
                assert self.terms.is_vector
                assert signed is None
                continue
            payoffs = event.args["payoffs"]
            assert payoffs == (signed if self.terms.is_vector else self.settled(storage))
            self.seen["money moved"] += any(payoffs)
            self.seen["absent charged"] += any(payoffs[i] for i in range(COUNT) if self.absent(storage) >> i & 1)
            self.seen["masked"] += storage.round.submitted != storage.round.participants

    @precondition(lambda self: self.twin.phase == CALCULATED)
    @rule()
    def transfer(self):
        self.attempt("payoffTransfer")

    @rule(profile=profiles, share=st.integers(0, 100))
    def go_on(self, profile, share):
        """Take the next step as everybody should, so that rounds come to their end often enough."""
        if self.twin.phase == IDLE:
            self.bond_everybody()
            self.open(patient=True)
        elif self.twin.phase == OPEN:
            self.submit_all(profile)
            self.record(patient=True)
        elif self.twin.phase == RECORDED:
            if self.terms.is_vector and self.twin.transfers is None and share:
                self.submit_transfers(share, other=bool(share % 2))
            self.calculate(patient=True)
        elif self.twin.phase == DISPUTED:
            self.resolve(self.scalars.dispute_default, patient=bool(share % 2), arbiter=True)
        else:
            self.transfer()

    # Disputes ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.twin.phase == RECORDED)
    @rule(index=indices, honest=st.booleans(), reasoned=st.booleans(), bonded=st.booleans())
    def dispute(self, index, honest, reasoned, bonded):
        if bonded and index < COUNT:
            self.deposit(index, honest=True, right=True, extra=self.scalars.dispute_bond)
        reason = b"\x0d" * 32 if reasoned else bytes(32)
        self.attempt("disputeRaise", index, reason, sender=self.sender(index, honest))

    @precondition(lambda self: self.twin.phase == DISPUTED)
    @rule(ruling=st.integers(0, 3), patient=st.booleans(), arbiter=st.booleans())
    def resolve(self, ruling, patient, arbiter):
        self.wait_if(patient)
        for event in self.attempt("disputeResolve", ruling, sender=self.scalars.arbiter if arbiter else STRANGER):
            if event.name == "DisputeResolved":
                self.seen[f"ruling {ruling}{' by default' if patient else ''}"] += 1

    @precondition(lambda self: self.twin.phase == DISPUTED)
    @rule()
    def withdraw_the_locked_bond(self):
        self.withdraw(self.twin.disputant, honest=True, how="free")

    # What nobody should try --------------------------------------------------------------------------------------

    @rule(index=indices)
    def call_out_of_turn(self, index):
        for function in ("profileRecord", "payoffCalculate", "payoffTransfer", "roundOpen"):
            self.attempt(function)
        self.attempt("disputeRaise", index, EVIDENCE, sender=self.sender(index))
        self.attempt("disputeResolve", VOID)
        self.transfers([0] * COUNT, signed=False)
        self.submit(index, (1, 1, 1))

    @precondition(lambda self: self.twin.phase == OPEN)
    @rule(index=members, late=st.booleans())
    def submit_wrongly(self, index, late):
        self.wait_if(late)
        cap = self.terms.members[index].data_cap
        self.submit(index, (cap + 1, 1, 1))
        self.submit(index, (cap, 1, 1), signed=False)
        self.submit(index, (cap, 1, 1), honest=False)

    @precondition(lambda self: self.twin.phase == RECORDED and self.terms.is_vector)
    @rule(late=st.booleans())
    def submit_transfers_wrongly(self, late):
        self.wait_if(late)
        good, index = self.balanced(50, other=True), self.twin.submitted.bit_length() - 1
        beyond = [-bond - 1 for bond in self.bonds]
        self.transfers(good[:-1])
        self.transfers(good, evidence=bytes(32))
        self.transfers(good, signed=False)
        self.transfers(beyond)
        self.transfers([value + (i == index) for i, value in enumerate(good)])

    @precondition(lambda self: not self.terms.is_vector)
    @rule(profile=profiles, index=members, order=st.permutations(range(COUNT)))
    def more_never_pays_less_and_names_do_not_matter(self, profile, index, order):
        # I14 and I15, of the twin's payoffs: those of the contract equal them
        absent = sum(1 << i for i, parts in enumerate(profile) if parts is None)
        payoffs, own, member = self.terms.payoffs(profile, absent), profile[index], self.terms.members[index]
        if own is not None:
            caps = (member.data_cap, member.generated_cap, member.compute_cap)
            larger = [min(cap, 2 * value + 1) for value, cap in zip(own, caps, strict=True)]
            raised = [tuple(larger) if i == index else parts for i, parts in enumerate(profile)]
            assert self.terms.payoffs(raised, absent)[index] >= payoffs[index]
            if self.terms.stand_ins and self.terms.score(index, *own) >= self.terms.stand_ins[index]:
                silent = [None if i == index else parts for i, parts in enumerate(profile)]
                assert self.terms.payoffs(silent, absent | 1 << index)[index] <= payoffs[index]
                self.seen["silence compared"] += 1
        weights, scores = self.terms.pair_weights, self.terms.scores(profile)
        reordered = [[weights[i][j] for j in order] for i in order]
        charged = [s if absent >> i & 1 else None for i, s in enumerate(self.terms.stand_ins)]
        again = kernel.payoffs(
            reordered,
            self.scalars.gamma_wad,
            [scores[i] for i in order],
            [charged[i] for i in order] if charged else (),
        )
        assert again == tuple(payoffs[i] for i in order)
        self.seen["reordered"] += 1

    @rule(seconds=st.sampled_from([1, 40, 50, 102]))
    def wait(self, seconds):
        self.system.wait_until(self.system.time + seconds)

    @rule()
    def a_stranger_can_always_bring_it_to_idle(self):
        # I12: time and at most three permissionless calls, made on a copy
        twin, time, calls = copy(self.twin), self.system.time, 0
        twin.balances, twin.payoffs = list(twin.balances), list(twin.payoffs)
        while twin.phase != IDLE:
            time = max(time, twin.deadline + 1)
            if twin.phase == DISPUTED:
                twin.dispute_resolve(self.scalars.dispute_default, sender=STRANGER, time=time)
            else:
                step = {OPEN: twin.profile_record, RECORDED: twin.payoff_calculate, CALCULATED: twin.payoff_transfer}
                step[twin.phase](sender=STRANGER, time=time)
            calls += 1
        assert calls <= 3

    def teardown(self):
        """Go on to the end of a round, trying everything on the way: no run leaves out what the others explored."""
        try:
            for step in range(self.closing_steps):
                self.bond_too_little(0)
                self.call_out_of_turn(COUNT)
                self.deposit(1, honest=True, right=False, extra=0)
                for cancel in (False, True):
                    self.exit(2, honest=True, cancel=cancel)
                for how in ("too much", "free + 1", "free"):
                    self.withdraw(1, honest=True, how=how)
                if self.twin.phase == OPEN:
                    self.submit_wrongly(1, late=False)
                elif self.twin.phase == RECORDED:
                    self.argue(step)
                self.go_on([None, (100, 50, 7), (1, 2, 3)], 77)
                self.money_is_conserved()
                self.bonds_hold()
            self.system.check_storage()
        finally:
            self.system.close()

    def argue(self, step):
        """Dispute the round in every wrong way and then rightly, and rule on it in every wrong way."""
        self.dispute(1, honest=True, reasoned=True, bonded=False)  # it has withdrawn what is above its bond
        if self.terms.is_vector and self.twin.transfers is None:
            self.submit_transfers_wrongly(late=False)
            self.dispute(1, honest=True, reasoned=True, bonded=True)
            self.submit_transfers(60, other=False)
            self.submit_transfers(60, other=False)
        for honest, reasoned, bonded in ((False, True, False), (True, False, False), (True, True, False)):
            self.dispute(0, honest=honest, reasoned=reasoned, bonded=bonded)
        self.dispute(2, honest=True, reasoned=True, bonded=True)
        if self.twin.phase == DISPUTED:
            self.withdraw_the_locked_bond()
            self.resolve(SETTLE, patient=False, arbiter=False)
            self.resolve(FORFEIT + 1, patient=False, arbiter=True)
            if step % 2:
                self.resolve(FORFEIT, patient=True, arbiter=True)
                self.resolve(self.scalars.dispute_default, patient=True, arbiter=False)
            else:
                # any of the three, but the same again when the run is repeated
                self.resolve(self.twin.ledger[0] % 3, patient=False, arbiter=True)
            self.dispute(1, honest=True, reasoned=True, bonded=True)

    @invariant()
    def money_is_conserved(self):
        storage = self.previous
        assert sum(storage.payoffs) == 0  # I1
        assert sum(storage.balances) == storage.total_balance == self.deposits - self.withdrawals  # I2
        assert storage.assets >= storage.total_balance  # I3
        for balance, payoff in zip(storage.balances, storage.payoffs, strict=True):
            assert balance >= 0
            assert balance + payoff >= 0  # I4

    @invariant()
    def bonds_hold(self):
        storage = self.previous
        for index, (balance, bond) in enumerate(zip(storage.balances, self.bonds, strict=True)):
            if storage.round.phase != IDLE and storage.round.participants >> index & 1:
                assert balance >= self.must_hold(storage, index)  # I5
            accepted = storage.accepted >> index & 1
            assert (storage.solvent >> index & 1) == (accepted and balance >= bond)  # I8

    @invariant()
    def payoffs_wait_only_for_whom_a_calculated_round_settles(self):
        storage = self.previous
        for index, payoff in enumerate(storage.payoffs):
            if payoff:
                assert storage.round.phase == CALCULATED  # I7
                charged = payoff < 0 and self.absent(storage) >> index & 1
                assert charged or storage.round.submitted >> index & 1
            assert -payoff <= self.bonds[index]  # I6

    @invariant()
    def contributions_come_from_participants(self):
        storage = self.previous
        assert storage.round.submitted & ~storage.round.participants == 0


EVENTS = {
    *("Accepted", "Deposited", "Withdrawn", "ExitRequested", "ExitCancelled", "RoundOpened", "ContributionSubmitted"),
    *("ProfileRecorded", "RoundVoided", "PayoffCalculated", "PayoffTransferred", "money moved", "masked"),
    *("DisputeRaised", "DisputeResolved", "money forfeited", "ruling 0", "ruling 1", "ruling 2"),
}
REFUSALS = {
    *("UnknownMember", "NotMember", "TermsMismatch", "BondTooSmall", "NotAttester", "WrongPhase", "TooEarly"),
    *("NotEnoughMembers", "AlreadySubmitted", "CapExceeded", "InvalidSignature", "TooLate", "NoRoundsLeft"),
    *("WithdrawalExceedsBalance", "BondLocked", "AlreadyExiting", "NotExiting"),
    *("ReasonMissing", "DisputeBondTooSmall", "NotArbiter", "RulingOutOfRange", "NotDefaultRuling"),
}
VECTOR_ONLY = {
    *("TransfersSubmitted", "TransfersAlreadySubmitted", "TransfersLengthInvalid", "TransfersEvidenceMissing"),
    *("TransferOutOfRange", "TransfersUnbalanced", "TransfersMissing"),
}
"""What random calls must have met, so that the invariants were not checked on empty ground."""

DEFAULTS = ("settle", "void")
MODES = ("pairwise", "charging", "vector")
"""Charging: pairwise, and who is absent pays by its stand-in."""
CHARGING_ONLY = {"Absent", "absent charged", "silence compared"}


@pytest.fixture
def agreement(make_terms):
    """Terms of three members with disputes, for a mode and a default ruling."""

    def make(mode, default):
        pairwise = "vector" if mode == "vector" else "pairwise"
        terms = make_terms(
            COUNT, mode=pairwise, dispute_bond=BOND, dispute_default=default, quorum_bps=5_000, maximum_rounds=3
        )
        if mode == "vector":
            debits = (10**9, 0, 7 * 10**9)
            members = tuple(replace(m, max_debit=d) for m, d in zip(terms.members, debits, strict=True))
            terms = replace(terms, members=members)
        if mode == "charging":
            # the first does not reach what it owes with nothing: some of its appeals are refused
            stand_ins = ((40, 20, 3), (0, 0, 0), (90, 1, 0))
            members = tuple(replace(m, stand_in=s) for m, s in zip(terms.members, stand_ins, strict=True))
            terms = replace(terms, members=members)
        return terms

    return make


def explore(new_system, examples, steps, closing_steps=6):
    seen = Counter()
    chosen = {"new_system": staticmethod(new_system), "seen": seen, "closing_steps": closing_steps}
    machine = type("ChosenMachine", (Machine,), chosen)
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=limits)
    return seen


def missing(seen, mode, default):
    number = DEFAULTS.index(default)
    wanted = EVENTS | REFUSALS | {f"ruling {number} by default"}
    wanted |= VECTOR_ONLY if mode == "vector" else {"WrongMode", "reordered"}
    wanted |= CHARGING_ONLY if mode == "charging" else set()
    return wanted - {name for name, times in seen.items() if times}


def explore_twin(agreement, mode, default, examples, steps):
    terms = encode(agreement(mode, default))
    # what is drawn depends on the modules that are loaded (Hypothesis takes constants from them), so a rare case can
    # be missing from a short campaign; a longer one must have it
    for longer in (1, 2, 4):
        found = missing(explore(lambda: TwinSystem(terms), longer * examples, steps), mode, default)
        if not found:
            break
    assert found == set()


def explore_contract(agreement, fresh_stage, mode, default, examples, steps, closing_steps):
    with fresh_stage(agreement(mode, default)) as stage:
        for name in ("stranger", "arbiter", "attester", *(f"o{n}" for n in range(COUNT))):
            stage.backend.fund(development_account(SEED, name).address, 1 << 100)
        return explore(lambda: ContractSystem(stage), examples, steps, closing_steps)


@pytest.mark.parametrize("default", ["settle", pytest.param("void", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", MODES)
def test_property_invariants_hold_on_the_twin(mode, default, agreement):
    explore_twin(agreement, mode, default, examples=30, steps=40)


@pytest.mark.deep
@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_property_invariants_hold_on_the_twin_under_many_calls(mode, default, agreement):
    explore_twin(agreement, mode, default, examples=200, steps=60)


@pytest.mark.parametrize("mode", ["vector", *(pytest.param(mode, marks=pytest.mark.slow) for mode in MODES[:2])])
def test_property_invariants_hold_on_the_contract(mode, agreement, fresh_stage):
    seen = explore_contract(agreement, fresh_stage, mode, "settle", examples=1, steps=5, closing_steps=3)
    assert seen["DisputeResolved"] > 0
    assert len(seen) > 20


@pytest.mark.deep
@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_property_invariants_hold_on_the_contract_under_many_calls(mode, default, agreement, fresh_stage):
    seen = explore_contract(agreement, fresh_stage, mode, default, examples=8, steps=40, closing_steps=6)
    # few examples need not meet every ruling; test_equivalence.py brings each about on the contract
    assert {name for name in missing(seen, mode, default) if not name.startswith(("ruling", "money"))} == set()
