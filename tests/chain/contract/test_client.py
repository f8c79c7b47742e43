"""The contract client: every refusal as its typed error on every path, events, views and node failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import pytest

from chain.artifacts import CONTRACTS, load_artifact
from chain.backends.clock import GENESIS_TIME
from chain.contract.client import ConsortiumContract
from chain.errors import contract as errors
from chain.errors import disputes, foreign
from chain.errors.chain import ArgumentOutOfRange, NoContract, TransactionRejected, TransactionTimeout, UnknownRevert
from chain.errors.contract import WrongPhase
from chain.errors.reverts import CONTRACT_ERRORS, ContractError
from chain.keys.keystores import development_account
from chain.record.values import Event

ZERO = "0x" + "00" * 20
PLENTY_OF_GAS = 3_000_000

# Raised by OpenZeppelin where no caller of ours can see it: the guard's error is swallowed by `withdraw` (the payee's
# failure becomes TransferFailed), and the two string errors guard the constant EIP-712 name and version.
UNREACHABLE = {"ReentrancyGuardReentrantCall", "InvalidShortString", "StringTooLong"}

Refusal = Callable[[Any], tuple[str, tuple[Any, ...], Any, int, ContractError]]
REFUSALS: dict[str, Refusal] = {}
VECTOR_REFUSALS: dict[str, Refusal] = {}


def refusal(function: Refusal) -> Refusal:
    REFUSALS[function.__name__] = function
    return function


def vector_refusal(function: Refusal) -> Refusal:
    VECTOR_REFUSALS[function.__name__] = function
    return function


def rejecting_contract(stage: Any) -> str:
    """The address of a contract whose every call reverts without data."""
    runtime = bytes.fromhex("60006000fd")
    creation = bytes.fromhex("6005600c60003960056000f3") + runtime
    eth = stage.backend.web3.eth
    receipt = eth.get_transaction_receipt(eth.send_transaction({"from": eth.accounts[0], "data": creation}))
    return receipt["contractAddress"]


@refusal
def UnknownMember(stage):
    return "exitRequest", (9,), stage.accounts[0], 0, errors.UnknownMember(9, 4)


@refusal
def NotMember(stage):
    caller = stage.accounts[1]
    return "exitRequest", (0,), caller, 0, errors.NotMember(0, caller.address)


@refusal
def TermsMismatch(stage):
    expected = errors.TermsMismatch(b"\x09" * 32, stage.encoded.terms_hash)
    return "depositSubmit", (0, b"\x09" * 32), stage.accounts[0], 1, expected


@refusal
def BondTooSmall(stage):
    liability = stage.encoded.liabilities[0]
    expected = errors.BondTooSmall(0, liability - 1, liability)
    return "depositSubmit", (0, stage.encoded.terms_hash), stage.accounts[0], liability - 1, expected


@refusal
def TotalBalanceTooLarge(stage):
    stage.bond(1)
    stage.backend.fund(stage.accounts[0].address, 1 << 128)
    expected = errors.TotalBalanceTooLarge((1 << 127) + 2 * stage.encoded.liabilities[1])
    return "depositSubmit", (0, stage.encoded.terms_hash), stage.accounts[0], 1 << 127, expected


@refusal
def NotAttester(stage):
    return "roundOpen", (), stage.accounts[2], 0, errors.NotAttester(stage.accounts[2].address)


@refusal
def WrongPhase_(stage):
    stage.bond()
    stage.open()
    return "roundOpen", (), stage.attester, 0, errors.WrongPhase(1, 0)


@refusal
def NoRoundsLeft(stage):
    stage.bond()
    stage.open()
    stage.submit()
    stage.record()
    stage.calculate()
    stage.transfer()
    stage.backend.advance(stage.encoded.scalars.min_gap)
    return "roundOpen", (), stage.attester, 0, errors.NoRoundsLeft(1)


@refusal
def TooEarly(stage):
    stage.bond()
    stage.open()
    expected = errors.TooEarly(stage.backend.now() + 1, stage.contract.round().deadline + 1)
    return "profileRecord", (), stage.operator, 0, expected


@refusal
def NotEnoughMembers(stage):
    stage.bond(2)
    return "roundOpen", (), stage.attester, 0, errors.NotEnoughMembers(1, 2)


@refusal
def TooLate(stage):
    stage.bond()
    stage.open()
    deadline = stage.contract.round().deadline
    stage.backend.wait_until(deadline + 1)
    expected = errors.TooLate(deadline + 1, deadline)
    return "contributionSubmit", stage.attested(0, 1, 1, 1), stage.accounts[0], 0, expected


@refusal
def NotParticipant(stage):
    stage.bond(0, 1, 2)
    stage.open()
    return "contributionSubmit", stage.attested(3, 1, 1, 1), stage.accounts[3], 0, errors.NotParticipant(3, 1)


@refusal
def AlreadySubmitted(stage):
    stage.bond()
    stage.open()
    stage.submit(0)
    return "contributionSubmit", stage.attested(0, 1, 1, 1), stage.accounts[0], 0, errors.AlreadySubmitted(0, 1)


@refusal
def EvidenceMissing(stage):
    stage.bond()
    stage.open()
    index, data, generated, compute, _, signature = stage.attested(0, 1, 1, 1)
    arguments = (index, data, generated, compute, bytes(32), signature)
    return "contributionSubmit", arguments, stage.accounts[0], 0, errors.EvidenceMissing(0)


@refusal
def CapExceeded(stage):
    stage.bond()
    stage.open()
    cap = stage.encoded.members[1].generated_cap
    arguments = stage.attested(1, 0, cap + 1, 0)
    return "contributionSubmit", arguments, stage.accounts[1], 0, errors.CapExceeded(1, 1, cap + 1, cap)


@refusal
def InvalidSignature(stage):
    stage.bond()
    stage.open()
    arguments = stage.attested(0, 1, 1, 1, signer=stage.accounts[0])
    expected = errors.InvalidSignature(stage.attester.address)
    return "contributionSubmit", arguments, stage.accounts[0], 0, expected


@refusal
def BondLocked(stage):
    stage.bond()
    stage.open()
    liability = stage.encoded.liabilities[0]
    expected = errors.BondLocked(0, liability + 1, liability)
    return "withdraw", (0, liability + 1, stage.accounts[0].address), stage.accounts[0], 0, expected


@refusal
def WithdrawalExceedsBalance(stage):
    stage.bond()
    balance = 2 * stage.encoded.liabilities[0]
    expected = errors.WithdrawalExceedsBalance(0, balance + 1, balance)
    return "withdraw", (0, balance + 1, stage.accounts[0].address), stage.accounts[0], 0, expected


@refusal
def InvalidRecipient(stage):
    stage.bond()
    return "withdraw", (0, 1, ZERO), stage.accounts[0], 0, errors.InvalidRecipient(ZERO)


@refusal
def TransferFailed(stage):
    stage.bond()
    payee = rejecting_contract(stage)
    return "withdraw", (0, 5, payee), stage.accounts[0], 0, errors.TransferFailed(payee, 5)


@refusal
def AlreadyExiting(stage):
    stage.contract.exit_request(0, account=stage.accounts[0])
    return "exitRequest", (0,), stage.accounts[0], 0, errors.AlreadyExiting(0)


@refusal
def NotExiting(stage):
    return "exitCancel", (0,), stage.accounts[0], 0, errors.NotExiting(0)


@refusal
def ReasonMissing(stage):
    recorded(stage)
    return "disputeRaise", (0, bytes(32)), stage.accounts[0], 0, disputes.ReasonMissing(0)


@refusal
def DisputeBondTooSmall(stage):
    recorded(stage)
    free = stage.encoded.liabilities[0]
    payee = "0x" + "12" * 20
    stage.contract.withdraw(0, free, payee, account=stage.accounts[0])
    needed = free + stage.encoded.scalars.dispute_bond
    expected = disputes.DisputeBondTooSmall(0, free, needed)
    return "disputeRaise", (0, b"\x0d" * 32), stage.accounts[0], 0, expected


@refusal
def NotArbiter(stage):
    recorded(stage)
    stage.dispute(0)
    return "disputeResolve", (0,), stage.attester, 0, disputes.NotArbiter(stage.attester.address)


@refusal
def RulingOutOfRange(stage):
    recorded(stage)
    stage.dispute(0)
    return "disputeResolve", (3,), stage.arbiter, 0, disputes.RulingOutOfRange(3, 2)


@refusal
def NotDefaultRuling(stage):
    recorded(stage)
    stage.dispute(0)
    stage.backend.wait_until(stage.contract.round().deadline + 1)
    return "disputeResolve", (2,), stage.arbiter, 0, disputes.NotDefaultRuling(2, 0)


@refusal
def WrongMode(stage):
    return "transfersSubmit", ([0] * 4, b"\x05" * 32, bytes(65)), stage.operator, 0, disputes.WrongMode(0, 1)


@vector_refusal
def TransfersMissing(stage):
    return "disputeRaise", (0, b"\x0d" * 32), stage.accounts[0], 0, disputes.TransfersMissing(1)


@vector_refusal
def TransfersAlreadySubmitted(stage):
    signed = stage.attested_transfers((0,) * 4)
    stage.contract.transfers_submit(*signed, account=stage.operator)
    return "transfersSubmit", signed, stage.operator, 0, disputes.TransfersAlreadySubmitted(1)


@vector_refusal
def TransfersLengthInvalid(stage):
    signed = stage.attested_transfers((0,) * 3)
    return "transfersSubmit", signed, stage.operator, 0, disputes.TransfersLengthInvalid(3, 4)


@vector_refusal
def TransfersEvidenceMissing(stage):
    transfers, _, signature = stage.attested_transfers((0,) * 4)
    expected = disputes.TransfersEvidenceMissing(1)
    return "transfersSubmit", (transfers, bytes(32), signature), stage.operator, 0, expected


@vector_refusal
def TransferOutOfRange(stage):
    beyond = -stage.encoded.liabilities[1] - 1
    signed = stage.attested_transfers((-beyond, beyond, 0, 0))
    expected = disputes.TransferOutOfRange(1, beyond, beyond + 1, 2**127 - 1)
    return "transfersSubmit", signed, stage.operator, 0, expected


@vector_refusal
def TransfersUnbalanced(stage):
    signed = stage.attested_transfers((-3, 1, 0, 0))
    return "transfersSubmit", signed, stage.operator, 0, disputes.TransfersUnbalanced(-2)


@vector_refusal
def InvalidSignature_(stage):
    signed = stage.attested_transfers((-3, 3, 0, 0), signer=stage.accounts[0])
    return "transfersSubmit", signed, stage.operator, 0, errors.InvalidSignature(stage.attester.address)


def sampled(names, *chosen):
    """Parameters of which a sample runs on every ledger with CI=true."""
    assert set(chosen) <= set(names)
    return [pytest.param(name, marks=pytest.mark.every_ledger) if name in chosen else name for name in names]


@pytest.fixture(scope="session")
def shared_vector_stage(shared_backend, vector_terms, make_stage):
    stage = make_stage(shared_backend, vector_terms(4))
    recorded(stage)
    return stage


@pytest.fixture
def recorded_vector_stage(shared_vector_stage, backend):
    """A recorded round of four members in vector mode, on each backend in turn, as fresh for every test."""
    return shared_vector_stage


def recorded(stage):
    stage.bond()
    stage.open()
    stage.submit()
    stage.record()


CONSTRUCTOR: dict[str, tuple[Callable[[Any], Any], ContractError | Callable[[Any], ContractError]]] = {
    "RecordsLengthInvalid": (lambda t: raw(t, records=t.records[:-1]), errors.RecordsLengthInvalid(4 * 68 - 1)),
    "MemberCountOutOfRange": (
        lambda t: raw(t, records=t.records[:68], triangle=b""),
        errors.MemberCountOutOfRange(1, 2, 120),
    ),
    "TriangleLengthInvalid": (lambda t: raw(t, triangle=t.triangle + b"\0"), errors.TriangleLengthInvalid(13, 12)),
    "MembersNotSorted": (
        lambda t: raw(t, records=t.records[68:136] + t.records[:68] + t.records[136:]),
        errors.MembersNotSorted(1),
    ),
    "TermOutOfRange": (
        lambda t: raw(t, scalars=replace(t.scalars, quorum=10_001)),
        errors.TermOutOfRange("quorum", 10_001, 1, 10_000),
    ),
    "UnsupportedToken": (
        lambda t: raw(t, scalars=replace(t.scalars, token="0x" + "11" * 20)),
        errors.UnsupportedToken("0x" + "11" * 20),
    ),
    "StandInsLengthInvalid": (
        lambda t: raw(t, packed_stand_ins=bytes(63)),
        errors.StandInsLengthInvalid(63, 64),
    ),
    "StandInOutOfRange": (
        lambda t: raw(t, packed_stand_ins=stand_ins(t, 2, t.members[2].offset - 1)),
        lambda t: errors.StandInOutOfRange(2, t.members[2].offset - 1, t.members[2].offset, t.largest_scores[2]),
    ),
    "ArithmeticBound": (
        lambda t: raw(t, scalars=replace(t.scalars, gamma_wad=(1 << 160) - 1, lambda_wad=(1 << 100))),
        errors.ArithmeticBound("spread"),
    ),
}


def stand_ins(terms: Any, index: int, score: int) -> bytes:
    """Stand-ins that contribute nothing, but for that of one member."""
    scores = [score if i == index else member.offset for i, member in enumerate(terms.members)]
    return replace(terms, stand_ins=tuple(scores)).packed_stand_ins


def raw(terms: Any, **changes: Any) -> SimpleNamespace:
    """What a deployment reads of encoded terms, one part replaced by something that no encoder produces."""
    parts = {
        "contract_name": terms.contract_name,
        "records": terms.records,
        "triangle": terms.triangle,
        "packed_stand_ins": terms.packed_stand_ins,
        "scalars": terms.scalars,
    }
    return SimpleNamespace(**(parts | changes))


@pytest.mark.parametrize("name", sampled(REFUSALS, "CapExceeded", "BondTooSmall", "TransferFailed"))
def test_refusal_is_the_same_typed_error_from_call_estimate_and_mined_transaction(name, stage, monkeypatch):
    assert_refused_alike(stage, REFUSALS[name](stage), monkeypatch)


@pytest.mark.parametrize("name", sampled(VECTOR_REFUSALS, "TransfersUnbalanced"))
def test_refusal_in_vector_mode_is_the_same_typed_error(name, recorded_vector_stage, monkeypatch):
    assert_refused_alike(recorded_vector_stage, VECTOR_REFUSALS[name](recorded_vector_stage), monkeypatch)


def assert_refused_alike(stage, refused, monkeypatch):
    function, arguments, account, value, expected = refused
    contract, eth = stage.contract, stage.backend.web3.eth
    blocks = eth.block_number

    with pytest.raises(type(expected)) as called:
        contract.call(function, *arguments, sender=account.address, value=value)
    with pytest.raises(type(expected)) as estimated:
        contract.transact(function, *arguments, account=account, value=value)
    assert eth.block_number == blocks, "a refused estimate must not send anything"

    monkeypatch.setattr(eth, "estimate_gas", lambda *_: PLENTY_OF_GAS)
    with pytest.raises(type(expected)) as mined:
        contract.transact(function, *arguments, account=account, value=value)
    assert eth.block_number == blocks + 1, "without an estimate the failure is mined"

    for error in (called, estimated, mined):
        assert_same_values(error.value.values, expected.values, stage.backend.kind)


def assert_same_values(actual: tuple[Any, ...], expected: tuple[Any, ...], kind: str) -> None:
    """Equal, but that ganache tries calls under the latest block's time: one second before the next block's."""
    if kind == "ganache":
        actual = tuple(
            e if isinstance(e, int) and GENESIS_TIME < e < 1 << 40 and abs(a - e) == 1 else a
            for a, e in zip(actual, expected, strict=True)
        )
    assert actual == expected


@pytest.mark.parametrize("name", sampled(CONSTRUCTOR, "MembersNotSorted"))
def test_constructor_refusal_is_a_typed_error_from_estimate_and_mined_deployment(
    name, backend, make_terms, monkeypatch
):
    from chain.encoding.codec import encode

    damage, refused = CONSTRUCTOR[name]
    terms = encode(make_terms(4))
    expected = refused if isinstance(refused, ContractError) else refused(terms)
    assert_not_deployed(backend, damage(terms), expected, monkeypatch)


VECTOR_CONSTRUCTOR: dict[str, tuple[Callable[[Any], Any], ContractError]] = {
    "gammaWad": (
        lambda t: raw(t, scalars=replace(t.scalars, gamma_wad=1)),
        errors.TermOutOfRange("gammaWad", 1, 0, 0),
    ),
    "weight": (
        lambda t: raw(t, records=t.records[:51] + b"\x05" + t.records[52:]),
        errors.TermOutOfRange("weight", 5, 0, 0),
    ),
    "maxDebit": (
        lambda t: raw(t, records=t.records[:52] + b"\xff" * 16 + t.records[68:]),
        errors.TermOutOfRange("maxDebit", 2**256 - 1, 0, 2**127 - 1),
    ),
    "liabilities": (
        lambda t: raw(t, records=t.records[:52] + b"\x7f" + b"\xff" * 15 + t.records[68:]),
        errors.ArithmeticBound("liabilities"),
    ),
    "triangle": (lambda t: raw(t, triangle=bytes(12)), errors.TriangleLengthInvalid(12, 0)),
    "stand-ins": (lambda t: raw(t, packed_stand_ins=bytes(64)), errors.StandInsLengthInvalid(64, 0)),
    "mode": (
        lambda t: raw(t, scalars=replace(t.scalars, mode=0)),
        errors.TermOutOfRange("mode", 0, 1, 1),
    ),
    "no token": (
        lambda t: raw(t, contract_name="VectorConsortiumERC20", scalars=replace(t.scalars, token="0x" + "11" * 20)),
        errors.UnsupportedToken("0x" + "11" * 20),
    ),
}


@pytest.mark.parametrize("name", VECTOR_CONSTRUCTOR)
def test_vector_constructor_refusal_is_a_typed_error(name, tester, vector_terms, monkeypatch):
    from chain.encoding.codec import encode

    damage, expected = VECTOR_CONSTRUCTOR[name]
    assert_not_deployed(tester, damage(encode(vector_terms(4))), expected, monkeypatch)


def assert_not_deployed(backend, damaged, expected, monkeypatch):
    deployer = development_account(7, "operator")
    backend.fund(deployer.address, 10**18)
    with pytest.raises(type(expected)) as estimated:
        ConsortiumContract.deploy(backend, damaged, deployer)
    monkeypatch.setattr(backend.web3.eth, "estimate_gas", lambda *_: PLENTY_OF_GAS)
    with pytest.raises(type(expected)) as mined:
        ConsortiumContract.deploy(backend, damaged, deployer)
    assert estimated.value.values == mined.value.values == expected.values


def test_every_custom_error_of_the_contract_is_exercised():
    in_abi = {entry["name"] for name in CONTRACTS for entry in load_artifact(name).abi if entry["type"] == "error"}
    exercised = {name.rstrip("_") for name in (*REFUSALS, *VECTOR_REFUSALS)} | set(CONSTRUCTOR)
    assert exercised == in_abi - UNREACHABLE


def test_every_custom_error_of_the_contract_has_its_python_class():
    in_abi = {selector: text for name in CONTRACTS for selector, text in load_artifact(name).errors.items()}
    own = {selector for selector, cls in CONTRACT_ERRORS.items() if cls.__module__ != foreign.__name__}
    assert own <= set(in_abi) <= set(CONTRACT_ERRORS)
    for selector, signature in in_abi.items():
        assert CONTRACT_ERRORS[selector].__name__ == signature.split("(")[0]


class TestRound:
    @pytest.mark.every_ledger
    def test_full_round_moves_balances_by_the_payoffs(self, stage):
        stage.bond()
        before = stage.contract.balances()
        stage.open()
        stage.submit()
        stage.record()
        stage.calculate()
        payoffs = stage.contract.payoffs()
        stage.transfer()
        assert sum(payoffs) == 0
        assert any(payoffs)
        parts = [(m.data_cap // 2, m.generated_cap // 2, m.compute_cap // 2) for m in stage.encoded.members]
        assert payoffs == stage.encoded.payoffs(parts)
        assert stage.contract.balances() == tuple(b + r for b, r in zip(before, payoffs, strict=True))
        assert stage.contract.payoffs() == (0, 0, 0, 0)

    def test_views_return_the_deployed_terms(self, stage):
        contract, encoded = stage.contract, stage.encoded
        assert contract.terms == encoded.scalars
        assert contract.terms_hash == encoded.terms_hash
        assert tuple(member.liability for member in contract.members) == encoded.liabilities
        for view, member in zip(contract.members, encoded.members, strict=True):
            assert (view.account, view.data_cap, view.generated_cap, view.compute_cap, view.weight, view.offset) == (
                member.account,
                member.data_cap,
                member.generated_cap,
                member.compute_cap,
                member.weight,
                member.offset,
            )

    def test_views_at_an_earlier_block_show_that_block(self, stage):
        stage.bond(0)
        block = stage.backend.web3.eth.block_number
        stage.bond(1)
        assert stage.contract.balances(block=block)[1] == 0
        assert stage.contract.balances()[1] == 2 * stage.encoded.liabilities[1]

    def test_receipt_names_operation_block_and_block_time(self, stage):
        mined = stage.contract.exit_request(2, account=stage.accounts[2])
        block = stage.backend.web3.eth.get_block(mined.block)
        assert mined.operation == "exitRequest"
        assert mined.time == block["timestamp"] == stage.backend.now()
        assert "0x" + block["transactions"][0].hex() == mined.transaction
        assert 21_000 < mined.gas < 80_000

    @pytest.mark.every_ledger
    def test_payee_that_rejects_ether_does_not_stop_the_member(self, stage):
        stage.bond(0)
        payee = rejecting_contract(stage)
        with pytest.raises(errors.TransferFailed):
            stage.contract.withdraw(0, 5, payee, account=stage.accounts[0])
        elsewhere = "0x" + "12" * 20
        stage.contract.withdraw(0, 5, elsewhere, account=stage.accounts[0])
        assert stage.backend.web3.eth.get_balance(elsewhere) == 5


in_memory = pytest.mark.parametrize("shared_backend", ["tester"], indirect=True)


@in_memory
def test_a_view_that_is_read_without_the_whole_abi_gives_what_web3_gives(stage):
    stage.bond()
    stage.open()
    stage.submit()
    asked = {"balanceOf": (1,), "contributionOf": (1,), "payoffOf": (1,), "pairWeight": (0, 1), "round": ()}
    contract = stage.contract
    for function, arguments in (asked | dict.fromkeys(("accepted", "ledger", "memberCount", "termsHash"), ())).items():
        assert contract.view(function, *arguments) == contract._contract.functions[function](*arguments).call()
    assert contract.view("balanceOf", 1) > 0
    with pytest.raises(errors.UnknownMember):
        contract.view("balanceOf", 4)


@in_memory
@pytest.mark.parametrize("answer", ["0x", "0x01", "0x" + "ff" * 31])
def test_an_answer_that_is_no_value_of_a_view_is_no_contracts(stage, monkeypatch, answer):
    monkeypatch.setattr(stage.backend.web3.eth, "call", lambda *_, **__: bytes.fromhex(answer[2:]))
    with pytest.raises(NoContract, match="not answered by the contract"):
        stage.contract.view("totalBalance")


@in_memory
class TestEvents:
    def test_events_arrive_in_order_as_plain_values(self, stage):
        stage.bond(0)
        stage.contract.withdraw(0, 5, stage.accounts[0].address, account=stage.accounts[0])
        bond, address = 2 * stage.encoded.liabilities[0], stage.accounts[0].address
        terms_hash = stage.encoded.terms_hash
        logs = stage.contract.logs()
        assert [log.event for log in logs] == [
            Event("Accepted", {"index": 0, "member": address, "termsHash": terms_hash}),
            Event("Deposited", {"index": 0, "member": address, "amount": bond, "balance": bond}),
            Event("Withdrawn", {"index": 0, "to": address, "amount": 5, "balance": bond - 5}),
        ]
        assert [type(value) for value in logs[0].event.args.values()] == [int, str, bytes]
        assert [log.log_index for log in logs] == [0, 1, 0]
        assert logs[0].transaction == logs[1].transaction != logs[2].transaction

    def test_arrays_and_signatures_are_decoded(self, stage):
        stage.bond()
        stage.open()
        arguments = stage.attested(3, 5, 6, 7)
        stage.contract.contribution_submit(*arguments, account=stage.accounts[3])
        stage.submit(0, 1, 2)
        stage.record()
        stage.calculate()
        by_name = {log.event.name: log.event.args for log in stage.contract.logs()}
        submitted = next(log for log in stage.contract.logs() if log.event.name == "ContributionSubmitted")
        assert submitted.event.args["attesterSignature"] == arguments[5]
        assert submitted.event.args["evidenceHash"] == arguments[4]
        assert by_name["PayoffCalculated"]["payoffs"] == stage.contract.payoffs()

    def test_range_of_blocks_is_inclusive(self, stage):
        stage.bond(0, 1, 2)
        blocks = [log.block for log in stage.contract.logs()]
        middle = blocks[2]
        assert {log.block for log in stage.contract.logs(middle, middle)} == {middle}
        assert {log.block for log in stage.contract.logs(middle)} == {middle, blocks[-1]}

    def test_events_of_another_contract_are_not_ours(self, stage, make_terms, make_stage):
        other = make_stage(stage.backend, make_terms(4))
        other.bond(0)
        assert stage.contract.logs() == ()
        assert len(other.contract.logs()) == 2


@in_memory
class TestNodeFailures:
    def test_revert_without_known_data_keeps_the_data(self, stage):
        contract = ConsortiumContract(stage.backend, rejecting_contract(stage))
        with pytest.raises(UnknownRevert) as error:
            contract.round_open(account=stage.attester)
        assert error.value.data == b""

    def test_address_without_code_is_no_contract(self, stage):
        with pytest.raises(NoContract):
            ConsortiumContract(stage.backend, "0x" + "34" * 20).round()

    def test_sender_without_ether_is_rejected(self, stage):
        stage.bond()
        stage.open()
        stage.submit()
        pauper = development_account(99, "pauper")
        with pytest.raises(TransactionRejected, match="balance") as error:
            stage.contract.profile_record(account=pauper)
        assert "ether" in error.value.hint
        stage.contract.profile_record(account=stage.operator)

    def test_transaction_that_is_not_mined_times_out(self, stage):
        node = stage.backend.web3.provider.ethereum_tester
        contract = ConsortiumContract(stage.backend, stage.contract.address, timeout=0.05)
        node.disable_auto_mine_transactions()
        try:
            with pytest.raises(TransactionTimeout):
                contract.exit_request(0, account=stage.accounts[0])
        finally:
            node.enable_auto_mine_transactions()

    @pytest.mark.parametrize(
        ("function", "arguments", "value", "name"),
        [
            ("contributionSubmit", (0, 1 << 64, 0, 0, b"\x01" * 32, bytes(65)), 0, "data"),
            ("contributionSubmit", (0, 0, -1, 0, b"\x01" * 32, bytes(65)), 0, "generated"),
            ("contributionSubmit", (0, 0, 0, 0, b"\x01" * 31, bytes(65)), 0, "evidenceHash"),
            ("withdraw", (0, -1, ZERO), 0, "amount"),
            ("withdraw", (0, 1, "0x12"), 0, "to"),
            ("withdraw", (0, 1, "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"), 0, "to"),
            ("exitRequest", (-1,), 0, "index"),
            ("depositSubmit", (0, bytes(32)), -1, "amount"),
        ],
    )
    def test_argument_that_the_abi_cannot_carry_is_named(self, stage, function, arguments, value, name):
        for attempt in (
            lambda: stage.contract.transact(function, *arguments, account=stage.accounts[0], value=value),
            lambda: stage.contract.call(function, *arguments, sender=stage.accounts[0].address, value=value),
        ):
            with pytest.raises(ArgumentOutOfRange) as error:
                attempt()
            assert error.value.name == name

    def test_wrong_phase_names_both_phases(self, stage):
        with pytest.raises(WrongPhase, match=r"idle.*recorded"):
            stage.contract.payoff_calculate(account=stage.operator)


@pytest.mark.deep
def test_log_of_a_thousand_blocks_is_read_in_seconds(tester, make_terms, make_stage, record_property):
    stage = make_stage(tester, make_terms(4))
    for _ in range(500):
        stage.contract.exit_request(0, account=stage.accounts[0])
        stage.contract.exit_cancel(0, account=stage.accounts[0])
    start = perf_counter()
    logs = stage.contract.logs()
    seconds = perf_counter() - start
    record_property("seconds", seconds)
    assert len(logs) == 1_000
    assert seconds < 7
