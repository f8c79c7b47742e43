"""What a wallet told the contract counts, not what it says at the end of the block: owners change in between."""

from __future__ import annotations

from typing import Any

import pytest

from chain.abi import keccak256
from chain.audit import audit
from chain.contract.answers import Place, wallet_answer
from chain.contract.provider import ChainProvider
from chain.encoding.signatures import Domain, contribution_struct_hash
from chain.errors.chain import TransactionRejected
from chain.keys.keystores import development_account
from cocogen.ledger import Contribution

SEED = 7
COUNT = 3
EVIDENCE = b"\x05" * 32
APPROVE, REFUSE = 0, 1


class Block:
    """Transactions of one block: contributions by their members, and a wallet that changes its mind."""

    def __init__(self, backend: Any, ledger: Any, wallet: Any) -> None:
        self.backend, self.ledger, self.wallet = backend, ledger, wallet
        self.eth = backend.web3.eth
        self.stranger = development_account(SEED, "stranger")
        backend.fund(self.stranger.address, 10**18)
        self.nonce = self.eth.get_transaction_count(self.stranger.address)
        self.local = hasattr(backend.web3.provider, "ethereum_tester")

    def __enter__(self) -> Block:
        if not self.local:
            self.backend.web3.provider.make_request("evm_setAutomine", [False])
        return self

    def __exit__(self, *_: object) -> None:
        if self.local:
            self.backend._evm.mine_blocks()
        else:
            self.backend.web3.provider.make_request("evm_mine", [])
            self.backend.web3.provider.make_request("evm_setAutomine", [True])

    def decide(self, answer: int, index: int) -> None:
        data = self.wallet._contract.encode_abi("set", args=[answer, digest_of(self.ledger, index)])
        self._send(self.stranger, self.wallet.address, data, self.nonce)
        self.nonce += 1

    def submit(self, index: int, signature: bytes = b"any bytes") -> None:
        position = self.ledger.encoded.positions[index]
        arguments = [position, *parts_of(self.ledger, index), EVIDENCE, signature]
        data = self.ledger.contract._contract.encode_abi("contributionSubmit", args=arguments)
        account = development_account(SEED, f"o{index}")
        nonce = self.eth.get_transaction_count(account.address)
        self._send(account, self.ledger.contract.address, data, nonce)

    def _send(self, account: Any, to: str, data: str, nonce: int) -> None:
        call = {"to": to, "data": data, "value": 0, "nonce": nonce, "gas": 400_000, "gasPrice": 10**11}
        signed = account.sign_transaction({**call, "chainId": self.backend.chain_id})
        # eth-tester's own front end mines at once
        send = self.backend._evm.send_raw_transaction if self.local else self.eth.send_raw_transaction
        send(bytes(signed.raw_transaction))


def parts_of(ledger: Any, index: int) -> tuple[int, int, int]:
    member = ledger.terms.members[index]
    return member.data_cap // 2, member.generated_cap // 2, 0


def digest_of(ledger: Any, index: int) -> bytes:
    account = ledger.terms.members[index].address
    parts = (*parts_of(ledger, index), EVIDENCE)
    struct_hash = contribution_struct_hash(ledger.decoded.terms_hash, 1, account, *parts)
    return Domain(ledger.deployment.chain_id, ledger.deployment.address).digest(struct_hash)


def begin(backend: Any, terms: Any, deploy_mock: Any) -> Block:
    wallet = deploy_mock(backend, "ContractAttester")
    ledger: Any = ChainProvider(backend, SEED).deploy(terms(COUNT, attester=wallet.address, quorum_bps=1))
    for index in range(COUNT):
        ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
    wallet.send("roundOpen", ledger.deployment.address)
    return Block(backend, ledger, wallet)


@pytest.fixture
def block(tester, make_terms, deploy_mock) -> Block:
    return begin(tester, make_terms, deploy_mock)


def judged(ledger: Any) -> tuple[bool | None, str, str]:
    record = ledger.collect()
    report = audit(record, ledger.terms)
    signed = next(event for event in record.events if event.name == "ContributionSubmitted")
    return signed.attested, report.checks[3].status, report.status


class TestOwnersThatChangeInTheSameBlock:
    def test_after_the_contribution(self, block):
        block.wallet.send("set", APPROVE, digest_of(block.ledger, 0))
        with block:
            block.submit(0)
            block.decide(REFUSE, 0)
        assert judged(block.ledger) == (True, "PASS", "PASS")

    def test_before_the_contribution(self, block):
        with block:
            block.decide(APPROVE, 0)
            block.submit(0)
        assert judged(block.ledger) == (True, "PASS", "PASS")

    def test_before_and_after_it_only_a_trace_can_tell(self, block):
        with block:
            block.decide(APPROVE, 0)
            block.submit(0)
            block.decide(REFUSE, 0)
        assert block.ledger.state().submitted[0]
        assert judged(block.ledger) == (None, "INCOMPLETE", "INCOMPLETE")

    @pytest.mark.slow
    def test_a_node_with_traces_gives_the_answer_itself(self, anvil, make_terms, deploy_mock):
        block = begin(anvil, make_terms, deploy_mock)
        with block:
            block.decide(APPROVE, 0)
            block.submit(0)
            block.decide(REFUSE, 0)
        assert block.ledger.state().submitted[0]
        assert judged(block.ledger) == (True, "PASS", "PASS")


class TestTraces:
    """The form of geth's callTracer, which other clients share."""

    @pytest.fixture
    def open_question(self, block, monkeypatch):
        """A contribution about which the states before and after its block tell nothing, and the trace given for it."""
        with block:
            block.decide(APPROVE, 0)
            block.submit(0)
            block.decide(REFUSE, 0)
        ask = block.backend.web3.provider.make_request

        def trace(answer: Any) -> tuple[bool | None, str, str]:
            def traced(method: str, params: Any) -> Any:
                if method != "debug_traceTransaction":
                    return ask(method, params)
                if isinstance(answer, Exception):
                    raise answer
                return answer

            monkeypatch.setattr(block.backend.web3.provider, "make_request", traced)
            return judged(block.ledger)

        trace.block = block  # type: ignore[attr-defined]
        return trace

    def frame(self, block: Block, **changes: Any) -> dict[str, Any]:
        digest = digest_of(block.ledger, 0).hex()
        padded = b"any bytes".ljust(32, b"\0").hex()
        asked = {
            "type": "STATICCALL",
            "from": block.ledger.contract.address.lower(),
            "to": block.wallet.address.lower(),
            "input": f"0x1626ba7e{digest}{64:064x}{9:064x}{padded}",
            "output": "0x1626ba7e" + "00" * 28,
        }
        inner = {**asked, **changes}
        return {"result": {"type": "CALL", "to": block.ledger.contract.address.lower(), "calls": [inner]}}

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (True, "PASS", "PASS")),
            ({"output": "0xffffffff" + "00" * 28}, (False, "FAIL", "FAIL")),
            ({"output": "0x1626ba7e"}, (False, "FAIL", "FAIL")),
            ({"error": "execution reverted"}, (False, "FAIL", "FAIL")),
            ({"to": "0x" + "11" * 20}, (None, "INCOMPLETE", "INCOMPLETE")),
            ({"from": "0x" + "11" * 20}, (None, "INCOMPLETE", "INCOMPLETE")),
            ({"input": "0x1626ba7e"}, (None, "INCOMPLETE", "INCOMPLETE")),
        ],
    )
    def test_the_answer_is_that_of_the_wallet_to_this_question(self, open_question, changes, expected):
        assert open_question(self.frame(open_question.block, **changes)) == expected

    @pytest.mark.parametrize(
        "answer",
        [
            {"error": {"code": -32601, "message": "the method does not exist"}},
            {"result": None},
            {"result": {"calls": "none"}},
            {"result": {"calls": [7, None]}},
            TransactionRejected("not here"),
        ],
    )
    def test_without_a_trace_there_is_no_answer(self, open_question, answer):
        assert open_question(answer) == (None, "INCOMPLETE", "INCOMPLETE")


def assembled(runtime: str) -> str:
    """Creation code for runtime code of less than 256 bytes."""
    size = len(runtime) // 2
    return f"0x60{size:02x}600c60003960{size:02x}6000f3{runtime}"


def test_an_attester_that_lost_its_code_had_its_say_before(tester, make_terms):
    """It accepts everything; 20 bytes let it open a round there, and none at all end it."""
    selector = keccak256(b"roundOpen()")[:4].hex()
    accepts = "631626ba7e60e01b60005260206000f3"
    opens = f"5b63{selector}60e01b6000526000600060046000600060003560601c5af100"
    at_opens = 12 + len(accepts) // 2
    at_ends = at_opens + len(opens) // 2
    # CALLDATASIZE = 20: jump to opens; CALLDATASIZE = 0: jump to the end (SELFDESTRUCT)
    runtime = f"3660141460{at_opens:02x}57361560{at_ends:02x}57" + accepts + opens + "5b33ff"
    eth = tester.web3.eth
    wallet = eth.get_transaction_receipt(eth.send_transaction({"from": eth.accounts[0], "data": assembled(runtime)}))
    address = wallet["contractAddress"]
    ledger: Any = ChainProvider(tester, SEED).deploy(make_terms(COUNT, attester=address, quorum_bps=1))
    for index in range(COUNT):
        ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
    eth.send_transaction({"from": eth.accounts[0], "to": address, "data": ledger.contract.address})
    for index in range(COUNT):
        ledger.submit(index, Contribution(*parts_of(ledger, index), EVIDENCE), b"\x01")
    eth.send_transaction({"from": eth.accounts[0], "to": address})
    assert eth.get_code(address) == b""
    record = ledger.collect()
    assert record.attester_is_contract
    assert audit(record, ledger.terms).status == "PASS"


def test_a_key_is_not_asked(tester, make_terms, monkeypatch):
    ledger: Any = ChainProvider(tester, SEED).deploy(make_terms(COUNT))
    for index in range(COUNT):
        ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
    ledger.open_round()
    contribution = Contribution(1, 1, 1, EVIDENCE)
    ledger.submit(0, contribution, ledger.attest(0, contribution))
    monkeypatch.setattr("chain.contract.answers.is_contract", lambda *_, **__: pytest.fail("asked"))
    event = ledger.collect().events[-1]
    assert event.attested is None
    assert wallet_answer(ledger.contract, event, Place(0, 1)) is None
