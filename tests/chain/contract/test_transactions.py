"""Transactions on a node that mines late, forgets, reorganizes, drops connections or dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from eth_utils import to_checksum_address
from web3.exceptions import TransactionNotFound

from chain.backends.development import connect
from chain.backends.provider import NodeProvider
from chain.backends.rpc import RpcBackend
from chain.contract.funding import FundedAccounts
from chain.contract.transactions import send_transaction
from chain.errors.chain import (
    ChainUnavailable,
    FeeTooHigh,
    TooLittleEther,
    TransactionPending,
    TransactionRejected,
    TransactionReplaced,
    TransactionTimeout,
    TransactionUnconfirmed,
    UnknownRevert,
)
from chain.keys.accounts import Accounts

ALICE = Account.from_key(b"\x11" * 32)
PAYEE = to_checksum_address("0x" + "ab" * 20)
ETHER = 10**18


@pytest.fixture
def backend(start_anvil):
    """A bare node that mines every transaction at once, and an account with ether."""
    with connect(start_anvil().url, attempts=2) as backend:
        backend.fund(ALICE.address, 10 * ETHER)
        yield backend


@pytest.fixture
def unmined(backend):
    """The same node, mining only when told to."""
    ask(backend, "evm_setAutomine", False)
    return backend


def ask(backend: Any, method: str, *parameters: Any) -> Any:
    answer = backend.web3.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


def pay(backend: Any, wei: int = 5, *, timeout: float = 10.0, account: Any = ALICE) -> Any:
    call = {"to": PAYEE, "data": b"", "value": wei}
    return send_transaction(backend, call, account, "pay", timeout)[0]


def paid(backend: Any) -> int:
    return backend.web3.eth.get_balance(PAYEE)


def pool(backend: Any) -> dict[str, Any]:
    """Alice's transactions that wait to be mined, by nonce."""
    waiting = ask(backend, "txpool_content")["pending"]
    return next((entries for sender, entries in waiting.items() if sender.lower() == ALICE.address.lower()), {})


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


def meanwhile(backend: Any, action: Callable[[Any], None]) -> threading.Thread:
    """Run ``action`` in a thread with a connection of its own."""

    def run() -> None:
        with connect(str(backend.web3.provider.endpoint_uri)) as other:
            action(other)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def sent_versions(backend: Any, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The signed bytes that leave for the node from now on."""
    seen: list[bytes] = []
    send = backend.web3.eth.send_raw_transaction
    monkeypatch.setattr(backend.web3.eth, "send_raw_transaction", lambda raw: (seen.append(raw), send(raw))[1])
    return seen


class TestPrice:
    def test_base_fee_and_tip_leave_room_for_rising_prices(self, backend):
        base = backend.web3.eth.get_block("latest")["baseFeePerGas"]
        transaction = backend.web3.eth.get_transaction(pay(backend).transaction)
        assert transaction["type"] == 2
        assert transaction["maxFeePerGas"] == 2 * base + transaction["maxPriorityFeePerGas"]

    def test_node_without_base_fee_gets_a_legacy_transaction(self, start_anvil):
        with connect(start_anvil("--hardfork", "berlin").url) as old:
            old.fund(ALICE.address, ETHER)
            assert "baseFeePerGas" not in old.web3.eth.get_block("latest")
            transaction = old.web3.eth.get_transaction(pay(old).transaction)
        assert transaction["type"] == 0
        assert transaction["gasPrice"] > 0

    def test_gas_has_a_quarter_of_margin(self, backend):
        assert backend.web3.eth.get_transaction(pay(backend).transaction)["gas"] == 21_000 * 5 // 4

    @pytest.mark.parametrize(("estimate", "gas"), [((1 << 24) - 1, 1 << 24), (1 << 24, 1 << 24), (17 << 20, 17 << 20)])
    def test_margin_never_lifts_the_gas_over_the_cap_of_a_transaction(self, backend, monkeypatch, estimate, gas):
        monkeypatch.setattr(backend.web3.eth, "estimate_gas", lambda *_: estimate)
        assert backend.web3.eth.get_transaction(pay(backend).transaction)["gas"] == gas

    @pytest.mark.parametrize("excess", [0, 1])
    def test_price_above_the_limit_is_refused_before_anything_is_sent(self, backend, monkeypatch, excess):
        price, gas = 8 * 10**14, 21_000 * 5 // 4
        base = backend.web3.eth.get_block("latest")["baseFeePerGas"]
        monkeypatch.setattr(type(backend.web3.eth), "max_priority_fee", price - 2 * base)
        backend.fund(ALICE.address, 100 * ETHER)
        backend.fee_limit = gas * price - excess
        if not excess:
            pay(backend)
            return
        with pytest.raises(FeeTooHigh, match="nothing was sent") as refused:
            pay(backend)
        assert (refused.value.fee, refused.value.limit) == (gas * price, backend.fee_limit)
        assert pool(backend) == {}
        assert paid(backend) == 0

    def test_account_that_cannot_pay_is_rejected(self, backend):
        with pytest.raises(TransactionRejected, match=r"(?i)insufficient|funds"):
            pay(backend, 11 * ETHER)
        assert pool(backend) == {}
        assert paid(backend) == 0


class TestStuck:
    def test_stuck_transaction_is_raised_by_an_eighth_under_the_same_nonce(self, unmined):
        offers = []

        def mine_the_second_offer(node: Any) -> None:
            offers.append(until(lambda: pool(node).get("0")))
            offers.append(until(lambda: (now := pool(node)["0"])["hash"] != offers[0]["hash"] and now))
            ask(node, "evm_mine")

        miner = meanwhile(unmined, mine_the_second_offer)
        mined = pay(unmined, timeout=8.0)
        miner.join()
        assert mined.transaction == offers[1]["hash"]
        for price in ("maxFeePerGas", "maxPriorityFeePerGas"):
            assert int(offers[1][price], 16) > int(offers[0][price], 16) * 9 // 8
        assert paid(unmined) == 5
        assert unmined.web3.eth.get_transaction_count(ALICE.address) == 1

    def test_first_offer_counts_when_it_is_the_one_that_is_mined(self, unmined, monkeypatch):
        send = unmined.web3.eth.send_raw_transaction
        offers = []

        def only_the_first(raw: bytes) -> Any:
            offers.append(raw)
            return send(raw) if len(offers) == 1 else b""

        monkeypatch.setattr(unmined.web3.eth, "send_raw_transaction", only_the_first)

        def mine_late(node: Any) -> None:
            until(lambda: len(offers) == 2)
            ask(node, "evm_mine")

        miner = meanwhile(unmined, mine_late)
        mined = pay(unmined, timeout=2.0)
        miner.join()
        assert unmined.web3.eth.get_transaction(mined.transaction)["nonce"] == 0
        assert paid(unmined) == 5

    def test_offers_are_bounded_and_the_timeout_names_the_last_hash(self, unmined, monkeypatch):
        versions = sent_versions(unmined, monkeypatch)
        with pytest.raises(TransactionTimeout) as error:
            pay(unmined, timeout=2.0)
        assert len(set(versions)) == 4
        assert pool(unmined)["0"]["hash"] in str(error.value)
        assert "looks first for what became of it" in error.value.hint

    def test_replacement_that_the_node_refuses_leaves_the_first_waiting(self, unmined, monkeypatch):
        price = unmined.web3.eth.get_block("latest")["baseFeePerGas"]
        monkeypatch.setattr("chain.contract.transactions.market_price", lambda _eth: {"gasPrice": price * 3})
        send = unmined.web3.eth.send_raw_transaction
        seen = []

        def twice_the_first(raw: bytes) -> Any:
            seen.append(raw)
            if len(seen) == 2:
                # the same nonce and price with other content: no improvement, which nodes refuse
                same = {"to": PAYEE, "value": 6, "nonce": 0, "gas": 30_000, "gasPrice": price * 3, "chainId": 31_337}
                raw = bytes(ALICE.sign_transaction(same).raw_transaction)
            return send(raw)

        monkeypatch.setattr(unmined.web3.eth, "send_raw_transaction", twice_the_first)
        miner = meanwhile(unmined, lambda node: (until(lambda: len(seen) == 2), ask(node, "evm_mine")))
        pay(unmined, timeout=2.0)
        miner.join()
        assert paid(unmined) == 5


class TestReplaced:
    def test_foreign_transaction_with_the_same_nonce_is_named_as_what_it_is(self, unmined):
        def outbid(node: Any) -> None:
            first = until(lambda: pool(node).get("0"))
            foreign = {
                "to": PAYEE,
                "value": 7,
                "nonce": 0,
                "gas": 21_000,
                "chainId": 31_337,
                "type": 2,
                "maxFeePerGas": 3 * int(first["maxFeePerGas"], 16),
                "maxPriorityFeePerGas": 3 * int(first["maxPriorityFeePerGas"], 16),
            }
            node.web3.eth.send_raw_transaction(ALICE.sign_transaction(foreign).raw_transaction)
            ask(node, "evm_mine")

        rival = meanwhile(unmined, outbid)
        with pytest.raises(TransactionReplaced, match="nonce 0") as error:
            pay(unmined)
        rival.join()
        assert paid(unmined) == 7
        assert ALICE.address in str(error.value)


class TestUnderWay:
    def earlier(self, backend: Any, wei: int = 1) -> None:
        price = 3 * backend.web3.eth.get_block("latest")["baseFeePerGas"]
        call = {"to": PAYEE, "value": wei, "nonce": 0, "gas": 21_000, "gasPrice": price, "chainId": 31_337}
        backend.web3.eth.send_raw_transaction(ALICE.sign_transaction(call).raw_transaction)

    def test_nothing_is_sent_while_an_earlier_transaction_is_under_way(self, unmined, monkeypatch):
        self.earlier(unmined)
        versions = sent_versions(unmined, monkeypatch)
        with pytest.raises(TransactionPending, match=r"1 earlier .* still under way, from nonce 0"):
            pay(unmined, timeout=0.2)
        assert versions == []

    def test_earlier_transaction_that_is_mined_meanwhile_asks_for_a_fresh_look(self, unmined, monkeypatch):
        self.earlier(unmined)
        versions = sent_versions(unmined, monkeypatch)
        timer = threading.Timer(0.2, lambda: meanwhile(unmined, lambda node: ask(node, "evm_mine")).join())
        timer.start()
        with pytest.raises(TransactionPending, match="mined now"):
            pay(unmined)
        timer.join()
        assert versions == []
        ask(unmined, "evm_setAutomine", True)
        pay(unmined)
        assert paid(unmined) == 6

    def test_interrupt_between_signature_and_receipt_never_pays_twice(self, unmined, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("chain.contract.transactions.time.sleep", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                pay(unmined)
        assert len(pool(unmined)) == 1
        with pytest.raises(TransactionPending):
            pay(unmined, timeout=0.2)
        ask(unmined, "evm_mine")
        assert paid(unmined) == 5
        assert pool(unmined) == {}


def _interrupt(seconds: float) -> None:
    if threading.current_thread() is not threading.main_thread():  # the node's own server sleeps by the same function
        threading.Event().wait(seconds)
        return
    raise KeyboardInterrupt


class TestConfirmations:
    @pytest.fixture
    def public(self, start_anvil):
        """A node of a chain that is not local, where two blocks must follow."""
        url = start_anvil("--chain-id", "5551").url
        with connect(url) as control:
            ask(control, "anvil_setBalance", ALICE.address, hex(10 * ETHER))
        with connect(url, confirmations=2, attempts=2) as backend:
            assert not backend.local
            yield backend

    def test_transaction_counts_once_enough_blocks_follow(self, public):
        miner = meanwhile(public, lambda node: (until(lambda: paid(node)), ask(node, "anvil_mine", 2)))
        mined = pay(public)
        miner.join()
        assert public.web3.eth.block_number >= mined.block + 2

    def test_mined_transaction_that_no_block_follows_is_said_to_have_taken_effect(self, public):
        took_effect = r"0x[0-9a-f]{64} took effect: it is in block 1, which 2 blocks did not follow"
        with pytest.raises(TransactionUnconfirmed, match=took_effect) as error:
            pay(public, timeout=0.3)
        assert "COCOGEN_CONFIRMATIONS=0" in error.value.hint
        assert "do not send it again" in error.value.hint
        assert isinstance(error.value, TransactionTimeout)

    def test_mined_transaction_that_failed_is_said_to_have_moved_nothing(self, public, monkeypatch):
        monkeypatch.setattr(public.web3.eth, "estimate_gas", lambda *_: 100_000)
        creation = {"data": bytes.fromhex("fe"), "value": 0}
        with pytest.raises(TransactionUnconfirmed, match="was mined, failed and moved nothing"):
            send_transaction(public, creation, ALICE, "deploy", 0.3)

    def test_waiting_says_for_what(self, public, monkeypatch, caplog):
        monkeypatch.setattr("chain.contract.transactions._SILENCE", 0.05)
        with pytest.raises(TransactionTimeout):
            pay(public, timeout=0.5)
        assert [record.getMessage() for record in caplog.records] == ["waiting for 2 more blocks after 1"]
        caplog.clear()
        ask(public, "evm_setAutomine", False)
        with pytest.raises(TransactionTimeout):
            pay(public, timeout=0.5)
        said = [record.getMessage() for record in caplog.records]
        assert all(line.startswith("waiting, up to 0.5 s, for a block to take the transaction 0x") for line in said)
        assert said

    def test_account_without_ether_is_named_before_anything_is_sent(self, public):
        accounts = FundedAccounts(public, Accounts(1, local=False))
        assert accounts.ready(ALICE, 10 * ETHER - 1) is ALICE
        with pytest.raises(TooLittleEther, match=f"{ALICE.address} holds 10 ether and has to pay 10 ether and the gas"):
            accounts.ready(ALICE, 10 * ETHER)
        poor = Account.from_key(b"\x22" * 32)
        with pytest.raises(TooLittleEther, match=f"{poor.address} holds 0 ether and has to pay gas"):
            accounts.ready(poor)

    def test_transaction_that_a_reorganization_drops_is_sent_again(self, public):
        hashes = []

        def reorganize(node: Any) -> None:
            until(lambda: paid(node))
            hashes.append(node.web3.eth.get_block(1)["transactions"][0])
            ask(node, "evm_setAutomine", False)
            ask(node, "anvil_reorg", 1, [])
            # our side notices the loss and sends the same bytes again
            until(lambda: _known(node, hashes[0]))
            ask(node, "anvil_mine", 3)

        miner = meanwhile(public, reorganize)
        mined = pay(public)
        miner.join()
        assert mined.transaction == "0x" + hashes[0].hex()
        assert public.web3.eth.block_number >= mined.block + 2
        assert paid(public) == 5


def _known(node: Any, hash_: Any) -> bool:
    try:
        node.web3.eth.get_transaction(hash_)
    except TransactionNotFound:
        return False
    return True


class TestLies:
    def create(self, backend):
        call = {"data": bytes.fromhex("600a600c600039600a6000f3602a60005260206000f3"), "value": 0}
        return send_transaction(backend, call, ALICE, "deploy", 10.0)

    def test_contract_is_where_the_sender_and_its_nonce_put_it(self, backend):
        pay(backend)
        mined, created = self.create(backend)
        assert created == backend.web3.eth.get_transaction_receipt(mined.transaction)["contractAddress"]
        assert backend.web3.eth.get_code(created)

    def test_contract_address_of_a_lying_node_is_not_believed(self, backend, monkeypatch):
        real = backend.web3.eth.get_transaction_receipt
        monkeypatch.setattr(
            backend.web3.eth, "get_transaction_receipt", lambda hash_: {**real(hash_), "contractAddress": PAYEE}
        )
        with pytest.raises(ChainUnavailable, match="it can only be at"):
            self.create(backend)

    @pytest.mark.parametrize("lie", [{"status": None}, {"blockNumber": "soon"}, []])
    def test_receipt_that_makes_no_sense_names_the_transaction(self, backend, monkeypatch, lie):
        real = backend.web3.eth.get_transaction_receipt

        def lies(hash_):
            return lie if isinstance(lie, list) else {**real(hash_), **lie}

        monkeypatch.setattr(backend.web3.eth, "get_transaction_receipt", lies)
        with pytest.raises((ChainUnavailable, UnknownRevert)):
            pay(backend)


class TestConnection:
    def test_answer_lost_after_sending_does_not_send_twice(self, backend, cutting_proxy):
        # the node gets the transaction, we never hear so
        proxy = cutting_proxy(backend.web3.provider.endpoint_uri, cut_answers_of=b"eth_sendRawTransaction", times=2)
        with connect(proxy.url) as through:
            mined = pay(through)
        assert proxy.cuts == 2
        assert paid(backend) == 5
        assert backend.web3.eth.get_transaction(mined.transaction)["nonce"] == 0

    def test_dropped_reads_are_asked_again(self, backend, cutting_proxy):
        proxy = cutting_proxy(backend.web3.provider.endpoint_uri, cut_answers_of=b"eth_getTransactionReceipt", times=3)
        with connect(proxy.url) as through:
            pay(through)
        assert proxy.cuts == 3

    def test_node_that_is_gone_is_named_with_the_transaction(self, start_anvil):
        node = start_anvil("--no-mining")
        with connect(node.url, attempts=2) as backend:
            backend.fund(ALICE.address, ETHER)

            def kill(other: Any) -> None:
                until(lambda: pool(other))
                os.kill(node.pid, signal.SIGKILL)

            killer = meanwhile(backend, kill)
            with pytest.raises(ChainUnavailable, match=r"transaction 0x[0-9a-f]{64} may have been sent") as error:
                pay(backend)
            killer.join()
        assert "looks first for what became of it" in error.value.hint

    def test_provider_and_backend_say_that_they_are_closed(self, backend):
        provider = NodeProvider(str(backend.web3.provider.endpoint_uri))
        other = RpcBackend(provider)
        other.close()
        other.close()
        with pytest.raises(ChainUnavailable, match="closed"):
            _ = other.web3
