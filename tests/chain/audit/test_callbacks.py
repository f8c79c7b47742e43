"""Honest ledgers whose members call back while they are paid: whatever a recipient does meanwhile, the audit passes.

A transaction names the caller of its first call only. Payees are contracts here (``HostileMember``): one is a stranger,
one a member. While money goes to them they call whatever anyone, or a member, may call; what the contract lets pass
then is part of an honest ledger.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from web3.exceptions import ContractLogicError

from chain.audit import audit
from chain.audit.second import check_second
from chain.contract.collect import collect_record
from chain.encoding.states import CALCULATED, DISPUTED, IDLE, OPEN, RECORDED
from chain.errors.reverts import ContractError
from chain.record.calls import calls, with_known_callers
from chain.record.values import LedgerRecord

BOND = 1_000
COUNT = 4
CALLBACKS = ("PayoffCalculated", "PayoffTransferred", "ProfileRecorded", "ContributionSubmitted", "ExitRequested")


class Cast:
    """A consortium with a member that is a contract, and a stranger that is one; both call back while they are paid."""

    def __init__(self, backend: Any, deploy_mock: Any, make_stage: Any, terms: Any) -> None:
        self.backend = backend
        self.stranger, self.insider = (deploy_mock(backend, "HostileMember") for _ in range(2))
        members = (*terms.members[:-1], replace(terms.members[-1], address=self.insider.address))
        self.terms = replace(terms, members=members)
        self.stage = make_stage(backend, self.terms)
        self.contract = self.stage.contract
        self.inside = next(
            i for i, member in enumerate(self.stage.encoded.members) if member.account == self.insider.address
        )
        for each in (self.stranger, self.insider):
            each.send("configure", self.contract.address, False, [])
        for index, liability in enumerate(self.stage.encoded.liabilities):
            self.deposit(index, 6 * liability + 3 * BOND)

    def deposit(self, index: int, amount: int) -> None:
        terms_hash = self.stage.encoded.terms_hash
        if index == self.inside:
            self.backend.fund(self.insider.address, amount)
            self.insider.send("act", self.encoded("depositSubmit", index, terms_hash), amount)
        else:
            self.contract.deposit_submit(index, terms_hash, account=self.stage.accounts[index], value=amount)

    def encoded(self, function: str, *arguments: Any) -> bytes:
        return bytes.fromhex(self.contract._contract.encode_abi(function, args=list(arguments))[2:])

    def pay(self, payer: int, payee: Any, *attacks: bytes, amount: int = 0) -> int:
        """Let a member with a plain key withdraw to a payee that makes these calls; how many of them passed."""
        before = payee.ask("passed")
        payee.send("configure", self.contract.address, False, list(attacks))
        self.contract.withdraw(payer, amount, payee.address, account=self.stage.accounts[payer])
        passed: int = payee.ask("passed") - before
        return passed

    def record(self) -> LedgerRecord:
        return collect_record(
            self.contract,
            created_block=self.stage.deployed.block,
            created_transaction=self.stage.deployed.transaction,
            receipts=True,
        )

    def submit(self, index: int) -> None:
        if index == self.inside:
            self.insider.send("act", self.encoded("contributionSubmit", *self.attested(index)), 0)
        else:
            self.contract.contribution_submit(*self.attested(index), account=self.stage.accounts[index])

    def attested(self, index: int) -> tuple[Any, ...]:
        member = self.stage.encoded.members[index]
        return self.stage.attested(index, member.data_cap, member.generated_cap // (index + 1), 0)


@pytest.fixture
def cast(tester, deploy_mock, make_stage, make_terms, vector_terms):
    def begin(mode: str = "pairwise", **changes: Any) -> Cast:
        make = vector_terms if mode == "vector" else make_terms
        return Cast(tester, deploy_mock, make_stage, make(COUNT, dispute_bond=BOND, quorum_bps=5_000, **changes))

    return begin


def outsiders(cast: Cast) -> list[int]:
    return [index for index in range(COUNT) if index != cast.inside]


def statuses(record: LedgerRecord, cast: Cast) -> dict[str, str]:
    return {check.name: check.status for check in audit(record, cast.terms).checks}


def judged_honest(record: LedgerRecord, cast: Cast) -> None:
    report = audit(record, cast.terms)
    assert report.status == "PASS", [check for check in report.checks if check.status not in ("PASS", "SKIPPED")]


class TestEachCall:
    """A member with a plain key pays nothing at all to a contract, which uses the moment."""

    def test_another_members_contribution_a_record_and_an_exit(self, cast):
        played = cast()
        payer, other, *_ = outsiders(played)
        played.stage.open()
        assert played.pay(payer, played.insider, played.encoded("exitRequest", played.inside)) == 1
        for index in [*outsiders(played)[2:], payer, played.inside]:
            played.submit(index)
        played.backend.wait_until(played.contract.round().deadline - 1)
        contribution = played.encoded("contributionSubmit", *played.attested(other))
        assert played.pay(payer, played.stranger, contribution, played.encoded("profileRecord")) == 2
        assert played.contract.round().phase == RECORDED
        record = played.record()
        judged_honest(record, played)
        assert [event.name for event in record.events[-3:]] == [
            "Withdrawn",
            "ContributionSubmitted",
            "ProfileRecorded",
        ]
        assert [event.sender for event in record.events[-3:]] == [played.stage.accounts[payer].address, None, None]

    @pytest.mark.parametrize("mode", ["pairwise", "vector"])
    def test_payoffs_calculated_and_transferred(self, cast, mode):
        played = cast(mode)
        payer = outsiders(played)[0]
        played.stage.open()
        for index in range(COUNT):
            played.submit(index)
        played.stage.record()
        if mode == "vector":
            played.contract.transfers_submit(
                *played.stage.attested_transfers((5, -5, 3, -3)), account=played.stage.operator
            )
        played.backend.wait_until(played.contract.round().deadline + 1)
        calls_made = [played.encoded(name) for name in ("payoffCalculate", "payoffTransfer")]
        assert played.pay(payer, played.stranger, *calls_made, amount=1) == 2
        assert played.contract.round().phase == IDLE
        record = played.record()
        judged_honest(record, played)
        assert {event.transaction for event in record.events[-3:]} == {record.events[-1].transaction}

    def test_a_round_voided_and_the_next_bond_meanwhile(self, cast):
        played = cast()
        played.stage.open()
        played.backend.wait_until(played.contract.round().deadline + 1)
        payer = outsiders(played)[0]
        deposit = played.encoded("depositSubmit", played.inside, played.stage.encoded.terms_hash)
        assert played.pay(payer, played.insider, played.encoded("profileRecord"), deposit) == 1
        record = played.record()
        judged_honest(record, played)
        assert [event.name for event in record.events[-2:]] == ["Withdrawn", "RoundVoided"]

    def test_files_of_earlier_versions_name_the_first_caller_for_all(self, cast):
        played = cast()
        payer = outsiders(played)[0]
        played.pay(payer, played.insider, played.encoded("exitRequest", played.inside))
        record = played.record()
        first = record.events[-2]
        assert [event.name for event in record.events[-2:]] == ["Withdrawn", "ExitRequested"]
        old = replace(record, events=(*record.events[:-1], replace(record.events[-1], sender=first.sender, value=0)))
        judged_honest(old, played)
        assert list(check_second(old, record)) == list(check_second(record, old)) == []
        other = replace(record.events[-1], sender=played.stage.accounts[outsiders(played)[1]].address, value=0)
        assert statuses(replace(record, events=(*record.events[:-1], other)), played)["events"] == "FAIL"


class TestWhatCannotBe:
    """A call-out explains what follows it, and nothing else."""

    def test_a_deposit_of_ether_runs_nobodys_code(self, recorded):
        events = list(recorded.done.events)
        at = next(i for i, event in enumerate(events) if event.name == "RoundOpened")
        deposit = events[at - 1]
        assert deposit.name == "Deposited"
        moved = replace(deposit, name="RoundOpened", args=events[at].args, log_index=9, sender=None, value=None)
        tampered = replace(recorded.done, events=(*events[:at], moved, *events[at + 1 :]))
        report = audit(tampered, recorded.encoded)
        assert "one direct call cannot emit Deposited, RoundOpened" in report.checks[2].detail

    def test_a_deposit_of_a_token_may(self, record_life):
        played = record_life("pairwise", token="0x" + "70" * 20)
        events = list(played.done.events)
        at = next(i for i, event in enumerate(events) if event.name == "RoundOpened")
        deposit = events[at - 1]
        together = replace(deposit, name="RoundOpened", log_index=9, sender=None, value=None)
        deadline = {"deadline": deposit.time + played.encoded.scalars.submit_window}
        moved = replace(together, args={**events[at].args, **deadline})
        report = audit(replace(played.done, events=(*events[:at], moved, *events[at + 1 :])), played.encoded)
        assert "one direct call cannot emit" not in report.checks[2].detail

    def test_no_guarded_call_is_made_inside_another(self, recorded):
        first, second = [event for event in recorded.done.events if event.name == "Withdrawn"][-2:]
        events = list(recorded.done.events)
        inner = replace(first, args=second.args, log_index=first.log_index + 1, sender=None, value=None)
        tampered = replace(recorded.done, events=(*events[:-1], inner))
        assert "one direct call cannot emit Withdrawn, Withdrawn" in audit(tampered, recorded.encoded).checks[2].detail


def test_callers_are_known_of_the_first_call_of_each_transaction_only(recorded):
    events = recorded.done.events
    assert with_known_callers(events) == events
    withdrawn = next(event for event in events if event.name == "Withdrawn")
    inner = replace(withdrawn, name="ExitRequested", args={"index": 1}, log_index=1)
    outer, inside = calls((withdrawn, inner))
    assert (outer.sender, outer.value, outer.inside) == (withdrawn.sender, withdrawn.value, False)
    assert (inside.sender, inside.value, inside.inside) == (None, None, True)


def random_ledger(cast: Cast, rng: random.Random, steps: int, seen: Counter[str]) -> None:
    """Play random steps of a round; in between members with plain keys pay the contracts, which call back at random."""
    stage, contract, backend = cast.stage, cast.contract, cast.backend
    for _ in range(steps):
        current = contract.round()
        absent = [i for i in range(COUNT) if current.participants >> i & 1 and not current.submitted >> i & 1]
        if current.phase in (OPEN, RECORDED) and rng.random() < 0.6:
            backend.wait_until(current.deadline + rng.choice([-20, -20, 1]))
        elif current.phase == IDLE:
            backend.wait_until(current.idle_since + rng.choice([0, 1, 1]) * stage.encoded.scalars.min_gap)
        if current.phase != IDLE and rng.random() < 0.5:
            attacks = _attacks(cast, rng, current, absent)
            payer, payee = rng.choice(outsiders(cast)), rng.choice([cast.stranger, cast.insider])
            seen["called back"] += cast.pay(payer, payee, *attacks, amount=rng.choice([0, 0, 1]))
            continue
        try:
            if current.phase == IDLE:
                contract.round_open(account=stage.attester)
            elif current.phase == OPEN and absent and rng.random() < 0.7:
                cast.submit(rng.choice(absent))
            elif current.phase == OPEN:
                contract.profile_record(account=stage.operator)
            elif current.phase == RECORDED and stage.encoded.is_vector and not current.transfers_submitted:
                contract.transfers_submit(*stage.attested_transfers(_transfers(current)), account=stage.operator)
            elif current.phase == RECORDED and rng.random() < 0.3:
                index = rng.choice(outsiders(cast))
                contract.dispute_raise(index, b"\x0d" * 32, account=stage.accounts[index])
            elif current.phase == RECORDED:
                contract.payoff_calculate(account=stage.operator)
            elif current.phase == DISPUTED:
                contract.dispute_resolve(rng.choice([0, 1, 2]), account=stage.arbiter)
            elif current.phase == CALCULATED:
                contract.payoff_transfer(account=stage.operator)
        except (ContractError, ContractLogicError):
            seen["refused"] += 1


def _transfers(current: Any) -> tuple[int, ...]:
    present = [i for i in range(COUNT) if current.submitted >> i & 1]
    transfers = [0] * COUNT
    if len(present) > 1:
        transfers[present[0]], transfers[present[-1]] = -7, 7
    return tuple(transfers)


def _attacks(cast: Cast, rng: random.Random, current: Any, absent: list[int]) -> list[bytes]:
    """Calls of which some fit the phase of the round, so that many pass, in a random order."""
    encoded = cast.encoded
    fitting = {
        OPEN: [encoded("profileRecord"), *(encoded("contributionSubmit", *cast.attested(index)) for index in absent)],
        RECORDED: [encoded("payoffCalculate"), encoded("payoffTransfer")],
        DISPUTED: [encoded("disputeResolve", rng.choice([0, 1, 2])), encoded("payoffCalculate")],
        CALCULATED: [encoded("payoffTransfer"), encoded("roundOpen")],
    }[current.phase]
    if cast.stage.encoded.is_vector:
        fitting.append(encoded("transfersSubmit", *cast.stage.attested_transfers(_transfers(current))))
    own = [encoded(name, cast.inside) for name in ("exitRequest", "exitCancel")]
    own.append(encoded("disputeRaise", cast.inside, b"\x0d" * 32))
    own.append(encoded("withdraw", cast.inside, 1, cast.stranger.address))
    return [*rng.sample(fitting, k=rng.randint(1, len(fitting))), *rng.sample(own, k=rng.randint(0, 2))]


def play_random(begin: Any, seeds: range, steps: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        played = begin(rng.choice(["pairwise", "pairwise", "vector"]), maximum_rounds=9)
        random_ledger(played, rng, steps, seen)
        record = played.record()
        judged_honest(record, played)
        seen.update(call.event.name for call in calls(record.events) if call.inside)
    return seen


@pytest.mark.slow
def test_property_random_ledgers_with_members_that_call_back_pass(cast):
    seen = play_random(cast, range(3, 4), steps=30)
    assert seen["called back"] > 5


@pytest.mark.deep
@pytest.mark.parametrize("first", range(100, 300, 10))
def test_property_two_hundred_random_ledgers_with_members_that_call_back_pass(cast, first):
    seen = play_random(cast, range(first, first + 10), steps=25)
    assert sum(seen[name] > 0 for name in CALLBACKS) >= 3
    assert seen["called back"] > 30
