"""Where a contract was created, as the chain shows it, and what becomes of a deployment that the chain took back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.audit import audit
from chain.audit.second import ask_second_node
from chain.contract.creation import is_creation
from chain.contract.provider import ChainProvider
from chain.errors.chain import ChainUnavailable, DeploymentRecordWrong, NoContract, WrongChain
from chain.twin.ledger import MemoryProvider

SEED = 7
COUNT = 3


@pytest.fixture
def provider(tester):
    return ChainProvider(tester, SEED)


@pytest.fixture
def ledger(provider, make_terms) -> Any:
    ledger: Any = provider.deploy(make_terms(COUNT))
    ledger.deposit(0, 2 * ledger.decoded.liabilities[0])
    ledger.deposit(1, 2 * ledger.decoded.liabilities[1])
    return ledger


def with_details(deployment, **changes):
    return replace(deployment, details={**deployment.details, **changes})


class TestDeploymentRecord:
    """It lies on somebody's disk: what is wrong in it is no fault of the ledger."""

    def test_the_right_one_passes(self, provider, ledger):
        assert audit(provider.inspect(ledger.terms, ledger.deployment), ledger.terms).status == "PASS"

    @pytest.mark.parametrize("shift", [-1, 1, 2, 10**9])
    def test_another_block_is_named_with_the_right_one(self, provider, ledger, shift):
        wrong = replace(ledger.deployment, block=ledger.deployment.block + shift)
        with pytest.raises(DeploymentRecordWrong, match=f"is in block {ledger.deployment.block}") as error:
            provider.inspect(ledger.terms, wrong)
        assert str(wrong.block) in str(error.value)

    @pytest.mark.parametrize("shift", [1, 2])
    def test_another_block_without_a_transaction_shows_by_the_code_before_it(self, provider, ledger, shift):
        bare = replace(ledger.deployment, details={})
        assert provider.inspect(ledger.terms, bare).created_transaction is None
        with pytest.raises(DeploymentRecordWrong):
            provider.inspect(ledger.terms, replace(bare, block=bare.block + shift))

    def test_another_transaction(self, provider, ledger):
        for other in ("0x" + "ab" * 32, ledger.collect().events[0].transaction):
            with pytest.raises(DeploymentRecordWrong):
                provider.inspect(ledger.terms, with_details(ledger.deployment, transaction=other))

    def test_another_chain_or_other_terms(self, provider, ledger):
        with pytest.raises(WrongChain):
            provider.inspect(ledger.terms, replace(ledger.deployment, chain_id=1))
        with pytest.raises(DeploymentRecordWrong, match="names the terms"):
            provider.inspect(ledger.terms, replace(ledger.deployment, terms_hash="0x" + "12" * 32))

    def test_a_copy_of_the_contract_with_the_same_terms(self, provider, ledger):
        copy = provider.deploy(ledger.terms)
        with pytest.raises(DeploymentRecordWrong):
            provider.inspect(ledger.terms, replace(ledger.deployment, address=copy.deployment.address))

    def test_other_terms_than_the_ledgers_are_left_to_the_checks(self, provider, ledger, make_terms):
        other = make_terms(COUNT, incentive=0.38)
        report = audit(provider.inspect(other, ledger.deployment), other)
        assert report.checks[1].status == "FAIL"


class TestSecondNode:
    @pytest.fixture(autouse=True)
    def node(self, monkeypatch, tester):
        monkeypatch.setattr("chain.backends.open_backend", lambda url: tester)
        monkeypatch.setattr(tester, "close", lambda: None)

    @pytest.mark.parametrize("change", [{"created_block": 1}, {"created_transaction": "0x" + "ab" * 32}])
    def test_another_creation_in_a_file_fails_the_cross_check(self, ledger, change):
        record = ledger.collect(receipts=True)
        for found, status in ((record, "PASS"), (replace(record, **change), "FAIL")):
            second = ask_second_node("http://second", found, "ConsortiumNative")
            report = audit(found, ledger.terms, offline=True, second=second)
            assert report.checks[9].status == status
        assert "created" in report.checks[9].detail


class TestWhereabouts:
    def test_a_deployment_that_is_there(self, provider, ledger):
        found = provider.whereabouts(replace(ledger.deployment, block=0))
        assert (found.state, found.block) == ("there", ledger.deployment.block)

    def test_a_deployment_that_a_reorganization_took_back(self, provider, tester, make_terms):
        ask = tester.web3.provider.make_request
        snapshot = ask("evm_snapshot", [])["result"]
        deployment = provider.deploy(make_terms(COUNT)).deployment
        ask("evm_revert", [snapshot])
        with pytest.raises(ChainUnavailable, match="has come to block"):
            provider.whereabouts(deployment)
        for _ in range(3):
            tester.advance(1)
        assert provider.whereabouts(deployment).state == "gone"
        with pytest.raises(NoContract) as error:
            provider.connect(make_terms(COUNT), deployment)
        assert "`cocogen deploy` finds out" in error.value.hint

    def test_a_deployment_that_is_still_under_way(self, anvil, make_terms):
        provider = ChainProvider(anvil, SEED)
        ask = anvil.web3.provider.make_request
        deployment = provider.deploy(make_terms(COUNT)).deployment
        raw = ask("eth_getRawTransactionByHash", [deployment.details["transaction"]])["result"]
        ask("evm_setAutomine", [False])
        try:
            ask("anvil_rollback", [1])
            assert anvil.web3.eth.get_code(deployment.address) == b""
            ask("eth_sendRawTransaction", [raw])
            assert provider.whereabouts(deployment).state == "pending"
        finally:
            ask("evm_setAutomine", [True])

    def test_another_chain(self, provider, ledger):
        with pytest.raises(WrongChain):
            provider.whereabouts(replace(ledger.deployment, chain_id=1))

    def test_memory_ends_with_its_process(self, make_terms):
        provider = MemoryProvider(SEED)
        deployment = provider.deploy(make_terms(COUNT)).deployment
        assert provider.whereabouts(deployment).state == "there"
        assert MemoryProvider(SEED).whereabouts(deployment).state == "gone"


def test_a_node_without_old_state_contradicts_nothing(ledger, tester, monkeypatch):
    def pruned(*_: Any) -> Any:
        raise ValueError("missing trie node")

    monkeypatch.setattr(tester.web3.eth, "get_code", pruned)
    assert is_creation(tester, ledger.contract.address, ledger.deployment.block + 1, None) is None
