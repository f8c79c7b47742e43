"""No command moves the same money twice, however an earlier one ended: on a node, and on a chain in this process."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account
from eth_utils import to_checksum_address
from web3.exceptions import Web3RPCError

from chain.backends.development import connect
from chain.backends.journal import AlreadySent, Journal
from chain.contract.provider import ChainProvider
from chain.contract.transactions import send_transaction
from chain.errors.chain import (
    TransactionPending,
    TransactionRejected,
    TransactionReplaced,
    TransactionTimeout,
    TransactionUnconfirmed,
)
from chain.errors.contract import AlreadySubmitted
from chain.errors.reverts import ContractError
from cocogen.ledger import Contribution
from cocogen.operations.sent import once_by_state
from cocogen.rounds.loop import RoundLoop

ALICE = Account.from_key(b"\x11" * 32)
PAYEE = to_checksum_address("0x" + "ab" * 20)
ETHER = 10**18
BOND = 10**17
"""Wei, above every liability of the terms."""


class Killed(BaseException):
    """The process ends here: nothing that cleans up runs."""


@pytest.fixture
def node(start_anvil, tmp_path):
    """A bare node that mines only when told to, an account with ether, and a journal that lasts."""
    with connect(start_anvil("--no-mining").url, attempts=2) as backend:
        backend.fund(ALICE.address, 10 * ETHER)
        backend.journal = Journal(tmp_path / "sent.json")
        yield backend


def ask(backend: Any, method: str, *parameters: Any) -> Any:
    answer = backend.web3.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


def pay(backend: Any, amount: int = 9, *, operation: str = "withdraw", timeout: float = 0.3) -> Any:
    call = {"to": PAYEE, "data": b"", "value": amount}
    return send_transaction(backend, call, ALICE, operation, timeout, amount=amount)[0]


def paid(backend: Any) -> int:
    return backend.web3.eth.get_balance(PAYEE)


def next_process(backend: Any) -> None:
    """What a later command knows of this one: the file alone."""
    backend.journal = Journal(backend.journal._path)


def killed(backend: Any, monkeypatch: pytest.MonkeyPatch, action: Any, *, reaching_the_node: bool = True) -> None:
    """Do ``action`` in a process that is killed as soon as the node has the transaction, or just before."""
    send = backend.web3.eth.send_raw_transaction

    def last(raw: bytes) -> None:
        if reaching_the_node:
            send(raw)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(backend.web3.eth, "send_raw_transaction", last)
        with pytest.raises(Killed):
            action()
    next_process(backend)


def answering(backend: Any, monkeypatch: pytest.MonkeyPatch, message: str, *, first: Any) -> None:
    """What is sent goes to ``first``, with the real way to send, and is then answered with an error."""
    send = backend.web3.eth.send_raw_transaction

    def refuse(raw: bytes) -> None:
        first(send, raw)
        raise Web3RPCError(message, rpc_response={"error": {"code": -32002, "message": message}})

    monkeypatch.setattr(backend.web3.eth, "send_raw_transaction", refuse)


def dearer(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the market's price be another, so that what is sent is another version."""
    price = 5 * backend.web3.eth.get_block("latest")["baseFeePerGas"]
    monkeypatch.setattr("chain.contract.transactions.market_price", lambda _: {"gasPrice": price})


def mine(backend: Any) -> None:
    ask(backend, "evm_mine")


class TestOnANode:
    def test_what_is_under_way_is_named_and_not_sent_again(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node))
        (intent,) = node.journal.intents
        with pytest.raises(TransactionPending, match=rf"withdrawal of 9 wei .*{intent.hashes[0]}") as error:
            pay(node)
        assert "run the same command again" not in error.value.hint
        mine(node)
        assert paid(node) == 9

    def test_what_was_mined_is_told_again_and_again_until_somebody_decides(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node))
        (intent,) = node.journal.intents
        mine(node)
        for _ in range(2):
            with pytest.raises(AlreadySent, match=r"earlier withdrawal of 9 wei .* in block 1\b") as error:
                pay(node)
            next_process(node)
        assert error.value.details["transaction"] == intent.hashes[0]
        assert error.value.details["amount"] == "9"
        assert error.value.exit_code == 3
        assert "--again" in error.value.hint
        assert paid(node) == 9
        node.journal.forget(error.value.intents)
        ask(node, "evm_setAutomine", True)
        pay(node)
        assert paid(node) == 18
        assert node.journal.intents == ()

    def test_what_is_mined_while_it_is_waited_for_is_told(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node))
        monkeypatch.setattr("chain.contract.earlier.time.sleep", lambda _: mine(node))
        with pytest.raises(AlreadySent, match="block 1"):
            pay(node, timeout=10)
        assert paid(node) == 9

    def test_what_never_reached_the_node_is_sent_once(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node), reaching_the_node=False)
        assert len(node.journal.intents) == 1
        ask(node, "evm_setAutomine", True)
        pay(node)
        assert paid(node) == 9
        assert node.journal.intents == ()

    @pytest.mark.parametrize("message", ["request timed out", "Internal error"])
    def test_what_the_node_took_before_it_answered_with_an_error_is_told(self, node, monkeypatch, message):
        answering(node, monkeypatch, message, first=lambda send, raw: send(raw))
        with pytest.raises(TransactionRejected, match=rf"{message}; the transaction 0x\w+ may have been sent") as error:
            pay(node)
        assert "looks first" in error.value.hint
        next_process(node)
        (intent,) = node.journal.intents
        mine(node)
        with pytest.raises(AlreadySent) as told:
            pay(node)
        assert told.value.details["transaction"] == intent.hashes[0]
        assert paid(node) == 9

    @pytest.mark.parametrize("amount", [9, 10])
    def test_what_an_earlier_command_sent_is_remembered_when_its_replacement_is_refused(
        self, node, monkeypatch, amount
    ):
        taken: list[bytes] = []
        with monkeypatch.context() as patch:
            answering(node, patch, "request timed out", first=lambda _, raw: taken.append(raw))
            with pytest.raises(TransactionRejected):
                pay(node)
        next_process(node)
        (first,) = node.journal.intents
        # this node does not know it, but the next one of the network does
        with monkeypatch.context() as patch:
            answering(node, patch, "replacement transaction underpriced", first=lambda *_: None)
            dearer(node, patch)
            with pytest.raises(TransactionRejected, match="underpriced"):
                pay(node, amount)
        next_process(node)
        assert first.hashes[0] in {hash_ for each in node.journal.intents for hash_ in each.hashes}
        node.web3.eth.send_raw_transaction(taken[0])
        mine(node)
        with pytest.raises(AlreadySent) as told:
            pay(node)
        assert told.value.details["transaction"] == first.hashes[0]
        assert told.value.details["amount"] == "9"
        assert paid(node) == 9

    def test_what_an_earlier_command_sent_counts_when_it_is_mined_in_the_place_of_its_repetition(
        self, node, monkeypatch
    ):
        taken: list[bytes] = []
        with monkeypatch.context() as patch:
            answering(node, patch, "request timed out", first=lambda _, raw: taken.append(raw))
            with pytest.raises(TransactionRejected):
                pay(node)
        next_process(node)
        (first,) = node.journal.intents
        send = node.web3.eth.send_raw_transaction

        def another_node(raw: bytes) -> None:
            assert raw != taken[0]
            send(taken[0])
            mine(node)

        dearer(node, monkeypatch)
        monkeypatch.setattr(node.web3.eth, "send_raw_transaction", another_node)
        assert pay(node, timeout=10).transaction == first.hashes[0]
        assert node.journal.intents == ()
        assert paid(node) == 9

    def test_plain_refusal_leaves_nothing_to_ask_about(self, node, monkeypatch):
        monkeypatch.setattr(node.web3.eth, "estimate_gas", lambda *_: 21_000)
        with pytest.raises(TransactionRejected, match=r"(?i)insufficient funds") as error:
            pay(node, 11 * ETHER)
        assert "may have been sent" not in str(error.value)
        assert node.journal.intents == ()

    def test_plain_refusal_forgets_no_earlier_version(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node), reaching_the_node=False)
        (first,) = node.journal.intents
        dearer(node, monkeypatch)
        answering(node, monkeypatch, "insufficient funds for gas * price + value", first=lambda *_: None)
        with pytest.raises(TransactionRejected, match="insufficient funds"):
            pay(node)
        (kept,) = node.journal.intents
        assert kept.hashes[0] == first.hashes[0]

    @pytest.mark.slow
    def test_any_version_counts_whatever_its_price(self, node, monkeypatch):
        with monkeypatch.context() as patch:
            clock = itertools.count()
            ticking = SimpleNamespace(monotonic=lambda: next(clock) / 50, sleep=lambda _: None)
            patch.setattr("chain.contract.transactions.time", ticking)
            with pytest.raises(TransactionTimeout, match="not mined within"):
                pay(node)
        (intent,) = node.journal.intents
        assert len(intent.hashes) > 1
        mine(node)
        next_process(node)
        with pytest.raises(AlreadySent):
            pay(node)
        assert paid(node) == 9

    def test_earlier_failure_stands_in_nobodys_way(self, node, monkeypatch):
        monkeypatch.setattr(node.web3.eth, "estimate_gas", lambda *_: 100_000)
        reverting = Account.from_key(b"\x12" * 32).address
        ask(node, "anvil_setCode", reverting, "0xfe")
        call = {"to": reverting, "data": b"", "value": 3}

        def send() -> Any:
            return send_transaction(node, call, ALICE, "withdraw", 0.3, amount=3)

        killed(node, monkeypatch, send)
        mine(node)
        ask(node, "anvil_setCode", reverting, "0x")
        ask(node, "evm_setAutomine", True)
        send()
        assert node.web3.eth.get_balance(reverting) == 3

    def test_only_the_same_operation_asks(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node))
        mine(node)
        ask(node, "evm_setAutomine", True)
        pay(node, operation="depositSubmit")
        assert paid(node) == 18
        with pytest.raises(AlreadySent):
            pay(node)

    def test_what_took_its_place_is_told(self, node, monkeypatch):
        killed(node, monkeypatch, lambda: pay(node))
        price = 10 * node.web3.eth.get_block("latest")["baseFeePerGas"]
        faster = {"to": PAYEE, "value": 9, "nonce": 0, "gas": 21_000, "gasPrice": price, "chainId": 31_337}
        node.web3.eth.send_raw_transaction(ALICE.sign_transaction(faster).raw_transaction)
        mine(node)
        with pytest.raises(AlreadySent, match="something else took its place"):
            pay(node)
        assert paid(node) == 9

    def test_what_another_workspace_has_under_way_is_told_once_it_is_mined(self, node, monkeypatch, tmp_path):
        killed(node, monkeypatch, lambda: pay(node))
        node.journal = Journal(tmp_path / "elsewhere.json")
        with pytest.raises(TransactionPending, match="still under way, from nonce 0") as error:
            pay(node)
        assert "whether they did what you want" in error.value.hint
        mine(node)
        next_process(node)
        with pytest.raises(AlreadySent, match="not sent from this workspace"):
            pay(node)
        assert paid(node) == 9

    def test_what_no_block_follows_took_effect_and_is_not_sent_again(self, start_anvil, tmp_path):
        url = start_anvil("--chain-id", "5551").url
        with connect(url, confirmations=1) as public:
            ask(public, "anvil_setBalance", ALICE.address, hex(10 * ETHER))
            public.journal = Journal(tmp_path / "sent.json")
            with pytest.raises(TransactionUnconfirmed, match="took effect"):
                pay(public)
            next_process(public)
            with pytest.raises(AlreadySent):
                pay(public)
            assert paid(public) == 9

    @pytest.mark.slow
    def test_bonds_that_follow_from_the_balances_count_what_was_under_way(self, node, make_terms, monkeypatch):
        ask(node, "evm_setAutomine", True)
        ledger = ChainProvider(node, 7).deploy(make_terms(4))
        ask(node, "evm_setAutomine", False)
        bonds = [2 * liability for liability in ledger.state().liabilities]
        killed(node, monkeypatch, lambda: ledger.deposit(1, bonds[1]))

        def mine_and_go_on(_: float) -> None:
            mine(node)
            ask(node, "evm_setAutomine", True)

        monkeypatch.setattr("chain.contract.earlier.time.sleep", mine_and_go_on)
        # one account has a transaction under way, which the balances do not show yet
        told: list[str] = []
        added = once_by_state(node.journal, lambda: RoundLoop.bond(SimpleNamespace(ledger=ledger)), told.append)
        assert list(ledger.state().balances) == bonds
        assert added == (0, 0, bonds[2], bonds[3])
        assert [text.endswith("it is counted") for text in told] == [True]
        assert node.journal.intents == ()

    def test_replaced_transaction_does_not_ask_to_repeat_it_blindly(self, node, monkeypatch):
        price = 10 * node.web3.eth.get_block("latest")["baseFeePerGas"]
        foreign = {"to": PAYEE, "value": 7, "nonce": 0, "gas": 21_000, "gasPrice": price, "chainId": 31_337}
        send = node.web3.eth.send_raw_transaction

        def outbid(raw: bytes) -> Any:
            hash_ = send(raw)
            send(ALICE.sign_transaction(foreign).raw_transaction)
            mine(node)
            return hash_

        monkeypatch.setattr(node.web3.eth, "send_raw_transaction", outbid)
        with pytest.raises(TransactionReplaced) as error:
            pay(node, timeout=10)
        assert "before you run the command again" in error.value.hint


class TestConsortium:
    @pytest.fixture
    def chain(self, tester, tmp_path):
        tester.journal = Journal(tmp_path / "sent.json")
        yield tester
        tester.journal = Journal()

    def test_deposit_and_withdrawal_that_were_killed_are_not_made_twice(self, chain, make_terms, monkeypatch):
        ledger = ChainProvider(chain, 7).deploy(make_terms(4))
        moves = ((lambda: ledger.deposit(1, 9 * BOND), 9), (lambda: ledger.withdraw(1, 3 * BOND), 6))
        for move, bonds in moves:
            killed(chain, monkeypatch, move)
            with pytest.raises(AlreadySent) as error:
                move()
            assert ledger.state().balances[1] == bonds * BOND
            chain.journal.forget(error.value.intents)
        ledger.deposit(1, 9 * BOND)
        assert ledger.state().balances[1] == 15 * BOND

    def test_another_member_is_not_asked(self, chain, make_terms, monkeypatch):
        ledger = ChainProvider(chain, 7).deploy(make_terms(4))
        killed(chain, monkeypatch, lambda: ledger.deposit(1, BOND))
        ledger.deposit(2, BOND)
        assert ledger.state().balances[1:3] == (BOND, BOND)

    def test_token_is_not_approved_for_a_deposit_that_was_made(
        self, chain, make_terms, monkeypatch, tester_token, deploy_mock
    ):
        terms = make_terms(4, token=tester_token.address)
        ledger = ChainProvider(chain, 7).deploy(terms)
        tester_token.send("mint", terms.members[1].address, 5 * BOND)
        ledger.deposit(1, BOND)
        ledger._allow_deposit(
            ledger.encoded.positions[1],
            2 * BOND,
            ledger._accounts.ready(ledger._accounts.signer(terms.members[1].name)),
        )
        killed(chain, monkeypatch, lambda: ledger.deposit(1, 2 * BOND))
        with pytest.raises(AlreadySent):
            ledger.deposit(1, 2 * BOND)
        assert ledger.state().balances[1] == 3 * BOND
        assert tester_token.ask("allowance", terms.members[1].address, ledger.contract.address) == 0

    def test_deployment_that_was_killed_is_gone_on_with(self, chain, make_terms, monkeypatch):
        provider = ChainProvider(chain, 7)
        killed(chain, monkeypatch, lambda: provider.deploy(make_terms(4)))
        (intent,) = chain.journal.intents
        nonce = chain.web3.eth.get_transaction_count(intent.account)
        ledger = provider.deploy(make_terms(4))
        assert chain.web3.eth.get_transaction_count(intent.account) == nonce
        assert ledger.deployment.details["transaction"] == intent.hashes[0]
        assert provider.connect(make_terms(4), ledger.deployment).state().phase == "idle"
        assert chain.journal.intents == ()
        assert provider.deploy(make_terms(4)).contract.address != ledger.contract.address

    def test_deployment_of_other_terms_is_left_alone_and_said(self, chain, make_terms, monkeypatch, caplog):
        provider, other = ChainProvider(chain, 7), replace(make_terms(4), incentive=0.5)
        killed(chain, monkeypatch, lambda: provider.deploy(make_terms(4)))
        assert provider.deploy(other).contract.terms_hash == provider.deploy(other).contract.terms_hash
        assert "stays unused" in caplog.text

    def test_every_step_of_a_round_is_refused_the_second_time(self, chain, make_terms):
        ledger = ChainProvider(chain, 7).deploy(make_terms(4))
        for index in range(4):
            ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
        contribution = Contribution(50, 20, 3, b"\x05" * 32)

        def twice(step: Any) -> None:
            step()
            with pytest.raises(ContractError):
                step()

        twice(lambda: ledger.exit(3))
        twice(lambda: ledger.exit(3, cancel=True))
        twice(ledger.open_round)
        signature = ledger.attest(0, contribution)
        ledger.submit(0, contribution, signature)
        with pytest.raises(AlreadySubmitted):
            ledger.submit(0, contribution, signature)
        for index in (1, 2, 3):
            ledger.submit(index, contribution, ledger.attest(index, contribution))
        twice(ledger.record)
        twice(lambda: ledger.dispute(1, b"\x07" * 32))
        twice(lambda: ledger.resolve("settle"))
        account = ledger._accounts.ready(ledger._accounts.signer("operator"))
        twice(lambda: ledger.contract.payoff_calculate(account=account))
        twice(lambda: ledger.contract.payoff_transfer(account=account))
        assert chain.journal.intents == ()
