"""Twin and contract, wei for wei, over thousands of random rounds: the contract runs in a native EVM (revm).

No chain, no keys but the attester's, no transactions: calls go straight into the virtual machine, about a hundred times
as fast as through a node. Terms are random integers, extreme ones included; so are bonds, contributions, masks,
disputes, rulings and signed transfers, in ether and in a token. Who is absent is masked, or pays as planned, or by all
of its data.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from eth_abi import decode as abi_decode
from eth_abi import encode as abi_encode

from chain.abi import checksum_address, keccak256
from chain.artifacts import CONTRACTS, load_artifact
from chain.encoding.kernel import PAIR_WEIGHT_MAX
from chain.encoding.signatures import address_of, sign, transfers_hash
from chain.encoding.states import CALCULATED, FORFEIT, IDLE, RECORDED, SETTLE, VOID
from chain.encoding.terms import EncodedMember, EncodedTerms, ScalarTerms, check_terms
from chain.errors.reverts import ContractError, decode_revert
from chain.keys.keystores import development_key
from chain.twin.machine import Twin

pyrevm = pytest.importorskip("pyrevm")

MOCKS = Path(__file__).resolve().parents[2] / "fixtures" / "mocks.json"
KEY = development_key(7, "attester")
ATTESTER, ARBITER, STRANGER = address_of(KEY), checksum_address("0x" + "ab" * 20), checksum_address("0x" + "57" * 20)
ARBITER = checksum_address(ARBITER)
ZERO = "0x" + "00" * 20
EVIDENCE = b"\x05" * 32
RICH = 1 << 200
CALL_GAS = 30_000_000
T0 = 1_700_000_000
UINT64 = (1 << 64) - 1


@cache
def signature_of(name):
    """(selector, argument types, result types) of a contract function, the tuples spelled out."""
    for artifact in map(load_artifact, CONTRACTS):
        for entry in artifact.abi:
            if entry["type"] == "function" and entry["name"] == name:
                inputs, outputs = ([_type(p) for p in entry[side]] for side in ("inputs", "outputs"))
                return keccak256(f"{name}({','.join(inputs)})".encode())[:4], inputs, outputs
    raise AssertionError(name)


def _type(parameter):
    if parameter["type"].startswith("tuple"):
        return "(" + ",".join(_type(part) for part in parameter["components"]) + ")"
    return parameter["type"]


class Refused(Exception):
    """The contract reverted; ``error`` is the typed error."""

    def __init__(self, error):
        self.error = error


class Machine:
    """A virtual machine with one consortium in it."""

    def __init__(self, terms):
        self.evm = pyrevm.EVM(spec_id="SHANGHAI")
        self.time = T0
        self.token = None
        for account in (ATTESTER, ARBITER, STRANGER, *(member.account for member in terms.members)):
            self.evm.set_balance(account, RICH)
        artifact = load_artifact(terms.contract_name)
        if terms.scalars.token != ZERO:
            # the token stands where the terms say: its code is put there, not deployed
            self.token = terms.scalars.token
            self.evm.insert_account_info(self.token, pyrevm.AccountInfo(code=_token_code()))
        scalar_types = signature_of("terms")[2]
        packed = [terms.records, terms.triangle, terms.packed_stand_ins, terms.scalars.values]
        arguments = abi_encode(["bytes", "bytes", "bytes", *scalar_types], packed)
        self.in_ether = self.token is None
        self.address = self._run(lambda: self.evm.deploy(STRANGER, artifact.bytecode + arguments, gas=CALL_GAS))
        if self.token is not None:
            for member in terms.members:
                self._token(STRANGER, "mint(address,uint256)", member.account, 1 << 127)
                self._token(member.account, "approve(address,uint256)", self.address, 1 << 255)

    def call(self, function, *arguments, sender, value=0):
        if function == "depositSubmit":
            selector, types = _deposit(self.in_ether)
            arguments = arguments if self.in_ether else (*arguments, value)
            value = value if self.in_ether else 0
        else:
            selector, types, _ = signature_of(function)
        self.evm.set_block_env(pyrevm.BlockEnv(timestamp=self.time))
        data = selector + abi_encode(types, arguments)
        self._run(lambda: self.evm.message_call(sender, self.address, data, value=value, gas=CALL_GAS))

    def view(self, function, *arguments):
        selector, types, results = signature_of(function)
        data = selector + abi_encode(types, arguments)
        answer = self.evm.message_call(STRANGER, self.address, data, gas=CALL_GAS, is_static=True)
        return abi_decode(results, bytes(answer))[0]

    def held(self):
        if self.in_ether:
            return self.evm.get_balance(self.address)
        return int.from_bytes(self._token(STRANGER, "balanceOf(address)", self.address), "big")

    def _token(self, sender, function, *arguments):
        types = function[function.index("(") + 1 : -1].split(",")
        data = keccak256(function.encode())[:4] + abi_encode(types, arguments)
        return bytes(self.evm.message_call(sender, self.token, data, gas=CALL_GAS))

    def _run(self, action):
        try:
            return action()
        except RuntimeError as failure:
            # pyrevm gives the revert data in its message only
            data = bytes.fromhex(re.search(r"output: 0x([0-9a-f]*)", str(failure)).group(1))
            error = decode_revert(data)
            assert error is not None, data.hex()
            raise Refused(error) from None


@cache
def _deposit(in_ether):
    types = ["uint256", "bytes32"] if in_ether else ["uint256", "bytes32", "uint256"]
    return keccak256(f"depositSubmit({','.join(types)})".encode())[:4], types


@cache
def _token_code():
    evm = pyrevm.EVM(spec_id="SHANGHAI")
    evm.set_balance(STRANGER, RICH)
    creation = bytes.fromhex(json.loads(MOCKS.read_text())["Token"]["bytecode"][2:])
    return bytes(evm.get_code(evm.deploy(STRANGER, creation, gas=CALL_GAS)))


def random_terms(rng):
    count = rng.choice([*range(2, 13)] * 12 + [30, 60, 120])
    vector = rng.random() < 0.3
    accounts = sorted({rng.getrandbits(159) + 1 for _ in range(count)})
    scale = rng.choice([10, 10**6, 10**12, UINT64])
    members = []
    for account in accounts:
        caps = [rng.choice([0, rng.randint(0, scale), scale]) for _ in range(3)]
        weight = 0 if vector else rng.choice([0, 1, 10**9, rng.randint(0, 4 * 10**9)])
        offset = rng.randint(0, 10**20) if vector else rng.choice([0, rng.randint(-(10**24), 10**24)])
        members.append(EncodedMember(checksum_address(account.to_bytes(20, "big")), *caps, weight, offset))
    weights = [[0] * len(members) for _ in members]
    for i in range(0 if vector else len(members)):
        for j in range(i):
            weights[i][j] = weights[j][i] = rng.choice([0, PAIR_WEIGHT_MAX, rng.randint(0, PAIR_WEIGHT_MAX)])
    scalars = ScalarTerms(
        gamma_wad=0 if vector else rng.choice([0, 1, rng.randint(0, 10**18), rng.randint(0, 10**34), (1 << 160) - 1]),
        generated_weight_wad=rng.choice([0, 10**18, rng.randint(0, 2 * 10**18)]),
        lambda_wad=rng.choice([0, rng.randint(0, 10**20)]),
        attester=ATTESTER,
        arbiter=ARBITER,
        token=rng.choice([ZERO, checksum_address("0x" + "70" * 20)]),
        submit_window=100,
        dispute_window=50,
        arbiter_window=60,
        min_gap=40,
        quorum=rng.choice([1, 5_000, 9_000]),
        min_members=2,
        max_rounds=10,
        dispute_bond=rng.choice([0, 1, rng.randint(0, 10**20)]),
        dispute_default=rng.randint(0, 1),
        test=True,
        mode=int(vector),
        document_hash=b"\x01" * 32,
    )
    positions = tuple(range(len(members)))
    terms = EncodedTerms(
        tuple(members), tuple(map(tuple, weights)), scalars, positions, tuple(f"o{n}" for n in positions), 1
    )
    return replace(terms, stand_ins=random_stand_ins(terms, rng))


def random_stand_ins(terms, rng):
    """None (masked), a plan within the caps, or all of the data and nothing else; now and then what no caps allow."""
    rule = "masked" if terms.is_vector else rng.choice(["planned", "planned", "least", "masked"])
    scores = []
    for index, member in enumerate(terms.members if rule != "masked" else ()):
        generated, compute = (rng.randint(0, cap) for cap in (member.generated_cap, member.compute_cap))
        parts = (member.data_cap, 0, 0) if rule == "least" else (rng.randint(0, member.data_cap), generated, compute)
        score = terms.score(index, *parts)
        if rng.random() < 0.002:
            score = rng.choice([member.offset - 1, terms.largest_scores[index] + 1])
        scores.append(min(max(score, -(1 << 127)), (1 << 127) - 1))
    return tuple(scores[:-1] if rng.random() < 0.01 else scores)


class Pair:
    """The contract in its machine, and its twin."""

    def __init__(self, terms, rng):
        self.rng = rng
        self.terms = terms
        self.machine = Machine(terms)
        self.twin = Twin(terms, chain_id=1, address=self.machine.address)
        self.count = len(terms.members)
        counted = ("disputes", "appeals", "voids", "masked", "charged", "moved", "refused", "settled")
        self.seen = dict.fromkeys(counted, 0)

    def both(self, function, snake, *arguments, sender, value=None):
        """Call both; they must accept, or refuse with the same values. Returns the twin's events."""
        paid = {} if value is None else {"value": value}
        try:
            events = getattr(self.twin, snake)(*arguments, sender=sender, time=self.machine.time, **paid)
        except ContractError as error:
            refusal = error
        else:
            self.machine.call(function, *arguments, sender=sender, **paid)
            self.machine.time += 1
            return events
        with pytest.raises(Refused) as caught:
            self.machine.call(function, *arguments, sender=sender, **paid)
        assert (type(caught.value.error), caught.value.error.values) == (type(refusal), refusal.values)
        self.seen["refused"] += 1
        return ()

    def bond(self):
        """Bring everybody to the liability, mostly, and some beyond it."""
        for index, liability in enumerate(self.terms.liabilities):
            extra = self.rng.choice([0, 1, self.terms.scalars.dispute_bond, 2 * liability])
            due = max(0, liability + extra - self.twin.balances[index])
            if due or not self.twin.accepted >> index & 1:
                if self.rng.random() < 0.02:
                    due //= 2
                sender = self.terms.members[index].account
                arguments = (index, self.terms.terms_hash)
                self.both("depositSubmit", "deposit_submit", *arguments, sender=sender, value=due)

    def contribute(self):
        mask = self.rng.random() < 0.5
        for index, member in enumerate(self.terms.members):
            if mask and self.rng.random() < 0.3:
                self.seen["masked"] += 1
                continue
            caps = (member.data_cap, member.generated_cap, member.compute_cap)
            parts = [self.rng.choice([0, cap, self.rng.randint(0, cap)]) for cap in caps]
            signature = sign(self.twin.contribution_digest(index, *parts, EVIDENCE), KEY)
            arguments = (index, *parts, EVIDENCE, signature)
            self.both("contributionSubmit", "contribution_submit", *arguments, sender=member.account)

    def sign_transfers(self):
        present = [i for i in range(self.count) if self.twin.submitted >> i & 1]
        transfers = [0] * self.count
        for payer in present[:-1]:
            amount = self.rng.choice(
                [0, self.terms.liabilities[payer], self.rng.randint(0, self.terms.liabilities[payer])]
            )
            transfers[payer] -= amount
            transfers[self.rng.choice(present)] += amount
        if self.rng.random() < 0.05:
            transfers[self.rng.randrange(self.count)] += self.rng.choice([-1, 1])
        signature = sign(self.twin.transfers_digest(transfers_hash(transfers), EVIDENCE), KEY)
        arguments = (tuple(transfers), EVIDENCE, signature)
        self.both("transfersSubmit", "transfers_submit", *arguments, sender=STRANGER)

    def dispute(self):
        index, rng = self.rng.randrange(self.count), self.rng
        reason = b"\x0d" * 32
        if not self.both("disputeRaise", "dispute_raise", index, reason, sender=self.terms.members[index].account):
            return
        self.seen["disputes"] += 1
        if self.twin.absent >> index & 1:
            self.seen["appeals"] += 1
            self.withdraw(index)
        if rng.random() < 0.3:
            self.machine.time = self.twin.deadline + 1
        ruling = rng.choice([SETTLE, VOID, FORFEIT])
        resolve = ("disputeResolve", "dispute_resolve")
        if not self.both(*resolve, ruling, sender=rng.choice([ARBITER, ARBITER, STRANGER])):
            self.machine.time = max(self.machine.time, self.twin.deadline + 1)
            assert self.both(*resolve, self.terms.scalars.dispute_default, sender=STRANGER)

    def withdraw(self, index):
        """Try to take out what a dispute leaves free, and a wei more."""
        sender, free = self.terms.members[index].account, self.twin.withdrawable(index)
        self.both("withdraw", "withdraw", index, free + 1, sender, sender=sender)
        self.both("withdraw", "withdraw", index, free, sender, sender=sender)

    def round(self):
        """One round from bonds to Idle; returns whether one was opened."""
        twin, machine = self.twin, self.machine
        self.bond()
        machine.time = max(machine.time, twin.idle_since + self.terms.scalars.min_gap)
        if not self.both("roundOpen", "round_open", sender=ATTESTER):
            return False
        self.contribute()
        machine.time = max(machine.time, twin.deadline + 1) if twin.participants != twin.submitted else machine.time
        self.both("profileRecord", "profile_record", sender=STRANGER)
        if twin.phase == RECORDED and self.terms.is_vector and self.rng.random() < 0.95:
            self.sign_transfers()
        if twin.phase == RECORDED and self.rng.random() < 0.4:
            self.dispute()
        if twin.phase == RECORDED:
            machine.time = max(machine.time, twin.deadline + 1)
            self.both("payoffCalculate", "payoff_calculate", sender=STRANGER)
            self.seen["charged"] += bool(twin.absent)
        if twin.phase == CALCULATED:
            payoffs = tuple(machine.view("payoffOf", index) for index in range(self.count))
            assert payoffs == tuple(twin.payoffs)
            self.seen["moved"] += any(payoffs)
            self.both("payoffTransfer", "payoff_transfer", sender=STRANGER)
            self.seen["settled"] += 1
        else:
            self.seen["voids"] += 1
        assert twin.phase == IDLE
        self.compare()
        return True

    def compare(self):
        machine, twin = self.machine, self.twin
        assert [machine.view("balanceOf", index) for index in range(self.count)] == twin.balances
        assert machine.view("ledger") == twin.ledger
        assert machine.view("solvent") == twin.solvent
        assert machine.held() == machine.view("totalBalance") == twin.total_balance == sum(twin.balances)


def explore(seed, rounds):
    """Play ``rounds`` random rounds, ten at most under the same terms; returns what happened how often."""
    rng, seen, played = random.Random(seed), {}, 0
    while played < rounds:
        terms, refusal = random_terms(rng), None
        try:
            check_terms(terms)
        except ContractError as error:
            refusal = error
        if refusal is not None:
            with pytest.raises(Refused) as caught:
                Machine(terms)
            assert (type(caught.value.error), caught.value.error.values) == (type(refusal), refusal.values)
            seen["terms refused"] = seen.get("terms refused", 0) + 1
            continue
        pair = Pair(terms, rng)
        while played < rounds and pair.twin.number < terms.scalars.max_rounds and pair.round():
            played += 1
        for name, times in {**pair.seen, terms.contract_name: pair.twin.number}.items():
            seen[name] = seen.get(name, 0) + times
    return seen


def assert_covered(seen):
    wanted = {*CONTRACTS, "disputes", "appeals", "voids", "masked", "charged", "moved", "refused", "settled"}
    wanted.add("terms refused")
    assert {name for name in wanted if not seen.get(name)} == set()


def test_contract_and_twin_pay_the_same_wei_in_hundreds_of_rounds():
    assert_covered(explore(seed=11, rounds=300))


def round_on_contract(terms, profile):
    """Settle one round of exactly these contributions in a machine of its own; returns the contract's payoffs."""
    pair = Pair(terms, random.Random(0))
    for index, liability in enumerate(terms.liabilities):
        arguments = (index, terms.terms_hash)
        sender = terms.members[index].account
        pair.both("depositSubmit", "deposit_submit", *arguments, sender=sender, value=liability)
    pair.both("roundOpen", "round_open", sender=ATTESTER)
    for index, parts in enumerate(profile):
        if parts is not None:
            arguments = (index, *parts, EVIDENCE, sign(pair.twin.contribution_digest(index, *parts, EVIDENCE), KEY))
            pair.both("contributionSubmit", "contribution_submit", *arguments, sender=terms.members[index].account)
    pair.machine.time = pair.twin.deadline + 1
    pair.both("profileRecord", "profile_record", sender=STRANGER)
    if pair.twin.phase != RECORDED:
        return None
    pair.machine.time = pair.twin.deadline + 1
    pair.both("payoffCalculate", "payoff_calculate", sender=STRANGER)
    return [pair.machine.view("payoffOf", index) for index in range(pair.count)]


def silence_against_delivery(seed, markets):
    """Compare both in ``markets`` random markets, on the contract in wei; returns how many had something to lose."""
    rng, compared, costly = random.Random(seed), 0, 0
    while compared < markets:
        terms = random_terms(rng)
        try:
            check_terms(terms)
        except ContractError:
            continue
        if not terms.stand_ins or len(terms.members) > 12 or sum(terms.liabilities) == 0:
            continue
        terms = replace(terms, scalars=replace(terms.scalars, quorum=1))
        caps = [(m.data_cap, m.generated_cap, m.compute_cap) for m in terms.members]
        profile = [None if rng.random() < 0.3 else tuple(rng.randint(0, cap) for cap in c) for c in caps]
        who = rng.randrange(len(caps))
        for _ in range(20):
            own = tuple(rng.choice([cap, rng.randint(0, cap)]) for cap in caps[who])
            if terms.score(who, *own) >= terms.stand_ins[who]:
                break
        else:
            continue
        silent = round_on_contract(terms, [None if i == who else parts for i, parts in enumerate(profile)])
        if silent is None:
            continue
        delivering = round_on_contract(terms, [own if i == who else parts for i, parts in enumerate(profile)])
        assert silent[who] <= delivering[who]
        assert silent[who] <= 0
        assert sum(silent) == sum(delivering) == 0
        compared += 1
        costly += silent[who] < 0
    return costly


def test_silence_never_pays_on_the_contract():
    assert silence_against_delivery(seed=5, markets=40) > 10


@pytest.mark.deep
def test_silence_never_pays_on_the_contract_in_a_thousand_markets():
    assert silence_against_delivery(seed=6, markets=1_000) > 250


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(4))
def test_contract_and_twin_pay_the_same_wei_in_ten_thousand_rounds(seed):
    seen = explore(seed, rounds=2_500)
    assert_covered(seen)
    assert seen["settled"] > 1_500
