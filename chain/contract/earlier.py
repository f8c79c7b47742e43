"""What became of transactions that earlier commands sent and could not tell of, before another one is sent.

Killed, interrupted, cut off or timed out, a command leaves its transaction with the node. It is looked up by the hashes
that :mod:`chain.backends.journal` kept: one that may still be mined is waited for, one that moved money is told
(:class:`chain.backends.journal.AlreadySent`), so that somebody decides whether it is to be moved again, and a contract
that was created is taken for the one that is wanted. A transaction that the node does not know, and whose nonce is
free, can be left to itself: what is sent next takes its nonce, so at most one of both is mined.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from web3.exceptions import TransactionNotFound
from web3.types import TxReceipt

from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.backends.journal import DEPLOY, AlreadySent, Intent
from chain.errors.chain import TransactionPending, TransactionUnconfirmed

__all__ = ["find_earlier", "known_transaction", "mined_receipt"]

_LOG = logging.getLogger(__name__)


def mined_receipt(eth: Any, hashes: tuple[str, ...]) -> TxReceipt | None:
    """The receipt of the version that was mined; None where none was."""
    for hash_ in reversed(hashes):
        try:
            receipt: TxReceipt = eth.get_transaction_receipt(hash_)
        except TransactionNotFound:
            continue
        return receipt
    return None


def known_transaction(eth: Any, hashes: tuple[str, ...]) -> bool:
    """Whether the node knows a version, mined or not."""
    for hash_ in reversed(hashes):
        try:
            eth.get_transaction(hash_)
        except TransactionNotFound:
            continue
        return True
    return False


def find_earlier(backend: Backend, wanted: Intent, timeout: float) -> tuple[Intent, TxReceipt] | None:
    """Look for what was sent before and does what ``wanted`` does; None where nothing stands in the way.

    A deployment of the same terms that was mined comes back with its receipt. ``timeout``: seconds to wait for what is
    under way.

    Raises
    ------
    AlreadySent
        It was mined, or its place was taken by something that this program did not send.
    TransactionPending
        It is still under way. TransactionUnconfirmed: the deployment is in a block that too few blocks followed.
    """
    journal, eth = backend.journal, backend.web3.eth
    for intent in [each for each in journal.intents if each.repeats(wanted)]:
        with node_errors():
            receipt = _outcome(backend, intent, timeout)
            used = receipt is None and eth.get_transaction_count(intent.account) > intent.nonce  # type: ignore[arg-type]
        if receipt is None:
            if used and intent.operation != DEPLOY:
                raise AlreadySent([intent], _lost(intent))
            continue
        if receipt["status"] != 1:
            journal.forget([intent])
        elif intent.operation != DEPLOY:
            block = int(receipt["blockNumber"])
            raise AlreadySent(
                [intent],
                f"an earlier {intent.name} by {intent.account}, signed after {_moment(intent)}, was mined: transaction "
                f"{_hash(receipt)} in block {block}. The command that sent it ended before it could say so",
                transaction=_hash(receipt),
                block=block,
            )
        elif intent.call == wanted.call:
            return intent, receipt
        else:
            _LOG.warning(
                "an earlier command deployed other terms at %s; that contract holds nothing and stays unused",
                receipt["contractAddress"],
            )
            journal.forget([intent])
    return None


def _outcome(backend: Backend, intent: Intent, timeout: float) -> TxReceipt | None:
    """Wait for the receipt while the node knows the transaction: a deployment's until it is confirmed."""
    eth, started, told = backend.web3.eth, time.monotonic(), False
    confirmations = backend.confirmations if intent.operation == DEPLOY else 0
    while True:
        receipt = mined_receipt(eth, intent.hashes)
        if receipt is None and not known_transaction(eth, intent.hashes):
            return None
        if receipt is not None and eth.block_number >= receipt["blockNumber"] + confirmations:
            return receipt
        if not told:
            told = True
            _LOG.warning("an earlier %s is under way (%s); waiting for it", intent.name, intent.hashes[-1])
        if time.monotonic() - started >= timeout:
            raise _late(intent, receipt, confirmations)
        time.sleep(0.05 if backend.local else min(2.0, timeout / 4))


def _late(intent: Intent, receipt: TxReceipt | None, confirmations: int) -> TransactionPending | TransactionUnconfirmed:
    if receipt is not None:
        return TransactionUnconfirmed(
            f"an earlier {intent.name}, {_hash(receipt)}, is in block {receipt['blockNumber']}, which {confirmations} "
            "blocks did not follow",
            hint="run the same command again, it goes on from there; on a node that mines on demand only, set "
            "COCOGEN_CONFIRMATIONS=0",
        )
    return TransactionPending(
        f"an earlier {intent.name} by {intent.account}, signed after {_moment(intent)}, is still under way: "
        f"transaction {intent.hashes[-1]}, nonce {intent.nonce}; nothing was sent",
        hint="wait until it is mined, or replace it with a wallet. The same command then says what became of it, and "
        "asks whether to send another",
    )


def _lost(intent: Intent) -> str:
    if not intent.hashes:
        return (
            f"another transaction of {intent.account}, nonce {intent.nonce}, was under way when a {intent.name} was "
            f"asked for after {_moment(intent)}, and has been mined since. It was not sent from this workspace, and "
            "may have been just that"
        )
    return (
        f"an earlier {intent.name} by {intent.account} was signed after {_moment(intent)}; the node does not know its "
        f"transaction {intent.hashes[-1]}, and the nonce {intent.nonce} is used: something else took its place, "
        "perhaps the same at another price"
    )


def _moment(intent: Intent) -> str:
    return f"{datetime.fromtimestamp(min(intent.time, 1 << 36), UTC):%Y-%m-%d %H:%M:%S} UTC"


def _hash(receipt: TxReceipt) -> str:
    return "0x" + bytes(receipt["transactionHash"]).hex()
