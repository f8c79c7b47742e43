"""From a call to a mined, confirmed transaction, on any node and whatever happens on the way.

A transaction is signed here, with a key that never reaches the node, and has one nonce for its whole life: it is
sent again as the same bytes, or raised in price under the same nonce, so at most one of its versions is ever mined.
Nothing is kept on disk: after an interruption the chain itself says what happened, and an account with transactions
still under way sends nothing new. Left out: what is called (``chain.contract``) and reading.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from web3 import Web3
from web3.exceptions import TransactionNotFound, Web3RPCError
from web3.types import TxParams, TxReceipt

from chain.backends.base import Backend
from chain.backends.failures import node_errors, node_message
from chain.creation import created_address
from chain.errors import (
    ChainUnavailable,
    FeeTooHigh,
    TransactionPending,
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

_GAS_CAP = 1 << 24
"""The most gas that a transaction may ask for on current networks (EIP-7825)."""

_SENT_BEFORE = ("already known", "already imported", "known transaction", "already exists", "alreadyknown")
_NONCE_USED = ("nonce too low", "nonce is too low", "oldnonce", "correct nonce", "nonce has already been used")

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
    backend: Backend, call: TxParams, account: Sender, operation: str, timeout: float
) -> tuple[Mined, str]:
    """Estimate, sign, send and wait; returns what was mined and the address of a created contract, else "".

    ``call`` holds ``data``, ``value`` (wei) and, unless it creates a contract, ``to``; ``timeout`` is in seconds and
    counts from the moment of sending, confirmations included.

    Raises
    ------
    ContractError, UnknownRevert
        The contract refuses, in the estimate (nothing was sent) or in its block.
    WalletMustSend
        The account is a contract wallet, and the call would pass; the error holds the transaction.
    TransactionPending
        Earlier transactions of the account are, or were until now, under way; nothing was sent.
    TransactionRejected
        The node did not take the transaction.
    TransactionReplaced
        Another transaction with the same nonce was mined in its place.
    TransactionTimeout
        It was not mined in time; the message holds its hash. TransactionUnconfirmed: it was mined, but too few blocks
        followed.
    ChainUnavailable
        The node is gone; once something was sent, the message holds the transaction's hash.
    """
    eth = backend.web3.eth
    with node_errors():
        # a call on the pending block meets what the transaction will meet, its time above all
        estimate = eth.estimate_gas({**call, "from": Web3.to_checksum_address(account.address)}, "pending")
        if isinstance(account, ContractWallet):
            raise WalletMustSend(account.name, account.address, str(call["to"]), int(call["value"]), str(call["data"]))
        nonce = _free_nonce(backend, account.address, timeout)
        # a quarter more: state that other transactions change meanwhile can cost more than was estimated
        gas = min(estimate * 5 // 4, max(estimate, _GAS_CAP))
        complete = {**call, "chainId": backend.chain_id, "nonce": nonce, "gas": gas}
        transaction = _Transaction(backend, complete, account, timeout)
        receipt = transaction.mined()
        if receipt["status"] != 1:
            eth.call({**call, "from": account.address, "gas": gas}, receipt["blockNumber"])
            raise UnknownRevert(b"")
        mined_at = eth.get_block(receipt["blockNumber"])["timestamp"]
        created = ""
        if "to" not in call:
            created = created_address(account.address, nonce)
            if str(receipt["contractAddress"]).lower() != created.lower():
                raise ChainUnavailable(
                    f"the node puts the contract at {receipt['contractAddress']}, but it can only be at {created}",
                    hint="do not use this node",
                )
        hash_ = "0x" + bytes(receipt["transactionHash"]).hex()
        mined = Mined(operation, hash_, int(receipt["blockNumber"]), int(mined_at), int(receipt["gasUsed"]))
    return mined, created


class _Transaction:
    """One transaction in all its versions (equal but for the price)."""

    def __init__(self, backend: Backend, call: dict[str, Any], account: LocalAccount, timeout: float) -> None:
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
        except ChainUnavailable as error:
            raise ChainUnavailable(
                f"{error}; the transaction {self._shown()} may have been sent",
                hint="look for it on the node, and at `cocogen status`, before you repeat the command: a deposit or "
                "withdrawal that went through would be made a second time",
            ) from None

    def _offer(self) -> None:
        """Sign and send at the market's price, or, after the first time, at a price that displaces the earlier one."""
        market = _market_price(self._eth)
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
        try:
            self._broadcast()
        except Web3RPCError:
            if first:
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
            receipt = self._receipt()
            if receipt is not None:
                if head >= receipt["blockNumber"] + self._confirmations:
                    return receipt
                misses = 0
            elif self._eth.get_transaction_count(self._account.address) > self._call["nonce"]:
                misses += 1
                if misses >= _MISSES:
                    raise self._replaced()
            elif self._forgotten():
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

    def _receipt(self) -> TxReceipt | None:
        for hash_ in reversed(self._hashes):
            try:
                return self._eth.get_transaction_receipt(hash_)  # type: ignore[arg-type]
            except TransactionNotFound:
                continue
        return None

    def _forgotten(self) -> bool:
        """Whether the node knows no version: a reorganization dropped it, or its pool was full."""
        for hash_ in self._hashes:
            try:
                self._eth.get_transaction(hash_)  # type: ignore[arg-type]
            except TransactionNotFound:
                continue
            return False
        return True

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
            hint="somebody else uses this account; look at the state (`cocogen status`) and run the command again",
        )

    def _late(self, receipt: TxReceipt | None) -> TransactionTimeout:
        if receipt is None:
            return TransactionTimeout(
                f"the transaction {self._shown()} was sent but not mined within {self._timeout:g} seconds",
                hint="it may still be mined: look for it on the node before you run the command again",
            )
        hash_ = "0x" + bytes(receipt["transactionHash"]).hex()
        outcome = "took effect" if receipt["status"] == 1 else "was mined, failed and moved nothing"
        return TransactionUnconfirmed(
            f"the transaction {hash_} {outcome}: it is in block {receipt['blockNumber']}, which {self._confirmations} "
            f"blocks did not follow within {self._timeout:g} seconds",
            hint="do not send it again; where a node mines on demand only, no block follows: set "
            "COCOGEN_CONFIRMATIONS=0. `cocogen status` says where the consortium stands",
        )


def _market_price(eth: Any) -> dict[str, int]:
    """Wei per gas that get a transaction mined soon: EIP-1559 fees, or one price where blocks have no base fee."""
    base = eth.get_block("latest").get("baseFeePerGas")
    if base is None:
        return {"gasPrice": int(eth.gas_price)}
    tip = int(eth.max_priority_fee)
    return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}


def _free_nonce(backend: Backend, address: str, timeout: float) -> int:
    """The account's next nonce; waits for transactions under way, but does not send in their wake.

    An interrupted command may have left them, and this one may have been asked for the same thing: what it does must
    be judged by the chain after them.
    """
    eth: Any = backend.web3.eth
    mined, pending = eth.get_transaction_count(address), eth.get_transaction_count(address, "pending")
    if pending <= mined:
        return int(mined)
    started, number = time.monotonic(), pending - mined
    while pending > mined and time.monotonic() - started < timeout:
        time.sleep(0.05 if backend.local else 2.0)
        mined, pending = eth.get_transaction_count(address), eth.get_transaction_count(address, "pending")
    if pending > mined:
        raise TransactionPending(
            f"{pending - mined} earlier transactions of {address} are still under way, from nonce {mined} on; nothing "
            "was sent",
            hint="wait until they are mined, or replace them with a wallet; then run the same command again",
        )
    raise TransactionPending(
        f"{number} earlier transactions of {address} were under way and are mined now; nothing was sent",
        hint="run the same command again: it goes on from the state of the chain",
    )
