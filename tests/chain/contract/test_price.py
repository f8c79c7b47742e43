"""What is about to be sent is told before it is signed, and what is told is what is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.backends.journal import Journal
from chain.contract.provider import ChainProvider
from chain.errors.chain import FeeTooHigh, TooLittleEther, WalletMustSend
from chain.keys.keystores import development_account
from chain.twin.ledger import MemoryProvider
from cocogen.errors import LedgerError
from cocogen.fees import Spending

SEED = 41
"""The chain is shared: accounts of another seed hold nothing yet."""
REASON = b"\x0d" * 32


class Refused(Exception):
    """Nobody agrees."""


@pytest.fixture
def provider(tester):
    made = ChainProvider(tester, SEED, journal=Journal())
    yield made
    made.before_sending(None)  # the chain is shared


@pytest.fixture
def make_terms(make_terms):
    """The same terms for the accounts of this seed."""

    def made(count=4, **changes):
        terms = make_terms(count)
        fresh = {role: development_account(SEED, role).address for role in ("attester", "arbiter")}
        members = tuple(replace(m, address=development_account(SEED, m.name).address) for m in terms.members)
        return replace(terms, members=members, **fresh | changes)

    return made


@pytest.fixture
def ledger(provider, make_terms):
    return provider.deploy(make_terms(3, dispute_bond=900))


@pytest.fixture
def told(provider):
    """What was told; everything is agreed to."""
    found: list[Spending] = []
    provider.before_sending(found.append)
    return found


def refuse(_spending: Spending) -> None:
    raise Refused


def head(backend) -> bytes:
    return bytes(backend.web3.eth.get_block("latest")["hash"])


def test_a_deposit_is_told_with_its_amount_sender_and_gas(ledger, told, tester):
    sender, bond = ledger.terms.members[1].address, ledger.decoded.liabilities[1]
    tester.fund(sender, 10**18)
    receipt = ledger.deposit(1, bond)
    (one,) = told
    assert (one.operation, one.sender, one.amount, one.value) == ("depositSubmit", sender, bond, bond)
    assert one.held == 10**18
    assert receipt.gas <= one.gas < 1.1 * receipt.gas
    assert one.worthless
    assert 0 < one.price <= one.ceiling / one.gas
    assert (one.fee, one.left) == (one.gas * one.price, 10**18 - bond - one.fee)


def test_everything_that_is_sent_is_told_and_nothing_else(ledger, told, provider, make_terms):
    ledger.state()
    for n in range(3):
        ledger.deposit(n, 2 * ledger.decoded.liabilities[n] + 900)
    ledger.open_round()
    ledger.exit(2)
    ledger.withdraw(0, 1)
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    provider.deploy(make_terms(2))
    assert [each.operation for each in told] == [
        *["depositSubmit"] * 3, "roundOpen", "exitRequest", "withdraw", "profileRecord", "deploy"
    ]  # fmt: skip
    assert [each.amount for each in told][5:7] == [1, 0]
    provider.before_sending(None)
    ledger.exit(2, cancel=True)
    assert len(told) == 8


def test_what_nobody_agrees_to_is_not_sent_and_leaves_no_trace(ledger, provider, tester):
    account, bond = ledger.terms.members[0].address, ledger.decoded.liabilities[0]
    tester.fund(account, 10**18)
    before, nonce = head(tester), tester.web3.eth.get_transaction_count(account)
    provider.before_sending(refuse)
    for act in (lambda: ledger.deposit(0, bond), lambda: ledger.exit(0)):
        with pytest.raises(Refused):
            act()
    assert head(tester) == before
    assert tester.web3.eth.get_transaction_count(account) == nonce
    assert tester.journal.intents == ()
    provider.before_sending(None)
    ledger.deposit(0, bond)
    assert ledger.state().balances[0] == bond


def test_a_refusal_of_the_contract_comes_before_the_question(ledger, told):
    with pytest.raises(LedgerError, match="needs it recorded"):
        ledger.dispute(0, REASON)
    assert told == []


def test_a_rehearsal_fills_up_no_account_not_even_a_local_one(ledger, provider, tester):
    before = head(tester)
    provider.before_sending(refuse, rehearsal=True)
    bond = ledger.decoded.liabilities[0]
    for act in (lambda: ledger.deposit(0, bond), lambda: provider.deploy(ledger.terms)):
        with pytest.raises(Refused):
            act()
    assert head(tester) == before
    assert tester.web3.eth.get_balance(ledger.terms.members[0].address) == 0


def test_a_deposit_of_tokens_is_told_as_one_purchase_with_the_gas_of_all_its_transactions(
    provider, make_terms, tester_token, tester
):
    ledger = provider.deploy(make_terms(3, token=tester_token.address))
    bond = ledger.decoded.liabilities[0]
    tester_token.send("mint", ledger.terms.members[0].address, bond)
    told: list[Spending] = []
    provider.before_sending(told.append)
    begin = tester.web3.eth.block_number
    ledger.deposit(0, bond)
    sent = range(begin + 1, tester.web3.eth.block_number + 1)
    used = sum(tester.web3.eth.get_block(number)["gasUsed"] for number in sent if number > begin + 1)  # after funding
    assert [(each.operation, each.amount, each.value) for each in told] == [("depositSubmit", bond, 0)] * 2
    assert 0.98 * used < told[0].gas < 1.1 * used


def test_an_account_that_cannot_pay_the_fee_at_its_most_is_told_before_anybody_is_asked(
    ledger, provider, tester, monkeypatch
):
    account = development_account(SEED, "o0").address
    tester.fund(account, ledger.decoded.liabilities[0] + 10)
    monkeypatch.setattr(tester, "local", False)
    provider.before_sending(lambda _: pytest.fail("it asked"))
    with pytest.raises(TooLittleEther, match=r"and up to 0.* ether for gas"):
        ledger.deposit(0, ledger.decoded.liabilities[0])
    with pytest.raises(TooLittleEther, match="has to pay up to"):
        provider.spending("deploy", "o0", 10**12)
    monkeypatch.setattr(tester, "fee_limit", 10)
    with pytest.raises(FeeTooHigh):
        provider.spending("deploy", "o0", 21_000)


def test_a_wallet_is_asked_by_its_owners_not_here(provider, make_terms, deploy_mock, tester):
    wallet = deploy_mock(tester, "ContractAttester")
    ledger = provider.deploy(make_terms(2, attester=wallet.address))
    for n in range(2):
        ledger.deposit(n, 2 * ledger.decoded.liabilities[n])
    provider.before_sending(lambda _: pytest.fail("it asked"))
    with pytest.raises(WalletMustSend):
        ledger.open_round()


def test_price_and_ether_are_the_chains(provider, tester):
    account = development_account(SEED, "o0").address
    tester.fund(account, 12_345)
    assert provider.ether(account) == 12_345
    provider.spending("deploy", "operator", 1)  # fills the account up, in a block of its own
    assert provider.gas_price() == provider.spending("deploy", "operator", 1).price > 0
    assert provider.local


def test_in_memory_nothing_is_paid_for(make_terms):
    provider = MemoryProvider(SEED)
    provider.before_sending(refuse)
    ledger = provider.deploy(make_terms(2))
    ledger.deposit(0, ledger.decoded.liabilities[0])
    assert (provider.gas_price(), provider.ether(ledger.terms.attester)) == (None, None)
    assert provider.spending("deploy", "operator", 1) is None
    assert provider.local
    assert provider.gas(6, token=False).deploy > 3_000_000
    with pytest.raises(LedgerError, match="nothing to try out"):
        provider.before_sending(refuse, rehearsal=True)
