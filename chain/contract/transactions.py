"""From a call to a mined, confirmed transaction, on any node and whatever happens on the way.

A transaction is signed here, with a key that never reaches the node, and has one nonce for its whole life: it is
sent again as the same bytes, or raised in price under the same nonce, so at most one of its versions is ever mined.
An account with transactions still under way sends nothing new. What would move money a second time is written down
before it leaves (``chain.backends.journal``), and looked for before it is sent again (``chain.contract.earlier``). Left
out: what is called (``chain.contract.client``) and reading.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import TxParams, TxReceipt

from chain.abi import keccak256
from chain.backends.base import Backend
from chain.backends.failures import node_errors, node_message
from chain.backends.journal import Intent
from chain.contract.creation import created_address
from chain.contract.earlier import find_earlier, known_transaction, mined_receipt
from chain.contract.price import Purpose, market_price, spending, with_reserve
from chain.errors.chain import (
    ChainUnavailable,
    FeeTooHigh,
    TransactionPending,
    TransactionRejected,
    TransactionReplaced,
    TransactionTimeout,
    TransactionUnconfirmed,
    UnknownRevert,
    WalletMustSend,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["ContractWallet", "Mined", "Sender", "send_transaction"]

_LOG = logging.getLogger(__name__)

_SENT_BEFORE = ("already known", "already imported", "known transaction", "already exists", "alreadyknown")
_NONCE_USED = ("nonce too low", "nonce is too low", "oldnonce", "correct nonce", "nonce has already been used")

_PLAIN = (
    "insufficient funds",
    "exceeds account balance",
    "cannot afford",
    "enough balance",
    "intrinsic gas",
    "exceeds block gas limit",
    "oversized data",
)
"""Refusals for what the transaction is; any other can come from a node whose pool has it, or an earlier version."""

_OFFERS = 4
"""How often a price is offered within the timeout, the first time included; each time at least an eighth higher."""

_SILENCE = 5.0
"""Seconds of waiting after which the person at the keyboard is told for what."""

_MISSES = 3
"""Looks that may find neither receipt nor a free nonce before a transaction counts as replaced: nodes behind one
address can be a block apart."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A successful transaction: the contract function, 0x hash, block number and time (s), gas used."""

    operation: str
    transaction: str
    block: int
    time: int
    gas: int


@dataclass(frozen=True, slots=True)
class ContractWallet:
    """An account that is a contract: its owners send for it, from their own tools. ``name`` is for messages."""

    name: str
    address: str


Sender: TypeAlias = "LocalAccount | ContractWallet"
"""Who can be asked to send a transaction."""


def send_transaction(
    backend: Backend,
    call: TxParams,
    account: Sender,
    operation: str,
    timeout: float,
    *,
    amount: int | None = None,
    purpose: Purpose | None = None,
) -> tuple[Mined, str]:
    """Estimate, have it agreed to, sign, send and wait; returns what was mined and the address of a created contract,
    else "".

    ``call`` holds ``data``, ``value`` (wei) and, unless it creates a contract, ``to``; ``timeout`` is in seconds and
    counts from the moment of sending, confirmations included. ``amount``: what is moved, of calls that would move it
    again each time; those and creations are kept in the backend's journal until their outcome is known. A creation that
    an interrupted command sent already is not sent again. ``purpose``: the operation that this call prepares; by
    default it is one itself. What the backend's agreement raises passes through, and nothing was sent.

    Raises
    ------
    ContractError, UnknownRevert
        The contract refuses, in the estimate (nothing was sent) or in its block.
    WalletMustSend
        The account is a contract wallet, and the call would pass; the error holds the transaction.
    AlreadySent
        An interrupted command moved the same already; nothing was sent.
    TransactionPending
        Earlier transactions of the account are, or were until now, under way; nothing was sent.
    TransactionRejected
        The node refused it, or what was asked about it; where it may have taken it all the same, the message holds its
        hash.
    TransactionReplaced
        Another transaction with the same nonce was mined in its place.
    TransactionTimeout
        It was not mined in time; the message holds its hash. TransactionUnconfirmed: it was mined, but too few blocks
        followed.
    ChainUnavailable
        The node is gone; once something was sent, the message holds the transaction's hash.
    """
    eth = backend.web3.eth
    intent = None
    if not isinstance(account, ContractWallet) and ("to" not in call or amount is not None):
        intent = _intent(backend, call, account.address, operation, amount or 0)
        if (found := find_earlier(backend, intent, timeout)) is not None:
            return _outcome(backend, *found)
    with node_errors():
        # a call on the pending block meets what the transaction will meet, its time above all
        estimate = eth.estimate_gas({**call, "from": Web3.to_checksum_address(account.address)}, "pending")
        if isinstance(account, ContractWallet):
            raise WalletMustSend(account.name, account.address, str(call["to"]), int(call["value"]), str(call["data"]))
    if backend.agreement is not None:
        purpose = purpose or Purpose(operation, amount or 0, 0)
        backend.agreement(spending(backend, purpose, account.address, estimate, int(call["value"])))
    with node_errors():
        nonce = _free_nonce(backend, account.address, timeout, intent)
        gas = with_reserve(estimate)
        complete = {**call, "chainId": backend.chain_id, "nonce": nonce, "gas": gas}
        if intent is not None:
            time_ = int(eth.get_block("latest")["timestamp"])
            intent = replace(intent, nonce=nonce, time=time_)
        transaction = _Transaction(backend, complete, account, timeout, intent)
        receipt = transaction.mined()
        if receipt["status"] != 1:
            if transaction.intent is not None:
                backend.journal.forget([transaction.intent])
            eth.call({**call, "from": account.address, "gas": gas}, receipt["blockNumber"])
            raise UnknownRevert(b"")
        if transaction.intent is None:
            return _mined(backend, receipt, operation), ""
        return _outcome(backend, transaction.intent, receipt)


def _intent(backend: Backend, call: TxParams, account: str, operation: str, amount: int) -> Intent:
    """The call as it is written down, without nonce and hash."""
    data = Web3.to_bytes(hexstr=call["data"]) if isinstance(call["data"], str) else bytes(call["data"])
    return Intent(
        operation=operation,
        account=account,
        chain_id=backend.chain_id,
        contract=str(call.get("to", "")),
        amount=amount,
        call="0x" + keccak256(data).hex(),
        nonce=0,
        time=0,
    )


def _outcome(backend: Backend, intent: Intent, receipt: TxReceipt) -> tuple[Mined, str]:
    """What a transaction that was written down did: what was mined, and the address of a created contract."""
    with node_errors():
        mined, created = _mined(backend, receipt, intent.operation), ""
        if not intent.contract:
            created = created_address(intent.account, intent.nonce)
            if str(receipt["contractAddress"]).lower() != created.lower():
                raise ChainUnavailable(
                    f"the node puts the contract at {receipt['contractAddress']}, but it can only be at {created}",
                    hint="do not use this node",
                )
    backend.journal.done(intent)
    return mined, created


def _mined(backend: Backend, receipt: TxReceipt, operation: str) -> Mined:
    mined_at = backend.web3.eth.get_block(receipt["blockNumber"])["timestamp"]
    hash_ = "0x" + bytes(receipt["transactionHash"]).hex()
    return Mined(operation, hash_, int(receipt["blockNumber"]), int(mined_at), int(receipt["gasUsed"]))


class _Transaction:
    """One transaction in all its versions (equal but for the price)."""

    def __init__(
        self, backend: Backend, call: dict[str, Any], account: LocalAccount, timeout: float, intent: Intent | None
    ) -> None:
        self.intent = intent
        self._journal = backend.journal
        self._eth = backend.web3.eth
        self._confirmations = backend.confirmations
        self._fee_limit = backend.fee_limit
        self._ceiling = 0.05 if backend.local else 2.0
        self._call = call
        self._account = account
        self._timeout = timeout
        self._price: dict[str, Any] = {}
        self._hashes: list[bytes] = []
        self._bytes = b""
        self._refused = False

    def mined(self) -> TxReceipt:
        """Send, and return the receipt once it is confirmed."""
        try:
            with node_errors():
                self._offer()
                return self._wait()
        except FeeTooHigh:
            if not self._hashes:
                raise
            raise self._late(None) from None
        except (ChainUnavailable, TransactionRejected) as error:
            if self._refused or not self._hashes:
                raise
            raise type(error)(
                f"{error}; the transaction {self._shown()} may have been sent",
                hint="run the same command again once the node answers: it looks first for what became of it",
            ) from None

    def _offer(self) -> None:
        """Sign and send at the market's price, or, after the first time, at a price that displaces the earlier one."""
        market = market_price(self._eth)
        raised = {name: max(value * 9 // 8 + 1, market.get(name, 0)) for name, value in self._price.items()}
        offered = raised or market
        fee = self._call["gas"] * offered.get("maxFeePerGas", offered.get("gasPrice", 0))
        if fee > self._fee_limit:
            raise FeeTooHigh(fee, self._fee_limit)
        first, self._price = not self._price, offered
        kind = {"type": 2} if "maxFeePerGas" in self._price else {}
        signed = self._account.sign_transaction({**self._call, **kind, **self._price})
        self._hashes.append(bytes(signed.hash))
        self._bytes = bytes(signed.raw_transaction)
        if self.intent is not None:
            self.intent = self._journal.write(replace(self.intent, hashes=(*self.intent.hashes, self._shown())))
        try:
            self._broadcast()
        except Web3RPCError as error:
            if first:
                self._refused = any(sign in node_message(error).lower() for sign in _PLAIN)
                if self._refused and self.intent is not None and len(self.intent.hashes) == 1:
                    self._journal.forget([self.intent])
                raise
            # the earlier version is still under way, and the next one offers more

    def _broadcast(self) -> None:
        try:
            self._eth.send_raw_transaction(self._bytes)
        except Web3RPCError as error:
            # both mean that this or another version is there already; waiting finds out which
            if not any(sign in node_message(error).lower() for sign in (*_SENT_BEFORE, *_NONCE_USED)):
                raise

    def _wait(self) -> TxReceipt:
        started = time.monotonic()
        patience, offers, misses, pause, told = self._timeout / _OFFERS, 1, 0, 0.002, ""
        while True:
            head = self._eth.block_number
            receipt = mined_receipt(self._eth, self._versions)
            if receipt is not None:
                if head >= receipt["blockNumber"] + self._confirmations:
                    return receipt
                misses = 0
            elif self._eth.get_transaction_count(self._account.address) > self._call["nonce"]:
                misses += 1
                if misses >= _MISSES:
                    raise self._replaced()
            elif not known_transaction(self._eth, self._versions):
                # a reorganization dropped it, or the pool was full
                self._broadcast()
            waited = time.monotonic() - started
            if waited >= self._timeout:
                raise self._late(receipt)
            awaited = self._awaited(receipt)
            if waited >= _SILENCE and awaited != told:
                told = awaited
                _LOG.warning(awaited)
            if receipt is None and waited >= patience * offers:
                offers += 1
                self._offer()
            time.sleep(min(pause, self._timeout - waited))
            pause = min(pause * 1.6, self._ceiling)

    @property
    def _versions(self) -> tuple[str, ...]:
        """Of this command, and of an earlier one that sent the same under the same nonce: either moves it once."""
        if self.intent is not None:
            return self.intent.hashes
        return tuple("0x" + hash_.hex() for hash_ in self._hashes)

    def _shown(self) -> str:
        return "0x" + self._hashes[-1].hex() if self._hashes else "(not yet signed)"

    def _awaited(self, receipt: TxReceipt | None) -> str:
        if receipt is None:
            return f"waiting, up to {self._timeout:g} s, for a block to take the transaction {self._shown()}"
        return f"waiting for {self._confirmations} more blocks after {receipt['blockNumber']}"

    def _replaced(self) -> TransactionReplaced:
        return TransactionReplaced(
            f"another transaction of {self._account.address} with nonce {self._call['nonce']} was mined in the place "
            f"of {self._shown()}, which did nothing",
            hint="somebody else uses this account, or a wallet sent the same at another price; look at the state "
            "(`cocogen status`) before you run the command again",
        )

    def _late(self, receipt: TxReceipt | None) -> TransactionTimeout:
        if receipt is None:
            return TransactionTimeout(
                f"the transaction {self._shown()} was sent but not mined within {self._timeout:g} seconds",
                hint="it may still be mined: the same command, run again, looks first for what became of it",
            )
        hash_ = "0x" + bytes(receipt["transactionHash"]).hex()
        outcome = "took effect" if receipt["status"] == 1 else "was mined, failed and moved nothing"
        return TransactionUnconfirmed(
            f"the transaction {hash_} {outcome}: it is in block {receipt['blockNumber']}, which {self._confirmations} "
            f"blocks did not follow within {self._timeout:g} seconds",
            hint="do not send it again; where a node mines on demand only, no block follows: set "
            "COCOGEN_CONFIRMATIONS=0. `cocogen status` says where the consortium stands",
        )


def _free_nonce(backend: Backend, address: str, timeout: float, intent: Intent | None) -> int:
    """The account's next nonce; waits for transactions under way, but does not send in their wake.

    They were sent elsewhere, and may be what this command was asked for. If that moves money (``intent``) it is written
    down, so that the same command asks before it sends.
    """
    eth: Any = backend.web3.eth
    mined, pending = eth.get_transaction_count(address), eth.get_transaction_count(address, "pending")
    if pending <= mined:
        return int(mined)
    started, first, last = time.monotonic(), mined, pending - 1
    if intent is not None and intent.contract:
        seen = replace(intent, nonce=last, time=int(eth.get_block("latest")["timestamp"]))
        if not any(each.same_account(seen) and each.nonce == last and each.hashes for each in backend.journal.intents):
            backend.journal.write(seen)
    while pending > mined and time.monotonic() - started < timeout:
        time.sleep(0.05 if backend.local else 2.0)
        mined, pending = eth.get_transaction_count(address), eth.get_transaction_count(address, "pending")
    if pending > mined:
        raise TransactionPending(
            f"{pending - mined} earlier transactions of {address} are still under way, from nonce {mined} on; nothing "
            "was sent",
            hint="wait until they are mined, or replace them with a wallet; then see at `cocogen status` whether they "
            "did what you want before you run the command again",
        )
    raise TransactionPending(
        f"{last - first + 1} earlier transactions of {address} were under way and are mined now; nothing was sent",
        hint="see at `cocogen status` whether they did what you want before you run the command again",
    )
