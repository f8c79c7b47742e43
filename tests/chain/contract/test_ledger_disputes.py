"""The ledger protocol where a round does not just settle: disputes, signed transfers, tokens, contract wallets.

What memory and chain share is tested on both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from chain.abi import words
from chain.artifacts import load_artifact
from chain.audit import audit
from chain.contract.provider import ChainProvider
from chain.contract.token import Token
from chain.contract.wallets import wallet_accepts
from chain.encoding.signatures import Domain, address_of, contribution_struct_hash, sign
from chain.errors.chain import (
    ArgumentOutOfRange,
    ArtifactMismatch,
    InsufficientTokens,
    MissingKey,
    TransactionRejected,
    WalletMustSend,
)
from chain.errors.contract import (
    BondTooSmall,
    InvalidSignature,
    TooEarly,
    TransferFailed,
    UnsupportedToken,
    WrongPhase,
)
from chain.errors.disputes import NotArbiter, NotDefaultRuling, ReasonMissing, TransferOutOfRange, WrongMode
from chain.keys.keystores import development_account, development_key
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import ZERO_ADDRESS, Contribution, Dispute

SEED = 7
COUNT = 4
EVIDENCE = b"\x05" * 32
REASON = b"\x0d" * 32
BOND = 900


@pytest.fixture(params=["memory", "chain"])
def provider(request, tester):
    return MemoryProvider(SEED) if request.param == "memory" else ChainProvider(tester, SEED)


@pytest.fixture
def chain_provider(tester):
    return ChainProvider(tester, SEED)


def part(ledger, index):
    member = ledger.terms.members[index]
    return Contribution(member.data_cap // 2, member.generated_cap // 2, member.compute_cap // 2, EVIDENCE)


def recorded(ledger):
    """Bond everybody with enough for a dispute, and record a round of half the caps."""
    for index in range(COUNT):
        ledger.deposit(index, ledger.decoded.liabilities[index] + BOND)
    ledger.open_round()
    for index in range(COUNT):
        contribution = part(ledger, index)
        ledger.submit(index, contribution, ledger.attest(index, contribution))
    ledger.record()
    return ledger


def check(ledger):
    """The names of the audit's checks that are not passed."""
    report = audit(ledger.collect(), ledger.terms)
    return {item.name: item.status for item in report.checks if item.status not in ("PASS", "SKIPPED")}


class TestDispute:
    @pytest.fixture
    def ledger(self, provider, make_terms):
        return recorded(provider.deploy(make_terms(COUNT, dispute_bond=BOND)))

    def test_dispute_shows_in_state_and_outcome(self, ledger):
        assert ledger.state().disputant is None
        receipt = ledger.dispute(2, REASON)
        state, outcome = ledger.state(), ledger.outcomes()[-1]
        assert receipt.operation == "disputeRaise"
        assert (state.phase, state.disputant) == ("disputed", 2)
        assert state.deadline == receipt.time + ledger.terms.arbiter_window
        assert (outcome.status, outcome.dispute) == ("disputed", Dispute(2, REASON))
        with pytest.raises(WrongPhase, match="disputed"):
            ledger.settle()

    def test_settled_dispute_pays_the_prediction_at_once(self, ledger):
        predicted = ledger.predict([part(ledger, index) for index in range(COUNT)])
        ledger.dispute(2, REASON)
        assert ledger.resolve("settle").operation == "disputeResolve"
        assert ledger.outcomes()[-1].status == "recorded"
        outcome = ledger.settle()
        assert (outcome.status, outcome.transfers) == ("settled", predicted)
        assert outcome.dispute == Dispute(2, REASON, "settle", 0)
        assert ledger.state().disputant is None
        assert check(ledger) == {}

    def test_voided_dispute_moves_nothing(self, ledger):
        before = ledger.state().balances
        ledger.dispute(0, REASON)
        ledger.resolve("void")
        outcome, state = ledger.outcomes()[-1], ledger.state()
        assert (outcome.status, outcome.transfers) == ("voided", (0,) * COUNT)
        assert outcome.dispute == Dispute(0, REASON, "void", 0)
        assert (state.phase, state.balances) == ("idle", before)
        assert check(ledger) == {}

    def test_forfeited_bond_goes_to_the_others(self, ledger):
        before = ledger.state().balances
        ledger.dispute(1, REASON)
        ledger.resolve("settle-and-forfeit")
        after = ledger.state().balances
        assert [a - b for a, b in zip(after, before, strict=True)] == [300, -900, 300, 300]
        assert ledger.outcomes()[-1].dispute == Dispute(1, REASON, "settle-and-forfeit", 900)
        ledger.settle()
        assert check(ledger) == {}

    def test_only_the_arbiter_rules_and_a_stranger_brings_about_the_default(self, ledger):
        ledger.dispute(1, REASON)
        with pytest.raises(NotArbiter):
            ledger.resolve("settle", as_arbiter=False)
        ledger.wait_until(ledger.state().deadline + 1)
        with pytest.raises(NotDefaultRuling):
            ledger.resolve("void", as_arbiter=False)
        ledger.resolve("settle", as_arbiter=False)
        assert ledger.settle().status == "settled"
        assert check(ledger) == {}

    def test_impossible_arguments_are_typed_errors(self, ledger):
        with pytest.raises(ReasonMissing):
            ledger.dispute(1, bytes(32))
        with pytest.raises(ArgumentOutOfRange):
            ledger.dispute(1, b"why")
        with pytest.raises(ArgumentOutOfRange):
            ledger.dispute(COUNT, REASON)
        ledger.dispute(1, REASON)
        with pytest.raises(ArgumentOutOfRange, match="forgive"):
            ledger.resolve("forgive")


class TestVectorMode:
    TRANSFERS = (-700_000, 600_000, -1_000, 101_000)

    @pytest.fixture
    def ledger(self, provider, vector_terms):
        return recorded(provider.deploy(vector_terms(COUNT, dispute_bond=BOND)))

    def test_signed_transfers_are_paid_in_the_order_of_the_terms_file(self, ledger):
        assert ledger.encoded.positions != tuple(range(COUNT)), "the test needs members out of order"
        assert ledger.decoded.liabilities == (10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6)
        before = ledger.state()
        assert not before.transfers_submitted
        attestation = ledger.attest_transfers(self.TRANSFERS, EVIDENCE)
        receipt = ledger.submit_transfers(self.TRANSFERS, EVIDENCE, attestation)
        state = ledger.state()
        assert receipt.operation == "transfersSubmit"
        assert state.transfers_submitted
        assert state.deadline == receipt.time + ledger.terms.dispute_window
        with pytest.raises(TooEarly):
            ledger.settle()
        ledger.wait_until(state.deadline + 1)
        outcome = ledger.settle()
        assert (outcome.status, outcome.transfers) == ("settled", self.TRANSFERS)
        after = ledger.state().balances
        assert [a - b for a, b in zip(after, before.balances, strict=True)] == list(self.TRANSFERS)
        assert check(ledger) == {}

    def test_settling_without_transfers_voids_the_round(self, ledger):
        before = ledger.state().balances
        ledger.wait_until(ledger.state().deadline + 1)
        outcome = ledger.settle()
        assert (outcome.status, outcome.transfers) == ("voided", (0,) * COUNT)
        assert [receipt.operation for receipt in outcome.receipts] == ["payoffCalculate"]
        state = ledger.state()
        assert (state.phase, state.balances) == ("idle", before)
        assert check(ledger) == {}

    def test_disputed_transfers_settle_or_not(self, ledger):
        ledger.submit_transfers(self.TRANSFERS, EVIDENCE, ledger.attest_transfers(self.TRANSFERS, EVIDENCE))
        ledger.dispute(0, REASON)
        ledger.resolve("settle-and-forfeit")
        assert ledger.settle().transfers == self.TRANSFERS
        assert check(ledger) == {}

    def test_nobody_pays_more_than_its_debit_or_without_the_attester(self, ledger):
        beyond = (-1_000_001, 1_000_001, 0, 0)
        with pytest.raises(TransferOutOfRange):
            ledger.submit_transfers(beyond, EVIDENCE, ledger.attest_transfers(beyond, EVIDENCE))
        other = ledger.attest_transfers((0,) * COUNT, EVIDENCE)
        with pytest.raises(InvalidSignature):
            ledger.submit_transfers(self.TRANSFERS, EVIDENCE, other)
        for call in (ledger.attest_transfers, lambda t, e: ledger.submit_transfers(t, e, other)):
            with pytest.raises(ArgumentOutOfRange):
                call(self.TRANSFERS[1:], EVIDENCE)

    def test_contributions_predict_nothing(self, ledger):
        with pytest.raises(WrongMode):
            ledger.predict([part(ledger, index) for index in range(COUNT)])


def test_pairwise_terms_take_no_signed_transfers(provider, make_terms):
    ledger = provider.deploy(make_terms(COUNT))
    with pytest.raises(WrongMode):
        ledger.attest_transfers((0,) * COUNT, EVIDENCE)
    with pytest.raises(WrongMode):
        ledger.submit_transfers((0,) * COUNT, EVIDENCE, bytes(65))


class TestToken:
    @pytest.fixture
    def token(self, tester, deploy_mock):
        return deploy_mock(tester, "Token")

    @pytest.fixture
    def ledger(self, chain_provider, make_terms, token):
        ledger = chain_provider.deploy(make_terms(COUNT, token=token.address, dispute_bond=BOND))
        for member in ledger.terms.members:
            token.send("mint", member.address, 10**24)
        return ledger

    def allowance(self, ledger, token, index):
        return token.ask("allowance", ledger.terms.members[index].address, ledger.deployment.address)

    def test_a_round_in_a_token_settles_and_pays_out(self, ledger, token, tester):
        recorded(ledger)
        ledger.dispute(3, REASON)
        ledger.resolve("settle-and-forfeit")
        outcome = ledger.settle()
        assert outcome.transfers == ledger.predict([part(ledger, index) for index in range(COUNT)])
        state = ledger.state()
        assert token.ask("balanceOf", ledger.deployment.address) == state.total_balance == sum(state.balances)
        assert tester.web3.eth.get_balance(ledger.deployment.address) == 0
        assert check(ledger) == {}
        payee = tester.web3.to_checksum_address("0x" + "ef" * 20)
        ledger.withdraw(0, 7, to=payee)
        assert token.ask("balanceOf", payee) == 7
        assert ledger.collect().storage.assets == state.total_balance - 7

    def test_deposit_allows_exactly_the_amount_and_leaves_nothing_allowed(self, ledger, token):
        amount = ledger.decoded.liabilities[1] + 5
        ledger.deposit(1, amount)
        assert ledger.state().balances[1] == amount
        assert self.allowance(ledger, token, 1) == 0

    def test_allowance_that_is_there_already_is_used(self, ledger, token, tester, monkeypatch):
        amount, account = ledger.decoded.liabilities[1], development_account(SEED, "o1")
        tester.fund(account.address, 10**18)
        Token(tester, token.address).approve(ledger.deployment.address, amount + 3, account=account)
        monkeypatch.setattr(Token, "approve", lambda *_, **__: pytest.fail("no approval is needed"))
        ledger.deposit(1, amount)
        assert self.allowance(ledger, token, 1) == 3

    def test_allowance_that_is_too_small_is_cleared_before_it_is_raised(self, ledger, token, tester, monkeypatch):
        amount, account, approve, approved = (
            ledger.decoded.liabilities[1],
            development_account(SEED, "o1"),
            Token.approve,
            [],
        )
        tester.fund(account.address, 10**18)
        Token(tester, token.address).approve(ledger.deployment.address, 3, account=account)
        monkeypatch.setattr(
            Token,
            "approve",
            lambda self, spender, units, **k: approved.append(units) or approve(self, spender, units, **k),
        )
        ledger.deposit(1, amount)
        assert approved == [0, amount]

    def test_missing_tokens_are_counted_and_nothing_is_sent(self, ledger, tester):
        block = tester.web3.eth.block_number
        with pytest.raises(InsufficientTokens) as error:
            ledger.deposit(1, 10**24 + 9)
        assert (error.value.held, error.value.needed) == (10**24, 10**24 + 9)
        assert "9 more units" in error.value.hint
        assert tester.web3.eth.block_number - block <= 1, "at most the gas money"

    def test_deposit_that_the_contract_refuses_approves_nothing(self, ledger, token):
        with pytest.raises(BondTooSmall):
            ledger.deposit(1, ledger.decoded.liabilities[1] - 1)
        assert self.allowance(ledger, token, 1) == 0

    def test_address_without_code_is_no_token(self, chain_provider, make_terms):
        nobody = chain_provider.backend.web3.to_checksum_address("0x" + "71" * 20)
        with pytest.raises(UnsupportedToken) as error:
            chain_provider.deploy(make_terms(COUNT, token=nobody))
        assert error.value.values == (nobody,)

    def test_contract_that_is_no_token_takes_no_deposit(self, chain_provider, make_terms, tester, deploy_mock):
        wallet = deploy_mock(tester, "ContractAttester").address
        with pytest.raises(UnsupportedToken):
            Token(tester, "0x" + "71" * 20).balance(wallet)
        ledger = chain_provider.deploy(make_terms(COUNT, token=wallet))
        with pytest.raises(UnsupportedToken) as error:
            ledger.deposit(0, ledger.decoded.liabilities[0])
        assert error.value.values == (wallet,)

    @pytest.mark.parametrize(("mode", "error"), [(1, TransferFailed), (2, TransferFailed)])
    def test_paused_token_refuses_deposits_and_withdrawals(
        self, chain_provider, make_terms, tester, deploy_mock, mode, error
    ):
        token = deploy_mock(tester, "FailingToken")
        ledger = chain_provider.deploy(make_terms(COUNT, token=token.address))
        for member in ledger.terms.members:
            token.send("mint", member.address, 10**24)
        bond = ledger.decoded.liabilities[0]
        ledger.deposit(0, bond)
        token.send("set", mode)
        with pytest.raises(error):
            ledger.deposit(1, ledger.decoded.liabilities[1])
        with pytest.raises(error):
            ledger.withdraw(0, 5)
        assert ledger.state().balances[0] == bond
        token.send("set", 0)
        ledger.withdraw(0, bond)
        assert ledger.state().balances[0] == 0

    def test_fee_on_transfer_is_refused_at_the_first_deposit(self, chain_provider, make_terms, tester, deploy_mock):
        token = deploy_mock(tester, "FeeToken", 2)
        ledger = chain_provider.deploy(make_terms(COUNT, token=token.address))
        token.send("mint", ledger.terms.members[0].address, 10**24)
        with pytest.raises(UnsupportedToken) as error:
            ledger.deposit(0, ledger.decoded.liabilities[0])
        assert error.value.values == (token.address,)

    @pytest.mark.slow
    def test_other_process_connects_to_every_kind_of_contract(self, chain_provider, make_terms, vector_terms, token):
        for make in (make_terms, vector_terms):
            for asset in (ZERO_ADDRESS, token.address):
                ledger = chain_provider.deploy(make(COUNT, token=asset))
                again = chain_provider.connect(ledger.terms, ledger.deployment)
                assert again.state() == ledger.state()
                assert again.contract.name == ledger.encoded.contract_name
                assert check(again) == {}

    def test_other_asset_or_mode_is_another_contract(self, chain_provider, make_terms, vector_terms, token):
        ledger = chain_provider.deploy(make_terms(COUNT))
        for terms in (make_terms(COUNT, token=token.address), vector_terms(COUNT)):
            with pytest.raises(ArtifactMismatch):
                chain_provider.connect(terms, ledger.deployment)

    def test_reentrant_token_gains_nothing(self, chain_provider, make_terms, tester, deploy_mock):
        """The token tells a member, a contract, of every movement, and the member calls the consortium back."""
        token, member = deploy_mock(tester, "HookedToken"), deploy_mock(tester, "HostileMember")
        terms = make_terms(COUNT, token=token.address)
        members = (replace(terms.members[0], address=member.address), *terms.members[1:])
        ledger = chain_provider.deploy(replace(terms, members=members))
        position, bond = ledger.encoded.positions[0], ledger.decoded.liabilities[0]
        contract = tester.web3.eth.contract(abi=load_artifact(ledger.contract.name).abi)
        deposit = contract.encode_abi("depositSubmit", args=[position, ledger.decoded.terms_hash, bond])
        withdraw = contract.encode_abi("withdraw", args=[position, bond, member.address])
        approval = bytes.fromhex("095ea7b3") + words(ledger.deployment.address, 1 << 200)

        token.send("mint", member.address, 10 * bond)
        member.send("configure", token.address, False, [])
        member.send("act", approval, 0)
        token.send("register", member.address, True, True)
        member.send("configure", ledger.deployment.address, False, [deposit, withdraw])
        member.send("act", deposit, 0)
        assert ledger.state().balances[0] == token.ask("balanceOf", ledger.deployment.address) == bond
        member.send("act", withdraw, 0)
        assert ledger.state().balances[0] == token.ask("balanceOf", ledger.deployment.address) == 0
        assert (member.ask("tried"), member.ask("passed")) == (4, 0)
        assert {event.sender for event in ledger.collect().events} == {None}
        assert check(ledger) == {}


class TestWallets:
    """An attester that is a contract (EIP-1271): nobody here has its key."""

    @pytest.fixture
    def wallet(self, tester, deploy_mock):
        return deploy_mock(tester, "ContractAttester")

    @pytest.fixture
    def ledger(self, chain_provider, make_terms, wallet):
        ledger = chain_provider.deploy(make_terms(COUNT, attester=wallet.address, quorum_bps=1))
        for index in range(COUNT):
            ledger.deposit(index, ledger.decoded.liabilities[index])
        wallet.send("roundOpen", ledger.deployment.address)
        return ledger

    def digest(self, ledger, index):
        """What the wallet must approve for a contribution."""
        contribution = part(ledger, index)
        struct_hash = contribution_struct_hash(
            ledger.decoded.terms_hash,
            1,
            ledger.terms.members[index].address,
            contribution.data,
            contribution.generated,
            contribution.compute,
            EVIDENCE,
        )
        return Domain(ledger.deployment.chain_id, ledger.deployment.address).digest(struct_hash)

    def test_its_owners_sign_and_we_do_not(self, ledger):
        with pytest.raises(MissingKey) as error:
            ledger.attest(0, part(ledger, 0))
        assert error.value.wallet
        assert "owners sign" in error.value.hint

    def test_a_call_that_would_fail_is_refused_before_its_owners_sign_anything(self, ledger):
        with pytest.raises(WrongPhase):
            ledger.open_round()

    def test_contribution_with_the_wallets_consent_is_taken(self, ledger, wallet):
        with pytest.raises(InvalidSignature):
            ledger.submit(0, part(ledger, 0), b"any bytes")
        wallet.send("set", 0, self.digest(ledger, 0))
        ledger.submit(0, part(ledger, 0), b"any bytes")
        assert ledger.state().submitted[0]

    def test_record_keeps_what_the_wallet_said_at_the_time(self, ledger, wallet, monkeypatch):
        wallet.send("set", 0, self.digest(ledger, 0))
        ledger.submit(0, part(ledger, 0), b"any bytes")
        wallet.send("set", 1, bytes(32))
        record = ledger.collect()
        assert record.attester_is_contract
        assert {event.name: event.attested for event in record.events}["ContributionSubmitted"] is True
        assert {event.attested for event in record.events if event.name != "ContributionSubmitted"} == {None}

        def pruned(*_arguments, **_keywords):
            raise TransactionRejected("missing trie node")

        monkeypatch.setattr("chain.contract.answers.wallet_accepts", pruned)
        assert {event.attested for event in ledger.collect().events} == {None}

    @pytest.mark.parametrize(("answer", "accepts"), [(0, True), (1, False), (2, False), (3, False)])
    def test_evidence_of_a_wallet_is_what_the_wallet_says(self, ledger, wallet, answer, accepts):
        digest = b"\x0e" * 32
        domain = Domain(ledger.deployment.chain_id, ledger.deployment.address)
        wallet.send("set", answer, domain.evidence_digest(digest))
        assert ledger.verify(wallet.address, digest, b"any bytes") is accepts
        assert not ledger.verify(wallet.address, b"\x0f" * 32, b"any bytes")

    def test_code_that_is_no_wallet_says_no(self, tester, deploy_mock):
        token = deploy_mock(tester, "Token").address
        assert not wallet_accepts(tester.web3, token, bytes(32), b"")
        assert not wallet_accepts(tester.web3, "0x" + "71" * 20, bytes(32), b"")


class Safe:
    """A wallet of three owners, two of whom must sign, as Safe has it."""

    def __init__(self, tester, deploy_mock, name):
        keys = [development_key(SEED, f"{name} owner {n}") for n in range(3)]
        self.keys = sorted(keys, key=lambda key: int(address_of(key), 16))
        self.wallet = deploy_mock(tester, "SafeWallet", [address_of(key) for key in self.keys], 2)
        self.address = self.wallet.address

    def signed(self, digest, owners=(0, 2)):
        return b"".join(sign(digest, self.keys[owner]) for owner in owners)

    def message(self, digest, owners=(0, 2)):
        """Its EIP-1271 signature over a digest."""
        return self.signed(self.wallet.ask("getMessageHash", digest), owners)

    def must_send(self, operation):
        """Have the owners send what the ledger says that only they can send."""
        with pytest.raises(WalletMustSend) as error:
            operation()
        asked = error.value.details
        assert asked["from"] == self.address
        assert asked["data"] in str(error.value)
        self.execute(asked["to"], bytes.fromhex(asked["data"].removeprefix("0x")), int(asked["value"]))

    def execute(self, to, data, value=0):
        digest = self.wallet.ask("getTransactionHash", to, value, data, self.wallet.ask("nonce"))
        self.wallet.send(
            "execTransaction", to, value, data, 0, 0, 0, 0, ZERO_ADDRESS, ZERO_ADDRESS, self.signed(digest)
        )


@pytest.mark.slow
def test_a_round_of_safes_is_opened_disputed_ruled_on_settled_and_audited(
    chain_provider, make_terms, tester, deploy_mock
):
    attester, arbiter, member = (Safe(tester, deploy_mock, name) for name in ("attester", "arbiter", "o0"))
    terms = make_terms(COUNT, attester=attester.address, arbiter=arbiter.address, dispute_bond=BOND, quorum_bps=1)
    members = (replace(terms.members[0], address=member.address), *terms.members[1:])
    ledger = chain_provider.deploy(replace(terms, members=members))
    domain = Domain(ledger.deployment.chain_id, ledger.deployment.address)

    bond = ledger.decoded.liabilities[0] + BOND
    tester.fund(member.address, 2 * bond)
    member.must_send(lambda: ledger.deposit(0, bond))
    for index in range(1, COUNT):
        ledger.deposit(index, ledger.decoded.liabilities[index])
    attester.must_send(ledger.open_round)
    for index in range(COUNT):
        contribution = part(ledger, index)
        account = ledger.terms.members[index].address
        parts = (contribution.data, contribution.generated, contribution.compute, EVIDENCE)
        digest = domain.digest(contribution_struct_hash(ledger.decoded.terms_hash, 1, account, *parts))
        if index == 0:
            member.must_send(partial(ledger.submit, 0, contribution, attester.message(digest)))
        else:
            with pytest.raises(InvalidSignature):
                ledger.submit(index, contribution, attester.message(digest, owners=(1, 1)))
            ledger.submit(index, contribution, attester.message(digest))
    ledger.record()
    member.must_send(lambda: ledger.dispute(0, REASON))
    assert ledger.state().disputant == 0
    arbiter.must_send(lambda: ledger.resolve("settle-and-forfeit"))
    outcome = ledger.settle()
    assert outcome.dispute == Dispute(0, REASON, "settle-and-forfeit", BOND)
    assert outcome.transfers == ledger.predict([part(ledger, index) for index in range(COUNT)])

    digest = b"\x0e" * 32
    signature = member.message(domain.evidence_digest(digest))
    assert ledger.verify(member.address, digest, signature)
    assert not ledger.verify(member.address, digest, member.message(domain.evidence_digest(digest), owners=(2, 0)))
    assert not ledger.verify(member.address, digest, signature[:65])

    record = ledger.collect()
    signed = [event for event in record.events if event.name == "ContributionSubmitted"]
    assert [event.attested for event in signed] == [True] * COUNT
    assert signed[0].sender is None
    assert check(ledger) == {}


def test_memory_knows_keys_only(make_terms):
    terms = make_terms(COUNT, attester="0x" + "77" * 20)
    with pytest.raises(MissingKey):
        MemoryProvider(SEED).deploy(terms).attest(0, Contribution(1, 1, 1, EVIDENCE))


def script(ledger):
    """A settled, a forfeited and a voided dispute, and what an engine sees of them."""
    seen = []
    for round_number, ruling in enumerate(("settle", "settle-and-forfeit", "void")):
        for index in range(COUNT):
            ledger.deposit(index, ledger.decoded.liabilities[index] + BOND)
        ledger.wait_until(ledger.state().next_round_from)
        ledger.open_round()
        for index in range(COUNT):
            contribution = part(ledger, index)
            ledger.submit(index, contribution, ledger.attest(index, contribution))
        ledger.record()
        if ledger.terms.mode == "vector":
            transfers = (5, -5, 10 * round_number, -10 * round_number)
            ledger.submit_transfers(transfers, EVIDENCE, ledger.attest_transfers(transfers, EVIDENCE))
        ledger.dispute(round_number, REASON)
        seen.append(ledger.outcomes()[-1])
        ledger.resolve(ruling)
        if ruling != "void":
            seen.append(replace(ledger.settle(), receipts=()))
    state = replace(ledger.state(), now=0, next_round_from=0, ledger_hash=b"")
    return seen, ledger.outcomes(), state


@pytest.mark.parametrize("mode", ["pairwise", "vector"])
def test_memory_and_chain_give_the_same_outcomes_of_disputes(mode, chain_provider, make_terms, vector_terms):
    terms = (vector_terms if mode == "vector" else make_terms)(COUNT, dispute_bond=BOND)
    assert terms.token == ZERO_ADDRESS
    assert script(chain_provider.deploy(terms)) == script(MemoryProvider(SEED).deploy(terms))
