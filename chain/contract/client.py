"""Typed client of the settlement contract: one method per function, plain values in, plain values and typed errors out.

Transactions are signed here, with keys that never reach the node. The node estimates the gas, so a refusal shows
before anything is sent; should the chain move on between estimate and block, the mined failure is replayed in its
block and raises the same error. Indices are the contract's (members sorted by address), amounts wei, times Unix
seconds. Asset and mode decide which of the four contracts it is; they differ in ``depositSubmit`` alone. Contracts of
earlier layouts answer to the same calls and emit the same events, but for those that came later. Left out: the
token (``chain.contract.token``), the mapping to organizations and the round's logic (``chain.contract.ledger``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import collapse_if_tuple
from web3 import Web3
from web3.types import TxParams

from chain.abi import ADDRESS, WORD, checksum_address, is_address, keccak256
from chain.artifacts import load_artifact
from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.backends.journal import DEPLOY, Intent
from chain.backends.logs import contract_logs
from chain.contract.earlier import find_earlier
from chain.contract.transactions import ContractWallet, Mined, Sender, send_transaction
from chain.encoding.terms import EncodedTerms, ScalarTerms
from chain.errors.chain import ArgumentOutOfRange
from chain.record.values import Event, EventValue, RoundView

__all__ = ["ConsortiumContract", "Log", "MemberView", "Mined"]


@dataclass(frozen=True, slots=True)
class MemberView:
    """The contract's ``member(i)``: caps, weight (1e9 = 1), offset (1e18 = 1), liability L_i in wei.

    In vector mode weight and offset are zero, and the liability is the agreed largest debit.
    """

    account: str
    data_cap: int
    generated_cap: int
    compute_cap: int
    weight: int
    offset: int
    liability: int


@dataclass(frozen=True, slots=True)
class Log:
    """An event where it happened; ``log_index`` is its position among all logs of the block.

    ``block_hash`` tells the block from another one that took its number after a reorganization.
    """

    event: Event
    block: int
    transaction: str
    log_index: int
    block_hash: bytes


class ConsortiumContract:
    """The contract at ``address``. Nothing is checked on construction: that is for ``ChainProvider.connect``.

    Parameters
    ----------
    backend
        The chain.
    address
        The contract's address.
    name
        Which contract it is: see :func:`chain.encoding.terms.contract_name`.
    timeout
        Seconds to wait for a transaction to be mined.
    """

    def __init__(
        self, backend: Backend, address: str, *, name: str = "ConsortiumNative", timeout: float = 120.0
    ) -> None:
        self.backend = backend
        self.address = Web3.to_checksum_address(address)
        self.name = name
        self._timeout = timeout
        self._contract = backend.web3.eth.contract(address=self.address, abi=load_artifact(name).abi)

    @classmethod
    def deploy(
        cls, backend: Backend, terms: EncodedTerms, account: Sender, *, timeout: float = 120.0
    ) -> tuple[ConsortiumContract, Mined]:
        """Put ``terms`` on the chain. Raises the constructor's errors when they break one of its rules."""
        artifact = load_artifact(terms.contract_name)
        factory = backend.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        creation = factory.constructor(terms.records, terms.triangle, terms.packed_stand_ins, terms.scalars.values)
        call: TxParams = {"data": creation.data_in_transaction, "value": Web3.to_wei(0, "wei")}
        mined, address = send_transaction(backend, call, account, DEPLOY, timeout)
        return cls(backend, address, name=terms.contract_name, timeout=timeout), mined

    def code(self) -> bytes:
        """The runtime code at the address; empty where there is no contract."""
        with node_errors():
            return bytes(self.backend.web3.eth.get_code(self.address))

    # -- functions that change state

    def call(self, function: str, *arguments: Any, sender: str, value: int = 0) -> None:
        """Try a function without sending anything: raises what a transaction sent now would meet."""
        encodable = self._encodable(function, arguments, value)
        with node_errors():
            self._contract.functions[function](*encodable).call(
                {"from": sender, "value": Web3.to_wei(value, "wei")}, "pending"
            )

    def transact(
        self, function: str, *arguments: Any, account: Sender, value: int = 0, amount: int | None = None
    ) -> Mined:
        """Send one transaction to the named function and wait until it is mined.

        ``amount``: what it moves, if it would each time; see :func:`chain.contract.transactions.send_transaction`.

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
        return send_transaction(self.backend, call, account, function, self._timeout, amount=amount)[0]

    def check_not_sent(self, function: str, *, account: Sender) -> None:
        """Raise what :func:`chain.contract.earlier.find_earlier` raises if an interrupted command called the
        function."""
        if isinstance(account, ContractWallet):
            return
        nothing = "0x" + keccak256(b"").hex()
        wanted = Intent(function, account.address, self.backend.chain_id, self.address, 0, nothing, 0, 0)
        find_earlier(self.backend, wanted, self._timeout)

    def deposit_submit(self, index: int, terms_hash: bytes, *, account: Sender, value: int) -> Mined:
        """Accept the terms and add ``value``, wei or approved units of the token, to the member's bond."""
        arguments, sent = self.deposit_arguments(index, terms_hash, value)
        return self.transact("depositSubmit", *arguments, account=account, value=sent, amount=value)

    def deposit_arguments(self, index: int, terms_hash: bytes, value: int) -> tuple[tuple[Any, ...], int]:
        """Return the arguments of ``depositSubmit`` and the wei to send along: a token's contract names the amount."""
        parameters = self._contract.get_function_by_name("depositSubmit").abi["inputs"]
        return ((index, terms_hash), value) if len(parameters) == 2 else ((index, terms_hash, value), 0)

    def round_open(self, *, account: Sender) -> Mined:
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
        account: Sender,
    ) -> Mined:
        """Hand in an attested contribution (the member; anyone in the second half of the window)."""
        parts = (index, data, generated, compute, evidence_hash, attester_signature)
        return self.transact("contributionSubmit", *parts, account=account)

    def profile_record(self, *, account: Sender) -> Mined:
        """Freeze the round's contributions, or void the round below quorum (anyone)."""
        return self.transact("profileRecord", account=account)

    def transfers_submit(
        self, transfers: Sequence[int], evidence_hash: bytes, attester_signature: bytes, *, account: Sender
    ) -> Mined:
        """Hand in the transfers that the attester signed, wei in contract order (anyone; vector mode)."""
        return self.transact("transfersSubmit", list(transfers), evidence_hash, attester_signature, account=account)

    def dispute_raise(self, index: int, reason_hash: bytes, *, account: Sender) -> Mined:
        """Dispute the recorded round (a participant)."""
        return self.transact("disputeRaise", index, reason_hash, account=account)

    def dispute_resolve(self, ruling: int, *, account: Sender) -> Mined:
        """End the dispute (the arbiter; anyone with the default after the arbiter's window)."""
        return self.transact("disputeResolve", ruling, account=account)

    def payoff_calculate(self, *, account: Sender) -> Mined:
        """Compute the payoffs after the dispute window (anyone)."""
        return self.transact("payoffCalculate", account=account)

    def payoff_transfer(self, *, account: Sender) -> Mined:
        """Move the payoffs between balances (anyone)."""
        return self.transact("payoffTransfer", account=account)

    def withdraw(self, index: int, amount: int, to: str, *, account: Sender) -> Mined:
        """Pay ``amount`` wei of the member's balance out to ``to``."""
        return self.transact("withdraw", index, amount, to, account=account, amount=amount)

    def exit_request(self, index: int, *, account: Sender) -> Mined:
        """Stay out of the next round."""
        return self.transact("exitRequest", index, account=account)

    def exit_cancel(self, index: int, *, account: Sender) -> Mined:
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
        where: Any = "latest" if block is None else block
        known = _signatures(self.name).get(function)
        with node_errors():
            if known is not None:
                selector, given, returned = known
                web3 = self.backend.web3
                # what cannot be read this way is asked again below, for what web3 says of it
                with suppress(DecodingError, EncodingError):
                    data = selector + web3.codec.encode(given, arguments)
                    values = web3.codec.decode(returned, web3.eth.call({"to": self.address, "data": data}, where))
                    return values[0] if len(values) == 1 else values
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
        return tuple(MemberView(*self.view("member", index)) for index in range(self.count))

    @cached_property
    def count(self) -> int:
        """How many members there are; it never changes."""
        return int(self.view("memberCount"))

    def round(self, *, block: int | None = None) -> RoundView:
        """The current round."""
        number, phase, deadline, idle_since, participants, submitted, round_hash, *dispute = self.view(
            "round", block=block
        )
        return RoundView(number, phase, deadline, idle_since, participants, submitted, bytes(round_hash), *dispute)

    def balances(self, *, block: int | None = None) -> tuple[int, ...]:
        """Every member's balance in wei, contract order."""
        return tuple(self.view("balanceOf", index, block=block) for index in range(self.count))

    def payoffs(self, *, block: int | None = None) -> tuple[int, ...]:
        """Every member's pending payoff in wei, contract order; all zero unless calculated."""
        return tuple(self.view("payoffOf", index, block=block) for index in range(self.count))

    def contributions(self, *, block: int | None = None) -> tuple[tuple[int, int, int], ...]:
        """Every member's (data, generated, compute) in the current round, contract order."""
        parts = (self.view("contributionOf", index, block=block) for index in range(self.count))
        return tuple((data, generated, compute) for data, generated, compute in parts)

    # -- events

    def logs(self, first: int = 0, last: int | None = None) -> tuple[Log, ...]:
        """The contract's events from block ``first`` to block ``last`` (the latest), oldest first."""
        web3 = self.backend.web3
        with node_errors():
            until = web3.eth.block_number if last is None else last
            entries = contract_logs(web3, self.address, first, until) if first <= until else ()
        return tuple(self._decode(entry) for entry in entries)

    def _decode(self, entry: Mapping[str, Any]) -> Log:
        data = self._decoders[bytes(entry["topics"][0])].process_log(entry)
        arguments = {name: _plain(value) for name, value in data["args"].items()}
        transaction = "0x" + bytes(entry["transactionHash"]).hex()
        event = Event(data["event"], arguments)
        return Log(event, entry["blockNumber"], transaction, entry["logIndex"], bytes(entry["blockHash"]))

    @cached_property
    def _decoders(self) -> dict[bytes, Any]:
        names = [entry["name"] for entry in load_artifact(self.name).abi if entry["type"] == "event"]
        events = [self._contract.events[name]() for name in names]
        return {bytes.fromhex(event.topic.removeprefix("0x")): event for event in events}


@cache
def _signatures(name: str) -> dict[str, tuple[bytes, list[str], list[str]]]:
    """Selector, types taken and types returned of the views of contract ``name`` that return numbers and hashes alone.

    They are most of what is asked. By a function's name web3 goes through the whole ABI twice a call, which takes as
    long as the call itself on a chain in this process.
    """
    known = {}
    for entry in load_artifact(name).abi:
        if entry["type"] == "function" and entry["stateMutability"] == "view":
            given, returned = ([collapse_if_tuple(each) for each in entry[side]] for side in ("inputs", "outputs"))
            if not any("address" in kind or "string" in kind for kind in returned):
                selector = keccak256(f"{entry['name']}({','.join(given)})".encode())[:4]
                known[entry["name"]] = selector, given, returned
    return known


def _encodable(name: str, kind: str, value: Any) -> Any:
    """Refuse what the ABI cannot carry, before web3 does so with an error that names no argument."""
    if kind.endswith("[]"):
        return [_encodable(name, kind.removesuffix("[]"), item) for item in value]
    if kind.startswith("uint"):
        bits = int(kind.removeprefix("uint"))
        if not 0 <= value < 1 << bits:
            raise ArgumentOutOfRange(name, value, f"an integer from 0 to 2^{bits} - 1")
    elif kind.startswith("int"):
        bits = int(kind.removeprefix("int")) - 1
        if not -(1 << bits) <= value < 1 << bits:
            raise ArgumentOutOfRange(name, value, f"integers from -2^{bits} to 2^{bits} - 1")
    elif kind == "bytes32" and len(value) != WORD:
        raise ArgumentOutOfRange(name, value, f"{WORD} bytes")
    elif kind == "address":
        if not is_address(value):
            raise ArgumentOutOfRange(name, value, ADDRESS)
        return checksum_address(value)
    return value


def _plain(value: Any) -> EventValue:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list | tuple):
        return tuple(value)
    return int(value) if isinstance(value, int) else str(value)
