"""The ledger in memory: the protocol, the mapping of organizations, the clock, and sameness per seed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.audit import audit
from chain.encoding.codec import decode, encode
from chain.encoding.signatures import address_of
from chain.errors.chain import ArgumentOutOfRange, MalformedSignature, MissingKey, NoContract, UnencodableTerms
from chain.errors.contract import BondTooSmall, InvalidSignature, NotMember, TermOutOfRange, TooEarly, WrongPhase
from chain.keys.keystores import development_key
from chain.twin.ledger import MemoryLedger, MemoryProvider
from cocogen.ledger import Contribution, Ledger, LedgerProvider, Receipt

SEED = 7
EVIDENCE = b"\xee" * 32
PARTS = [(100, 50, 7), (0, 0, 0), (3, 2, 1), (90, 10, 7)]
CONTRIBUTIONS = [Contribution(*parts, EVIDENCE) for parts in PARTS]


@pytest.fixture
def provider():
    return MemoryProvider(SEED)


@pytest.fixture
def ledger(provider, make_terms):
    return provider.deploy(make_terms(4))


def bond(ledger: MemoryLedger) -> None:
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, liability)


def submit(ledger: MemoryLedger, n: int, **keywords: int) -> Receipt:
    contribution = CONTRIBUTIONS[n]
    return ledger.submit(n, contribution, ledger.attest(n, contribution), **keywords)


def play(ledger: MemoryLedger, silent: tuple[int, ...] = ()):
    bond(ledger)
    ledger.open_round()
    for n in range(4):
        if n not in silent:
            submit(ledger, n)
    ledger.wait_until(ledger.state().deadline + 1 if silent else 0)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    return ledger.settle()


def test_it_has_all_members_of_the_protocols(provider, ledger):
    for protocol, instance in ((LedgerProvider, provider), (Ledger, ledger)):
        names = [name for name in vars(protocol) if not name.startswith("_")]
        assert len(names) >= 5
        assert [name for name in names if not hasattr(instance, name)] == []


def test_accounts_derive_from_seed_and_name(provider):
    assert provider.account("o0") == address_of(development_key(SEED, "o0"))
    assert provider.account("o0") != MemoryProvider(SEED + 1).account("o0")


def test_decode_is_that_of_the_codec(provider, make_terms):
    terms = make_terms(4)
    assert provider.decode(terms).terms_hash == encode(terms).terms_hash
    assert provider.decode(terms).liabilities == decode(encode(terms)).liabilities


@pytest.mark.parametrize(
    ("changes", "error"), [({"incentive": -1.0}, UnencodableTerms), ({"quorum_bps": 0}, TermOutOfRange)]
)
def test_terms_that_do_not_fit_are_neither_decoded_nor_deployed(provider, make_terms, changes, error):
    for step in (provider.decode, provider.deploy):
        with pytest.raises(error):
            step(make_terms(4, **changes))


def test_a_round_settles_to_the_prediction_in_the_order_of_the_terms_file(ledger):
    predicted = ledger.predict(CONTRIBUTIONS)
    bond(ledger)
    before = ledger.state().balances
    ledger.open_round()
    for n in (2, 0, 3, 1):
        receipt = submit(ledger, n)
    assert receipt == Receipt("contributionSubmit", None, None, ledger.state().now)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    outcome = ledger.settle()
    assert outcome.status == "settled"
    assert outcome.transfers == predicted
    assert any(predicted)
    assert sum(predicted) == 0
    assert outcome.contributions == tuple(CONTRIBUTIONS)
    assert [receipt.operation for receipt in outcome.receipts] == ["payoffCalculate", "payoffTransfer"]
    after = ledger.state().balances
    assert after == tuple(balance + transfer for balance, transfer in zip(before, predicted, strict=True))


def test_masked_organizations_keep_their_place(ledger):
    outcome = play(ledger, silent=(2,))
    masked = [None if n == 2 else contribution for n, contribution in enumerate(CONTRIBUTIONS)]
    assert outcome.participants == (True,) * 4
    assert outcome.contributions == tuple(masked)
    assert outcome.transfers == ledger.predict(masked)
    assert outcome.transfers[2] == 0


def test_state_follows_the_round(ledger):
    state = ledger.state()
    assert (state.round, state.phase, state.deadline, state.relay_from, state.next_round_from) == (0, "idle", 0, 0, 0)
    assert state.accepted == (False,) * 4
    ledger.deposit(1, ledger.decoded.liabilities[1])
    ledger.deposit(3, ledger.decoded.liabilities[3])
    state = ledger.state()
    assert state.accepted == state.solvent == (False, True, False, True)
    assert state.balances[1] == ledger.decoded.liabilities[1]
    assert state.balances[0] == 0
    opened = ledger.open_round().time
    submit(ledger, 3)
    state = ledger.state()
    assert (state.round, state.phase, state.deadline) == (1, "open", opened + 101)
    assert state.relay_from == opened + 50
    assert state.participants == (False, True, False, True)
    assert state.submitted == (False, False, False, True)
    submit(ledger, 1)
    recorded = ledger.record().time
    state = ledger.state()
    assert (state.phase, state.deadline, state.relay_from) == ("recorded", recorded + 50, 0)
    ledger.wait_until(recorded + 51)
    finished = ledger.settle().receipts[-1].time
    state = ledger.state()
    assert (state.phase, state.deadline, state.next_round_from) == ("idle", 0, finished + 40)
    assert not any(state.participants + state.submitted)
    assert state.total_balance == sum(state.balances)
    assert state.ledger_hash != bytes(32)


def test_outcomes_tell_every_round(ledger):
    assert ledger.outcomes() == ()
    play(ledger)
    ledger.wait_until(ledger.state().next_round_from)
    bond(ledger)
    ledger.open_round()
    assert [outcome.status for outcome in ledger.outcomes()] == ["settled", "open"]
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    settled, voided = ledger.outcomes()
    assert (settled.round, settled.status, voided.round, voided.status) == (1, "settled", 2, "voided")
    assert voided.transfers == (0,) * 4
    ledger.wait_until(ledger.state().next_round_from)
    ledger.open_round()
    for n in range(4):
        submit(ledger, n)
    ledger.record()
    assert ledger.outcomes()[2].status == "recorded"


def test_outcomes_name_the_participants_in_the_order_of_the_terms_file(ledger):
    for n in (0, 3):
        ledger.deposit(n, ledger.decoded.liabilities[n])
    assert ledger._encoded.positions != (0, 1, 2, 3)
    ledger.open_round()
    assert ledger.outcomes()[0].participants == (True, False, False, True)


def test_settling_goes_on_where_it_stopped(ledger):
    bond(ledger)
    ledger.open_round()
    for n in range(4):
        submit(ledger, n)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    twin = ledger._twin
    ledger._execute("payoffCalculate", twin.payoff_calculate, twin.address)
    calculated = ledger.outcomes()[-1]
    assert calculated.status == "calculated"
    assert any(calculated.transfers)
    outcome = ledger.settle()
    assert outcome.status == "settled"
    assert [receipt.operation for receipt in outcome.receipts] == ["payoffTransfer"]


def test_a_silent_organization_is_relayed_by_another(ledger):
    bond(ledger)
    ledger.open_round()
    with pytest.raises(NotMember):
        submit(ledger, 0, sender=1)
    ledger.wait_until(ledger.state().relay_from)
    assert submit(ledger, 0, sender=1).time == ledger.state().relay_from
    assert ledger.state().submitted == (True, False, False, False)


def test_exits_and_withdrawals(ledger):
    play(ledger)
    ledger.exit(1)
    assert ledger.state().exiting == (False, True, False, False)
    ledger.exit(1, cancel=True)
    assert ledger.state().exiting == (False,) * 4
    balance = ledger.state().balances[1]
    ledger.withdraw(1, balance - 1)
    ledger.withdraw(1, 1, to=ledger.terms.arbiter)
    assert ledger.state().balances[1] == 0
    recipients = [event.args["to"] for event in ledger.collect().events if event.name == "Withdrawn"]
    assert recipients == [ledger.terms.members[1].address, ledger.terms.arbiter]


def test_every_operation_takes_a_second_and_a_refusal_none(ledger):
    now = ledger.state().now
    assert ledger.deposit(0, ledger.decoded.liabilities[0]).time == now + 1
    with pytest.raises(BondTooSmall):
        ledger.deposit(1, 0)
    with pytest.raises(WrongPhase):
        ledger.settle()
    assert ledger.state().now == now + 1
    ledger.advance(100)
    assert ledger.deposit(0, 0).time == now + 102
    ledger.wait_until(now + 200)
    assert ledger.deposit(0, 0).time == now + 200
    ledger.wait_until(now)
    assert ledger.deposit(0, 0).time == now + 201


def test_the_clock_never_goes_back(ledger):
    with pytest.raises(ArgumentOutOfRange):
        ledger.advance(-1)


def test_settling_early_says_from_when_it_may(ledger):
    bond(ledger)
    ledger.open_round()
    for n in range(4):
        submit(ledger, n)
    ledger.record()
    with pytest.raises(TooEarly) as caught:
        ledger.settle()
    assert caught.value.allowedFrom == ledger.state().deadline + 1


def test_the_attestation_counts_for_its_contribution_only(ledger):
    bond(ledger)
    ledger.open_round()
    signature = ledger.attest(0, CONTRIBUTIONS[0])
    with pytest.raises(InvalidSignature):
        ledger.submit(0, replace(CONTRIBUTIONS[0], data=99), signature)
    ledger.submit(0, CONTRIBUTIONS[0], signature)


def test_evidence_is_signed_by_name(ledger):
    digest = bytes(range(32))
    for name, address in (("o2", ledger.terms.members[2].address), ("attester", ledger.terms.attester)):
        assert ledger.verify(address, digest, ledger.sign(name, digest))
    assert ledger.verify(address_of(development_key(SEED, "auditor")), digest, ledger.sign("auditor", digest))
    assert not ledger.verify(ledger.terms.members[2].address, bytes(32), ledger.sign("o2", digest))
    assert not ledger.verify(ledger.terms.members[1].address, digest, ledger.sign("o2", digest))
    assert not ledger.verify(ledger.terms.members[2].address, digest, b"")
    with pytest.raises(MalformedSignature):
        ledger.verify(ledger.terms.members[2].address, digest[1:], bytes(65))


def test_foreign_addresses_have_no_key_here(make_terms):
    terms = make_terms(2, attester="0x" + "11" * 20)
    terms = replace(terms, members=(replace(terms.members[0], address="0x" + "22" * 20), terms.members[1]))
    ledger = MemoryProvider(SEED).deploy(terms)
    with pytest.raises(MissingKey, match="attester"):
        ledger.attest(0, CONTRIBUTIONS[0])
    with pytest.raises(MissingKey, match="o0"):
        ledger.sign("o0", bytes(32))
    assert len(ledger.sign("o1", bytes(32))) == 65


@pytest.mark.parametrize("index", [-1, 4])
def test_unknown_organizations_are_refused(ledger, index):
    calls = (
        lambda: ledger.deposit(index, 1),
        lambda: ledger.withdraw(index, 1),
        lambda: ledger.exit(index),
        lambda: ledger.attest(index, CONTRIBUTIONS[0]),
        lambda: ledger.submit(index, CONTRIBUTIONS[0], bytes(65)),
        lambda: ledger.submit(0, CONTRIBUTIONS[0], bytes(65), sender=index),
    )
    for call in calls:
        with pytest.raises(ArgumentOutOfRange):
            call()


def test_connect_finds_what_was_deployed(provider, ledger, make_terms):
    assert provider.connect(ledger.terms, ledger.deployment) is ledger
    assert (ledger.deployment.backend, ledger.deployment.chain_id) == ("memory", 0)
    other = provider.deploy(make_terms(4))
    assert other.deployment.address != ledger.deployment.address
    with pytest.raises(NoContract):
        provider.connect(make_terms(3), ledger.deployment)
    with pytest.raises(NoContract):
        MemoryProvider(SEED).connect(ledger.terms, ledger.deployment)
    provider.close()
    with pytest.raises(NoContract):
        provider.connect(ledger.terms, ledger.deployment)


def test_one_seed_gives_one_record(make_terms):
    def record():
        ledger = MemoryProvider(SEED).deploy(make_terms(4))
        play(ledger, silent=(1,))
        return ledger.collect()

    assert record() == record()


def test_two_ledgers_of_a_provider_share_the_clock_but_no_signature(provider, ledger, make_terms):
    other = provider.deploy(make_terms(4))
    before = other.state().now
    ledger.deposit(0, ledger.decoded.liabilities[0])
    assert other.state().now == before + 1
    assert other.attest(0, CONTRIBUTIONS[0]) != ledger.attest(0, CONTRIBUTIONS[0])


def test_golden_settlements(golden_settlements):
    for game, (terms, expected) in enumerate(golden_settlements):
        for field, payoffs in (("contributions", "payoffs"), ("masked_contributions", "masked_payoffs")):
            ledger = MemoryProvider(game).deploy(replace(terms, quorum_bps=1, submit_window=1_000))
            bond(ledger)
            ledger.open_round()
            for n, parts in enumerate(expected[field]):
                if parts is not None:
                    contribution = Contribution(*parts, EVIDENCE)
                    ledger.submit(n, contribution, ledger.attest(n, contribution))
            ledger.wait_until(ledger.state().deadline + 1)
            ledger.record()
            ledger.wait_until(ledger.state().deadline + 1)
            assert ledger.settle().transfers == tuple(int(payoff) for payoff in expected[payoffs])
            assert audit(ledger.collect(), ledger.terms).status == "PASS"
