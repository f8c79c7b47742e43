"""What an attester that is a contract (EIP-1271) told the consortium's contract: its answers at that very moment.

Owners change, within a block too, so only the state in which the contract asked counts. A node can be asked about the
state before and after a block. Where the call was made directly and last in its block, the state after is the one;
where the wallet accepts before and after, or before and the call came first, nothing is open either. Otherwise the
node's trace of the transaction (``debug_traceTransaction``) holds the answer itself. Without it there is none: None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from web3.types import RPCEndpoint

from chain.contract.client import ConsortiumContract
from chain.contract.wallets import MAGIC_VALUE, is_contract, question, wallet_accepts
from chain.encoding import signatures
from chain.record.values import LedgerEvent
from cocogen.errors import LedgerError

__all__ = ["Place", "wallet_answer"]

_DEEPEST_TRACE = 1_024
"""Calls inside each other; the virtual machine allows no more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction stands among the transactions of its block: its index from 0, and how many there are."""

    index: int
    count: int


def wallet_answer(contract: ConsortiumContract, event: LedgerEvent, place: Place) -> bool | None:
    """Return what the attester's contract said of the event's signature when the consortium's contract asked.

    None where it was not asked, because the event carries no signature or one of the attester address's own key, and
    where the node cannot tell.
    """
    digest = _digest(contract, event)
    signature: Any = event.args.get("attesterSignature")
    if digest is None or signatures.verify(digest, signature, contract.terms.attester):
        return None
    web3, wallet = contract.backend.web3, contract.terms.attester

    def accepts(block: int) -> bool | None:
        try:
            # the account may have got its code later (EIP-7702), or lost it
            if is_contract(web3, wallet, block=block):
                return wallet_accepts(web3, wallet, digest, signature, block=block)
        except LedgerError:
            # the node no longer has that state
            return None
        return None

    direct = event.sender is not None
    after = accepts(event.block)
    if after is not None and direct and place.index == place.count - 1:
        return after
    before = accepts(event.block - 1)
    if before and (after or (direct and place.index == 0)):
        return True
    return _traced(contract, event.transaction, question(digest, signature))


def _digest(contract: ConsortiumContract, event: LedgerEvent) -> bytes | None:
    args: Any = event.args
    if event.name == "ContributionSubmitted":
        parts = ("round", "member", "data", "generated", "compute", "evidenceHash")
        struct_hash = signatures.contribution_struct_hash(contract.terms_hash, *(args[part] for part in parts))
    elif event.name == "TransfersSubmitted":
        signed = (args["round"], args["transfersHash"], args["evidenceHash"])
        struct_hash = signatures.transfers_struct_hash(contract.terms_hash, *signed)
    else:
        return None
    return signatures.Domain(contract.backend.chain_id, contract.address).digest(struct_hash)


def _traced(contract: ConsortiumContract, transaction: str, asked: bytes) -> bool | None:
    """Return the answer that the transaction's trace holds; None where the node keeps or gives no traces."""
    method = RPCEndpoint("debug_traceTransaction")
    try:
        answer: Any = contract.backend.web3.provider.make_request(method, [transaction, {"tracer": "callTracer"}])
    except LedgerError:
        return None
    wanted = {"from": contract.address, "to": contract.terms.attester, "input": "0x" + asked.hex()}
    for frame in _frames(answer.get("result") if isinstance(answer, dict) else None):
        if all(str(frame.get(name)).lower() == value.lower() for name, value in wanted.items()):
            return not frame.get("error") and str(frame.get("output")).lower().startswith("0x" + MAGIC_VALUE.hex())
    return None


def _frames(root: object) -> Iterator[dict[str, Any]]:
    """All calls of a trace, in any order; whatever has another shape is left out."""
    waiting = [(root, 0)]
    while waiting:
        frame, depth = waiting.pop()
        if isinstance(frame, dict):
            yield frame
            inner = frame.get("calls")
            if isinstance(inner, list) and depth < _DEEPEST_TRACE:
                waiting += [(each, depth + 1) for each in inner]
