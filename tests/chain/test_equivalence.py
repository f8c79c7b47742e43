"""The contract and its twin, side by side: same calls at the same times, same events, errors, storage and wei."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chain.audit import audit
from chain.contract.collect import collect_record
from chain.contract.token import Token
from chain.encoding.codec import check_terms, encode
from chain.encoding.states import CALCULATED, DISPUTED, FORFEIT, IDLE, OPEN, RECORDED, SETTLE, VOID
from chain.errors.reverts import ContractError
from chain.twin.machine import Twin
from cocogen.ledger import ZERO_ADDRESS, Member

# Without shrinking: an example takes a second, and hypothesis traces every line of the virtual machine to explain one.
FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=60)

STEPS = 20
SNAKE = {
    "depositSubmit": "deposit_submit",
    "roundOpen": "round_open",
    "contributionSubmit": "contribution_submit",
    "profileRecord": "profile_record",
    "transfersSubmit": "transfers_submit",
    "disputeRaise": "dispute_raise",
    "disputeResolve": "dispute_resolve",
    "payoffCalculate": "payoff_calculate",
    "payoffTransfer": "payoff_transfer",
    "withdraw": "withdraw",
    "exitRequest": "exit_request",
    "exitCancel": "exit_cancel",
}


class Pair:
    """A contract and its twin that are given the same calls and must answer alike."""

    def __init__(self, stage, token=None, delivers=lambda _sender, amount: amount):
        self.stage = stage
        identity = {"chain_id": stage.backend.chain_id, "address": stage.contract.address}
        self.twin = Twin(stage.encoded, delivers=delivers, **identity)
        for account in stage.everyone:
            stage.backend.fund(account.address, 1 << 128)
        if token is not None:
            for account in stage.accounts:
                token.send("mint", account.address, 1 << 128)
                approved = Token(stage.backend, token.address)
                approved.approve(stage.contract.address, 1 << 128, account=account)

    def do(self, function, *arguments, account, value=0):
        """Call both; returns whether they (both) accepted."""
        time = self.stage.backend.now() + 1
        keywords = {"sender": account.address, "time": time} | ({"value": value} if function == "depositSubmit" else {})
        refusal, emitted = None, ()
        sent = arguments
        try:
            emitted = getattr(self.twin, SNAKE[function])(*arguments, **keywords)
        except ContractError as error:
            refusal = error
        if function == "depositSubmit":
            sent, value = self.stage.contract.deposit_arguments(*arguments, value)
        if refusal is not None:
            with pytest.raises(type(refusal)) as refused:
                self.stage.contract.transact(function, *sent, account=account, value=value)
            assert refused.value.values == refusal.values
            return False
        mined = self.stage.contract.transact(function, *sent, account=account, value=value)
        assert mined.time == time
        assert tuple(log.event for log in self.stage.contract.logs(mined.block, mined.block)) == emitted
        return True

    def pay(self, payee, payer, attempts):
        """Let a member withdraw nothing to a contract that calls on meanwhile; the twin makes the calls after it."""
        stage, sender = self.stage, self.stage.accounts[payer]
        data = [stage.contract._contract.encode_abi(name, args=list(arguments)) for name, arguments in attempts]
        payee.send("configure", stage.contract.address, False, [bytes.fromhex(each[2:]) for each in data])
        time = stage.backend.now() + 1
        emitted = self.twin.withdraw(payer, 0, payee.address, sender=sender.address, time=time)
        for name, arguments in attempts:
            with suppress(ContractError):
                emitted += getattr(self.twin, SNAKE[name])(*arguments, sender=payee.address, time=time)
        mined = stage.contract.withdraw(payer, 0, payee.address, account=sender)
        assert mined.time == time
        assert tuple(log.event for log in stage.contract.logs(mined.block, mined.block)) == emitted

    def assert_honest(self):
        """Whoever called the contract from where: the audit of the ledger has nothing to object to."""
        deployed = self.stage.deployed
        origin = {"created_block": deployed.block, "created_transaction": deployed.transaction}
        report = audit(collect_record(self.stage.contract, **origin), self.stage.encoded)
        assert report.status == "PASS", [check for check in report.checks if check.status == "FAIL"]

    def assert_same_storage(self):
        record = collect_record(self.stage.contract, created_block=self.stage.deployed.block, created_transaction=None)
        assert record.storage == self.twin.storage(block=record.storage.block)
        assert record.terms_blob == self.stage.encoded.blob
        assert record.stand_ins_blob == self.stage.encoded.stand_ins_blob

    def go_on(self, silent):
        """Take the next step that brings the round forward, leaving out the members in ``silent``."""
        stage, twin = self.stage, self.twin
        if twin.phase == IDLE:
            stage.backend.wait_until(twin.idle_since + stage.encoded.scalars.min_gap if twin.number else 0)
            self.do("roundOpen", account=stage.attester)
        elif twin.phase == OPEN:
            missing = [i for i in range(len(stage.accounts)) if twin.participants & ~twin.submitted & ~silent & 1 << i]
            if missing:
                member = stage.encoded.members[missing[0]]
                parts = (member.data_cap, member.generated_cap // 3, member.compute_cap // 2)
                account = stage.accounts[missing[0]]
                self.do("contributionSubmit", *stage.attested(missing[0], *parts), account=account)
            else:
                if twin.participants != twin.submitted:
                    stage.backend.wait_until(twin.deadline + 1)
                self.do("profileRecord", account=stage.operator)
        elif twin.phase == RECORDED and stage.encoded.is_vector and twin.transfers is None and not silent & 1:
            self.do("transfersSubmit", *stage.attested_transfers(self.even_transfers()), account=stage.operator)
        elif twin.phase == RECORDED:
            stage.backend.wait_until(twin.deadline + 1)
            self.do("payoffCalculate", account=stage.operator)
        elif twin.phase == DISPUTED:
            self.do("disputeResolve", silent % 3, account=stage.arbiter)
        elif twin.phase == CALCULATED:
            self.do("payoffTransfer", account=stage.operator)

    def even_transfers(self):
        """The first contributor pays half of its bond to the last one."""
        present = [i for i in range(len(self.stage.accounts)) if self.twin.submitted >> i & 1]
        transfers = [0] * len(self.stage.accounts)
        if present:
            amount = self.stage.encoded.liabilities[present[0]] // 2
            transfers[present[0]] -= amount
            transfers[present[-1]] += amount
        return tuple(transfers)


def _floats(low, high):
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def agreements(draw, base, token=ZERO_ADDRESS):
    """Terms around ``base`` that the contract accepts: any number of members, weights, offsets and caps."""
    count, mode = draw(st.integers(2, 5)), draw(st.sampled_from(["pairwise", "pairwise", "vector"]))
    members = tuple(
        Member(
            name=member.name,
            address=member.address,
            data_cap=draw(st.integers(0, 10**6)),
            generated_cap=draw(st.sampled_from([0, 1, 10**5, (1 << 64) - 1]) if draw(st.booleans()) else st.just(300)),
            compute_cap=draw(st.integers(0, 50)),
            score_weight=draw(_floats(0, 4)),
            score_offset=draw(_floats(-1e6, 1e6)),
            max_debit=draw(st.integers(0, 10**20)) if mode == "vector" else 0,
        )
        for member in base(count).members
    )
    if mode == "pairwise" and draw(st.booleans()):
        members = tuple(
            replace(
                m, stand_in=tuple(draw(st.integers(0, cap)) for cap in (m.data_cap, m.generated_cap, m.compute_cap))
            )
            for m in members
        )
    competition = tuple(tuple(0.0 if i == j else draw(_floats(0, 1)) for j in range(count)) for i in range(count))
    return replace(
        base(count),
        members=members,
        competition=competition,
        incentive=draw(_floats(0, 5)),
        wei_per_unit=draw(st.sampled_from([1, 10**9, 10**15])),
        generated_weight=draw(_floats(0, 2)),
        compute_weight=draw(_floats(0, 100)),
        quorum_bps=draw(st.sampled_from([1, 5_000, 8_000, 10_000])),
        maximum_rounds=draw(st.integers(1, 3)),
        mode=mode,
        token=token,
        dispute_bond=draw(st.sampled_from([0, 1, 10**15])),
        dispute_default=draw(st.sampled_from(["settle", "void"])),
    )


def _meddle(data, pair):
    """One call that nobody asked for: often refused, sometimes not."""
    stage, twin = pair.stage, pair.twin
    count = len(stage.accounts)
    index = data.draw(st.integers(0, count))
    account = data.draw(st.sampled_from(stage.everyone))
    own = stage.accounts[index] if index < count and data.draw(st.booleans()) else account
    liability = stage.encoded.liabilities[index] if index < count else 7
    balance = twin.balances[index] if index < count else 7
    amounts = st.sampled_from(
        [0, 1, max(0, liability - 1), liability, balance, max(0, balance - liability), balance + 1]
    )
    function = data.draw(st.sampled_from([*SNAKE, "wait"]))
    if function == "depositSubmit":
        terms_hash = data.draw(st.sampled_from([stage.encoded.terms_hash] * 3 + [bytes(32)]))
        value = data.draw(st.one_of(amounts, st.sampled_from([(1 << 127) - 1, 1 << 127])))
        pair.do(function, index, terms_hash, account=own, value=value)
    elif function == "contributionSubmit":
        caps = stage.encoded.members[min(index, count - 1)]
        limits = (caps.data_cap, caps.generated_cap, caps.compute_cap)
        parts = [data.draw(st.sampled_from([0, cap // 2, cap, min(cap + 1, (1 << 64) - 1)])) for cap in limits]
        arguments = list(stage.attested(min(index, count - 1), *parts))
        arguments[0] = index
        if data.draw(st.integers(0, 5)) == 0:
            arguments[4] = bytes(32)
        pair.do(function, *arguments, account=own)
    elif function == "withdraw":
        payees = [own.address, stage.contract.address, "0x" + "00" * 20, "0x" + "5a" * 20]
        pair.do(function, index, data.draw(amounts), data.draw(st.sampled_from(payees)), account=own)
    elif function in ("exitRequest", "exitCancel"):
        pair.do(function, index, account=own)
    elif function == "disputeRaise":
        pair.do(function, index, data.draw(st.sampled_from([b"\x0d" * 32] * 3 + [bytes(32)])), account=own)
    elif function == "disputeResolve":
        pair.do(function, data.draw(st.sampled_from([SETTLE, VOID, FORFEIT, 3])), account=account)
    elif function == "transfersSubmit":
        transfers = data.draw(st.sampled_from([pair.even_transfers(), (1, *pair.even_transfers()[1:]), (0,)]))
        signer = data.draw(st.sampled_from([stage.attester] * 3 + [account]))
        pair.do(function, *stage.attested_transfers(transfers, signer=signer), account=account)
    elif function == "wait":
        marks = [twin.deadline - 1, twin.deadline, twin.deadline + 1, twin.relay_from - 1, twin.relay_from]
        stage.backend.wait_until(data.draw(st.sampled_from([*marks, twin.idle_since + stage.encoded.scalars.min_gap])))
    else:
        pair.do(function, account=account)


def _call_back(data, pair, payee):
    """A member pays a contract, which calls on for whatever anyone may: often refused, sometimes not."""
    stage = pair.stage
    index = data.draw(st.integers(0, len(stage.accounts) - 1))
    caps = stage.encoded.members[index]
    parts = [data.draw(st.sampled_from([0, cap])) for cap in (caps.data_cap, caps.generated_cap, caps.compute_cap)]
    calls = [
        *((name, ()) for name in ("profileRecord", "payoffCalculate", "payoffTransfer", "roundOpen")),
        ("contributionSubmit", stage.attested(index, *parts)),
        ("disputeResolve", (data.draw(st.sampled_from([SETTLE, VOID, FORFEIT])),)),
        ("exitRequest", (index,)),
    ]
    attempts = data.draw(st.lists(st.sampled_from(calls), min_size=1, max_size=4))
    pair.pay(payee, data.draw(st.integers(0, len(stage.accounts) - 1)), attempts)


def _compare(data, fresh_stage, make_terms, deploy_mock, token=None):
    terms = data.draw(agreements(make_terms, ZERO_ADDRESS if token is None else token.address))
    refusal = None
    try:
        check_terms(encode(terms))
    except ContractError as error:
        refusal = error
    if refusal is not None:
        with pytest.raises(type(refusal)) as refused, fresh_stage(terms):
            pass
        assert refused.value.values == refusal.values
        return
    with fresh_stage(terms) as stage:
        pair = Pair(stage, token)
        for index, account in enumerate(stage.accounts):
            rounds = data.draw(st.integers(0, 3))
            value = rounds * stage.encoded.liabilities[index]
            pair.do("depositSubmit", index, stage.encoded.terms_hash, account=account, value=value)
        silent = data.draw(st.integers(0, 31))
        payee = deploy_mock(stage.backend, "HostileMember")
        # a plain token tells nobody that it has been paid, so nobody calls back
        choices = st.integers(0, 3 if token is None else 2)
        for _ in range(STEPS):
            choice = data.draw(choices)
            if choice == 3:
                _call_back(data, pair, payee)
            elif choice:
                pair.go_on(silent)
            else:
                _meddle(data, pair)
        pair.assert_same_storage()
        pair.assert_honest()


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_property_contract_and_twin_answer_alike(data, fresh_stage, make_terms, deploy_mock):
    _compare(data, fresh_stage, make_terms, deploy_mock)


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_property_contract_and_twin_answer_alike_in_a_token(data, fresh_stage, make_terms, deploy_mock, tester_token):
    _compare(data, fresh_stage, make_terms, deploy_mock, tester_token)


@pytest.mark.deep
@MANY
@given(data=st.data())
def test_property_contract_and_twin_answer_alike_in_many_rounds(data, fresh_stage, make_terms, deploy_mock):
    _compare(data, fresh_stage, make_terms, deploy_mock)


@pytest.mark.deep
@MANY
@given(data=st.data())
def test_property_contract_and_twin_answer_alike_in_a_token_in_many_rounds(
    data, fresh_stage, make_terms, deploy_mock, tester_token
):
    _compare(data, fresh_stage, make_terms, deploy_mock, tester_token)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [12, pytest.param(200, marks=pytest.mark.deep)])
def test_random_rounds_pay_the_same_wei_on_every_backend(shared_backend, make_terms, stage_on, rounds):
    rng = random.Random(23)
    terms = make_terms(3, maximum_rounds=400, quorum_bps=1, minimum_members=2, submit_window=1_000)
    members = tuple(replace(m, stand_in=(m.data_cap // 2, m.generated_cap // 3, 1)) for m in terms.members)
    terms = replace(terms, members=members)
    with stage_on(shared_backend, terms) as stage:
        twin = Twin(stage.encoded, chain_id=shared_backend.chain_id, address=stage.contract.address)

        def both(function, *arguments, account, value=0):
            mined = stage.contract.transact(function, *arguments, account=account, value=value)
            keywords = {"sender": account.address, "time": mined.time} | ({"value": value} if value else {})
            emitted = getattr(twin, SNAKE[function])(*arguments, **keywords)
            assert tuple(log.event for log in stage.contract.logs(mined.block, mined.block)) == emitted

        for index, account in enumerate(stage.accounts):
            bond = 400 * stage.encoded.liabilities[index]
            shared_backend.fund(account.address, 2 * bond)
            both("depositSubmit", index, stage.encoded.terms_hash, account=account, value=bond)
        settled = paid = charged = 0
        while settled < rounds:
            shared_backend.wait_until(twin.idle_since + stage.encoded.scalars.min_gap if twin.number else 0)
            both("roundOpen", account=stage.attester)
            for index in (index for index in range(3) if rng.random() < 0.9):
                member = stage.encoded.members[index]
                parts = [rng.randint(0, cap) for cap in (member.data_cap, member.generated_cap, member.compute_cap)]
                both("contributionSubmit", *stage.attested(index, *parts), account=stage.accounts[index])
            if twin.participants != twin.submitted:
                shared_backend.wait_until(twin.deadline + 1)
            both("profileRecord", account=stage.operator)
            if twin.phase == IDLE:
                continue
            shared_backend.wait_until(twin.deadline + 1)
            both("payoffCalculate", account=stage.operator)
            assert stage.contract.payoffs() == tuple(twin.payoffs)
            paid += any(twin.payoffs)
            charged += any(twin.payoffs[i] for i in range(3) if twin.absent >> i & 1)
            both("payoffTransfer", account=stage.operator)
            settled += 1
        assert paid > 0.75 * rounds
        assert charged > 0.1 * rounds
        record = collect_record(stage.contract, created_block=stage.deployed.block, created_transaction=None)
        assert record.storage == twin.storage(block=record.storage.block)


@pytest.mark.every_ledger
def test_absent_members_are_charged_and_appeal_alike_on_every_backend(shared_backend, make_terms, stage_on):
    terms = make_terms(4, dispute_bond=1_000, quorum_bps=1)
    members = tuple(replace(m, stand_in=(m.data_cap // 3, m.generated_cap // 3, 1)) for m in terms.members)
    with stage_on(shared_backend, replace(terms, members=members)) as stage:
        pair, account = Pair(stage), stage.accounts[3]
        for index, owner in enumerate(stage.accounts):
            value = stage.encoded.liabilities[index] * 2
            assert pair.do("depositSubmit", index, stage.encoded.terms_hash, account=owner, value=value)
        for _ in range(1 + 2 + 1):
            pair.go_on(silent=0b1010)
        assert pair.twin.phase == RECORDED
        assert pair.twin.absent == 0b1010
        # with its bond alone a contributor cannot dispute, and an absent member can
        for index in (3, 0):
            spare = stage.encoded.liabilities[index]
            payee = stage.accounts[index].address
            assert pair.do("withdraw", index, spare, payee, account=stage.accounts[index])
        assert not pair.do("disputeRaise", 0, b"\x0d" * 32, account=stage.accounts[0])
        assert pair.do("disputeRaise", 3, b"\x0d" * 32, account=account)
        assert not pair.do("withdraw", 3, 1, account.address, account=account)
        assert pair.do("disputeResolve", FORFEIT, account=stage.arbiter)
        pair.assert_same_storage()
        assert not pair.twin.solvent >> 3 & 1
        assert not pair.do("withdraw", 3, 1, account.address, account=account)
        assert pair.do("payoffCalculate", account=stage.operator)
        assert stage.contract.payoffs() == tuple(pair.twin.payoffs)
        assert all(pair.twin.payoffs[index] < 0 for index in (1, 3))
        assert pair.do("payoffTransfer", account=stage.operator)
        pair.assert_same_storage()


DISPUTES = [
    ("settle", 0, False),
    ("void", 1, False),
    ("forfeit", 2, False),
    ("silent arbiter, default settle", 0, True),
    ("silent arbiter, default void", 1, True),
]
EVERYDAY = {"pairwise": ("void", "silent arbiter, default settle"), "vector": ()}
SLOW = {"pairwise": ("settle", "forfeit", "silent arbiter, default void"), "vector": ("forfeit", "void")}


def _dispute(mode, dispute):
    what = dispute[0]
    marks = [] if what in EVERYDAY[mode] else pytest.mark.slow if what in SLOW[mode] else pytest.mark.deep
    return pytest.param(*dispute, mode, id=f"{mode}-{what}", marks=marks)


@pytest.mark.parametrize(
    ("what", "ruling", "silent", "mode"),
    [_dispute(mode, dispute) for mode in ("pairwise", "vector") for dispute in DISPUTES],
)
def test_disputed_round_ends_alike(what, ruling, silent, mode, fresh_stage, make_terms, vector_terms):
    make = vector_terms if mode == "vector" else make_terms
    terms = make(4, dispute_bond=1_000, dispute_default="void" if ruling == 1 else "settle", quorum_bps=1)
    with fresh_stage(terms) as stage:
        pair = Pair(stage)
        for index, account in enumerate(stage.accounts):
            value = stage.encoded.liabilities[index] + 1_000
            assert pair.do("depositSubmit", index, stage.encoded.terms_hash, account=account, value=value)
        for _ in range(4 + 1 + (mode == "vector")):
            pair.go_on(silent=0b1000)
        assert pair.twin.phase == RECORDED
        assert pair.do("disputeRaise", 1, b"\x0d" * 32, account=stage.accounts[1])
        pair.assert_same_storage()
        if silent:
            stage.backend.wait_until(pair.twin.deadline)
            assert not pair.do("disputeResolve", ruling, account=stage.operator)
            stage.backend.wait_until(pair.twin.deadline + 1)
        rules = stage.operator if silent else stage.arbiter
        assert pair.do("disputeResolve", ruling, account=rules)
        pair.assert_same_storage()
        if ruling == 1:
            assert pair.twin.phase == IDLE
            return
        assert pair.do("payoffCalculate", account=stage.operator)
        assert pair.do("payoffTransfer", account=stage.operator)
        pair.assert_same_storage()
        assert (pair.twin.number, pair.twin.phase) == (1, IDLE)


TOKENS = [
    ("SilentToken", (), lambda _sender, amount: amount),
    ("FeeToken", (1,), lambda _sender, amount: amount - 1),
    ("FeeToken", (-1,), lambda _sender, amount: amount + 1),
    ("FailingToken", (), lambda _sender, _amount: None),
]


@pytest.mark.parametrize(("name", "arguments", "delivers"), TOKENS)
def test_odd_token_is_taken_or_refused_alike(name, arguments, delivers, tester, deploy_mock, make_terms, make_stage):
    token = deploy_mock(tester, name, *arguments)
    stage = make_stage(tester, make_terms(2, token=token.address))
    pair = Pair(stage, token, delivers)
    if name == "FailingToken":
        token.send("set", 1)
    liability = stage.encoded.liabilities[0]
    deposit = (0, stage.encoded.terms_hash)
    taken = pair.do("depositSubmit", *deposit, account=stage.accounts[0], value=liability)
    assert taken == (name == "SilentToken")
    if name == "FailingToken":
        token.send("set", 2)
        assert not pair.do("depositSubmit", *deposit, account=stage.accounts[0], value=liability)
    if taken:
        assert pair.do("withdraw", 0, liability, stage.accounts[1].address, account=stage.accounts[0])
        assert token.ask("balanceOf", stage.accounts[1].address) == (1 << 128) + liability
        pair.assert_same_storage()


@pytest.mark.parametrize(
    "count",
    [2, pytest.param(13, marks=pytest.mark.slow), *(pytest.param(n, marks=pytest.mark.deep) for n in (40, 120))],
)
def test_round_with_a_masked_member_settles_alike_at_every_size(count, fresh_stage, make_terms):
    with fresh_stage(make_terms(count, quorum_bps=1, submit_window=1_000)) as stage:
        pair = Pair(stage)
        for index, account in enumerate(stage.accounts):
            value = 2 * stage.encoded.liabilities[index]
            assert pair.do("depositSubmit", index, stage.encoded.terms_hash, account=account, value=value)
        for _ in range(count + 3):
            pair.go_on(silent=0b10)
        assert (pair.twin.number, pair.twin.phase) == (1, IDLE)
        pair.assert_same_storage()
        assert pair.twin.ledger == bytes(stage.contract.view("ledger")) != bytes(32)


def _settle_golden(stage, contributions):
    """Hand in the contributions (organization order) and return the payoffs in organization order."""
    encoded = stage.encoded
    for index in range(len(stage.accounts)):
        value = encoded.liabilities[index]
        stage.contract.deposit_submit(index, encoded.terms_hash, account=stage.accounts[index], value=value)
    stage.open()
    for organization, parts in enumerate(contributions):
        if parts is not None:
            index = encoded.positions[organization]
            stage.contract.contribution_submit(*stage.attested(index, *parts), account=stage.accounts[index])
    if None in contributions:
        stage.backend.wait_until(stage.contract.round().deadline + 1)
    stage.record()
    stage.calculate()
    payoffs = stage.contract.payoffs()
    stage.transfer()
    return [payoffs[position] for position in encoded.positions]


def _golden(number, kind, fresh_stage, golden_settlements):
    terms, expected = golden_settlements[number]
    prefix = "masked_" if kind == "masked" else ""
    with fresh_stage(replace(terms, quorum_bps=1), seed=number) as stage:
        liabilities = [stage.contract.members[position].liability for position in stage.encoded.positions]
        assert liabilities == [int(bond) for bond in expected["liabilities"]]
        payoffs = _settle_golden(stage, expected[f"{prefix}contributions"])
        assert payoffs == [int(payoff) for payoff in expected[f"{prefix}payoffs"]]


@pytest.mark.parametrize(("number", "kind"), [(0, "masked"), (1, "full")])
def test_contract_pays_the_golden_transfers(number, kind, fresh_stage, golden_settlements):
    _golden(number, kind, fresh_stage, golden_settlements)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        pytest.param(number, kind, marks=[] if (number % 6, kind) in ((0, "full"), (3, "masked")) else pytest.mark.deep)
        for number in range(12)
        for kind in ("full", "masked")
    ],
)
def test_contract_pays_every_golden_transfer(number, kind, fresh_stage, golden_settlements):
    _golden(number, kind, fresh_stage, golden_settlements)
