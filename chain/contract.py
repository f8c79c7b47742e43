"""Typed client of the settlement contract: one method per function, plain values in, plain values and typed errors out.

Transactions are signed here, with keys that never reach the node. The node estimates the gas, so a refusal shows
before anything is sent; should the chain move on between estimate and block, the mined failure is replayed in its
block and raises the same error. Indices are the contract's (members sorted by address), amounts wei, times Unix
seconds. Left out: the mapping to organizations and the round's logic (``chain.ledger``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from web3 import Web3
from web3.types import TxParams

from chain.abi import WORD, checksum_address, is_address
from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.build import load_artifact
from chain.errors import ArgumentOutOfRange, UnknownRevert
from chain.record import Event, EventValue, RoundView
from chain.terms import EncodedTerms, ScalarTerms

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["CONTRACT_NAME", "ConsortiumContract", "Log", "MemberView", "Mined"]

CONTRACT_NAME = "ConsortiumNative"


@dataclass(frozen=True, slots=True)
class Mined:
    """A successful transaction: the contract function, 0x hash, block number and time (s), gas used."""

    operation: str
    transaction: str
    block: int
    time: int
    gas: int


@dataclass(frozen=True, slots=True)
class MemberView:
    """The contract's ``member(i)``: caps, weight (1e9 = 1), offset (1e18 = 1), liability L_i in wei."""

    account: str
    data_cap: int
    generated_cap: int
    compute_cap: int
    weight: int
    offset: int
    liability: int


@dataclass(frozen=True, slots=True)
class Log:
    """An event where it happened; ``log_index`` is its position among all logs of the block."""

    event: Event
    block: int
    transaction: str
    log_index: int


class ConsortiumContract:
    """The contract at ``address``. Nothing is checked on construction; see :meth:`chain.ledger.ChainProvider.connect`.

    Parameters
    ----------
    backend
        The chain.
    address
        The contract's address.
    timeout
        Seconds to wait for a transaction to be mined.
    """

    def __init__(self, backend: Backend, address: str, *, timeout: float = 120.0) -> None:
        self.backend = backend
        self.address = Web3.to_checksum_address(address)
        self._timeout = timeout
        self._contract = backend.web3.eth.contract(address=self.address, abi=load_artifact(CONTRACT_NAME).abi)

    @classmethod
    def deploy(
        cls, backend: Backend, terms: EncodedTerms, account: LocalAccount, *, timeout: float = 120.0
    ) -> tuple[ConsortiumContract, Mined]:
        """Put ``terms`` on the chain. Raises the constructor's errors when they break one of its rules."""
        artifact = load_artifact(CONTRACT_NAME)
        factory = backend.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        creation = factory.constructor(terms.records, terms.triangle, terms.scalars.values)
        call: TxParams = {"data": creation.data_in_transaction, "value": Web3.to_wei(0, "wei")}
        mined, address = _send(backend, call, account, "deploy", timeout)
        return cls(backend, address, timeout=timeout), mined

    def code(self) -> bytes:
        """The runtime code at the address; empty where there is no contract."""
        with node_errors():
            return bytes(self.backend.web3.eth.get_code(self.address))

    # -- functions that change state

    def call(self, function: str, *arguments: Any, sender: str, value: int = 0) -> None:
        """Try a function without sending anything: raises what a transaction sent now would meet."""
        encodable = self._encodable(function, arguments, value)
        with node_errors():
            self._contract.functions[function](*encodable).call({"from": sender, "value": Web3.to_wei(value, "wei")})

    def transact(self, function: str, *arguments: Any, account: LocalAccount, value: int = 0) -> Mined:
        """Send one transaction to the named function and wait until it is mined.

        Raises
        ------
        ArgumentOutOfRange
            An argument does not fit its type in the contract; nothing was sent.
        ContractError, UnknownRevert
            The contract refused.
        TransactionRejected, TransactionTimeout
            The node did not take or not mine the transaction.
        """
        data = self._contract.encode_abi(function, args=self._encodable(function, arguments, value))
        call: TxParams = {"to": self.address, "data": data, "value": Web3.to_wei(value, "wei")}
        return _send(self.backend, call, account, function, self._timeout)[0]

    def deposit_submit(self, index: int, terms_hash: bytes, *, account: LocalAccount, value: int) -> Mined:
        """Accept the terms and add ``value`` wei to the member's bond."""
        return self.transact("depositSubmit", index, terms_hash, account=account, value=value)

    def round_open(self, *, account: LocalAccount) -> Mined:
        """Open the next round (the attester)."""
        return self.transact("roundOpen", account=account)

    def contribution_submit(
        self,
        index: int,
        data: int,
        generated: int,
        compute: int,
        evidence_hash: bytes,
        attester_signature: bytes,
        *,
        account: LocalAccount,
    ) -> Mined:
        """Hand in an attested contribution (the member; anyone in the second half of the window)."""
        parts = (index, data, generated, compute, evidence_hash, attester_signature)
        return self.transact("contributionSubmit", *parts, account=account)

    def profile_record(self, *, account: LocalAccount) -> Mined:
        """Freeze the round's contributions, or void the round below quorum (anyone)."""
        return self.transact("profileRecord", account=account)

    def payoff_calculate(self, *, account: LocalAccount) -> Mined:
        """Compute the payoffs after the dispute window (anyone)."""
        return self.transact("payoffCalculate", account=account)

    def payoff_transfer(self, *, account: LocalAccount) -> Mined:
        """Move the payoffs between balances (anyone)."""
        return self.transact("payoffTransfer", account=account)

    def withdraw(self, index: int, amount: int, to: str, *, account: LocalAccount) -> Mined:
        """Pay ``amount`` wei of the member's balance out to ``to``."""
        return self.transact("withdraw", index, amount, to, account=account)

    def exit_request(self, index: int, *, account: LocalAccount) -> Mined:
        """Stay out of the next round."""
        return self.transact("exitRequest", index, account=account)

    def exit_cancel(self, index: int, *, account: LocalAccount) -> Mined:
        """Take part again."""
        return self.transact("exitCancel", index, account=account)

    def _encodable(self, function: str, arguments: Sequence[Any], value: int) -> list[Any]:
        _encodable("amount", "uint256", value)
        parameters = self._contract.get_function_by_name(function).abi["inputs"]
        return [
            _encodable(parameter["name"], parameter["type"], argument)
            for parameter, argument in zip(parameters, arguments, strict=True)
        ]

    # -- views

    def view(self, function: str, *arguments: Any, block: int | None = None) -> Any:
        """The raw result of a view, at the latest block unless ``block`` names an earlier one."""
        with node_errors():
            where: Any = "latest" if block is None else block
            return self._contract.functions[function](*arguments).call(block_identifier=where)

    @cached_property
    def terms(self) -> ScalarTerms:
        """The scalar terms; they never change."""
        return ScalarTerms(*self.view("terms"))

    @cached_property
    def terms_hash(self) -> bytes:
        """The 32-byte hash that every deposit accepts."""
        return bytes(self.view("termsHash"))

    @cached_property
    def members(self) -> tuple[MemberView, ...]:
        """All members in contract order; they never change."""
        return tuple(MemberView(*self.view("member", index)) for index in range(self.view("memberCount")))

    def round(self, *, block: int | None = None) -> RoundView:
        """The current round."""
        number, phase, deadline, idle_since, participants, submitted, round_hash = self.view("round", block=block)
        return RoundView(number, phase, deadline, idle_since, participants, submitted, bytes(round_hash))

    def balances(self, *, block: int | None = None) -> tuple[int, ...]:
        """Every member's balance in wei, contract order."""
        return tuple(self.view("balanceOf", index, block=block) for index in range(len(self.members)))

    def payoffs(self, *, block: int | None = None) -> tuple[int, ...]:
        """Every member's pending payoff in wei, contract order; all zero unless calculated."""
        return tuple(self.view("payoffOf", index, block=block) for index in range(len(self.members)))

    def contributions(self, *, block: int | None = None) -> tuple[tuple[int, int, int], ...]:
        """Every member's (data, generated, compute) in the current round, contract order."""
        parts = (self.view("contributionOf", index, block=block) for index in range(len(self.members)))
        return tuple((data, generated, compute) for data, generated, compute in parts)

    # -- events

    def logs(self, first: int = 0, last: int | None = None) -> tuple[Log, ...]:
        """The contract's events from block ``first`` to block ``last`` (the latest), oldest first, in one query."""
        until: Any = "latest" if last is None else last
        with node_errors():
            entries = self.backend.web3.eth.get_logs({"address": self.address, "fromBlock": first, "toBlock": until})
        return tuple(self._decode(entry) for entry in entries)

    def _decode(self, entry: Mapping[str, Any]) -> Log:
        data = self._decoders[bytes(entry["topics"][0])].process_log(entry)
        arguments = {name: _plain(value) for name, value in data["args"].items()}
        transaction = "0x" + bytes(entry["transactionHash"]).hex()
        return Log(Event(data["event"], arguments), entry["blockNumber"], transaction, entry["logIndex"])

    @cached_property
    def _decoders(self) -> dict[bytes, Any]:
        names = [entry["name"] for entry in load_artifact(CONTRACT_NAME).abi if entry["type"] == "event"]
        events = [self._contract.events[name]() for name in names]
        return {bytes.fromhex(event.topic.removeprefix("0x")): event for event in events}


def _encodable(name: str, kind: str, value: Any) -> Any:
    """Refuse what the ABI cannot carry, before web3 does so with an error that names no argument."""
    if kind.startswith("uint"):
        bits = int(kind.removeprefix("uint"))
        if not 0 <= value < 1 << bits:
            raise ArgumentOutOfRange(name, value, f"an integer from 0 to 2^{bits} - 1")
    elif kind == "bytes32" and len(value) != WORD:
        raise ArgumentOutOfRange(name, value, f"{WORD} bytes")
    elif kind == "address":
        if not is_address(value):
            raise ArgumentOutOfRange(name, value, "an address: 0x and 40 hexadecimal digits")
        return checksum_address(value)
    return value


def _plain(value: Any) -> EventValue:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list | tuple):
        return tuple(value)
    return int(value) if isinstance(value, int) else str(value)


def _send(backend: Backend, call: TxParams, account: LocalAccount, operation: str, timeout: float) -> tuple[Mined, str]:
    """Estimate, sign, send and wait; returns what was mined and the address of a created contract, else ""."""
    eth = backend.web3.eth
    with node_errors():
        estimate = eth.estimate_gas({**call, "from": account.address})
        tip = eth.max_priority_fee
        base = eth.get_block("latest")["baseFeePerGas"]
        transaction: TxParams = {
            **call,
            "type": 2,
            "chainId": backend.chain_id,
            "nonce": eth.get_transaction_count(account.address),
            # a quarter more: state that other transactions change meanwhile can cost more than was estimated
            "gas": estimate * 5 // 4,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": Web3.to_wei(2 * base + tip, "wei"),
        }
        signed = account.sign_transaction(transaction)  # type: ignore[arg-type]
        receipt = eth.wait_for_transaction_receipt(eth.send_raw_transaction(signed.raw_transaction), timeout=timeout)
        if receipt["status"] != 1:
            eth.call({**call, "from": account.address, "gas": transaction["gas"]}, receipt["blockNumber"])
            raise UnknownRevert(b"")
        time = eth.get_block(receipt["blockNumber"])["timestamp"]
    mined = Mined(operation, "0x" + receipt["transactionHash"].hex(), receipt["blockNumber"], time, receipt["gasUsed"])
    return mined, receipt["contractAddress"] or ""
