"""Reading a ledger while the chain changes under the reader: read again, or a typed error."""

from __future__ import annotations

from typing import Any

import pytest
from web3.exceptions import TransactionNotFound

from chain.audit import audit
from chain.contract.provider import ChainProvider
from chain.errors.chain import ChainUnavailable

SEED = 7
COUNT = 3


@pytest.fixture
def ledger(tester, make_terms) -> Any:
    ledger: Any = ChainProvider(tester, SEED).deploy(make_terms(COUNT))
    for index in range(COUNT):
        ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
    ledger.open_round()
    return ledger


@pytest.fixture
def reorganizing(ledger, monkeypatch):
    """Answers of the node for the first ``times`` askings as if another block had taken the place of the last one."""

    def begin(times: int, *, where: str) -> list[Any]:
        eth = ledger.contract.backend.web3.eth
        get_block, get_receipt, asked = eth.get_block, eth.get_transaction_receipt, []
        head = eth.block_number

        def block(number: Any, full_transactions: bool = False) -> Any:
            found = get_block(number, full_transactions)
            if found["number"] != head or len(asked) >= times:
                return found
            if where == "transactions" and full_transactions:
                asked.append(number)
                return {**found, "transactions": []}
            if where == "hash" and number == head and not full_transactions:
                asked.append(number)
                return {**found, "hash": b"\x01" * 32}
            return found

        def receipt(transaction: Any) -> Any:
            found = get_receipt(transaction)
            if where == "receipt" and len(asked) < times:
                asked.append(transaction)
                return {**found, "blockHash": b"\x01" * 32}
            return found

        monkeypatch.setattr(eth, "get_block", block)
        monkeypatch.setattr(eth, "get_transaction_receipt", receipt)
        return asked

    return begin


@pytest.mark.parametrize("where", ["transactions", "hash", "receipt"])
def test_reorganization_while_a_ledger_is_read_is_read_again(ledger, reorganizing, where):
    before = ledger.collect(receipts=True)
    asked = reorganizing(1, where=where)
    after = ledger.collect(receipts=True)
    assert after == before
    assert asked
    assert audit(after, ledger.terms).status == "PASS"


@pytest.mark.parametrize("where", ["transactions", "receipt"])
def test_chain_that_does_not_hold_still_is_a_typed_error(ledger, reorganizing, where):
    reorganizing(1_000, where=where)
    with pytest.raises(ChainUnavailable, match="reorganized while it was read, 3 times in a row"):
        ledger.collect(receipts=True)


def test_outcomes_are_read_again_too(ledger, reorganizing):
    expected = ledger.outcomes()
    fresh = type(ledger)(ledger.terms, ledger.encoded, ledger.contract, ledger.deployment, ledger._accounts)
    assert reorganizing(1, where="hash") == []
    assert fresh.outcomes() == expected
    reorganizing(1_000, where="hash")
    fresh = type(ledger)(ledger.terms, ledger.encoded, ledger.contract, ledger.deployment, ledger._accounts)
    with pytest.raises(ChainUnavailable, match="reorganized"):
        fresh.outcomes()


def test_receipt_that_the_node_lost_is_a_typed_error(ledger, monkeypatch):
    def lost(transaction: Any) -> Any:
        raise TransactionNotFound(f"no {transaction}")

    monkeypatch.setattr(ledger.contract.backend.web3.eth, "get_transaction_receipt", lost)
    with pytest.raises(ChainUnavailable, match="does not have the transaction"):
        ledger.collect(receipts=True)
