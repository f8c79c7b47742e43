"""What an auditor collects from a ledger: plain data, the same from a node, from memory or from a file.

The audit reads nothing else, so whoever can fill a :class:`LedgerRecord` can have it audited offline. Addresses are
EIP-55 text, hashes 32-byte strings, amounts wei, times Unix seconds, indices and bitmaps in the contract's member
order (sorted by address). Left out: how it is collected (``chain.contract.ledger``, ``chain.twin.ledger``) and any
judgement of it (``chain.audit``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "MEMORY_CHAIN_ID",
    "BlockView",
    "Event",
    "EventValue",
    "LedgerEvent",
    "LedgerRecord",
    "RoundView",
    "StorageView",
]

MEMORY_CHAIN_ID = 0
"""Chain id of ledgers in memory. No real chain has it, so what is signed there counts nowhere else, and a record
without bytecode cannot pass for one of a chain."""

EventValue = int | str | bytes | tuple[int, ...]
"""uintN and intN as int, address as EIP-55 text, bytes and bytes32 as bytes, int256[] as a tuple of int."""


@dataclass(frozen=True, slots=True)
class Event:
    """One contract event: its ABI name, and its arguments under their ABI names (``attesterSignature``)."""

    name: str
    args: Mapping[str, EventValue]


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """An event with the transaction that emitted it.

    ``transaction`` is the 0x-prefixed hash; ``log_index`` the position among all logs of the block. ``sender`` and
    ``value`` (wei) are those of the call when the transaction calls the contract directly, and None when the call goes
    through another contract (a multi-signature wallet, a recipient that calls back while it is paid), where the logs
    alone do not tell them. ``gas`` (used by the
    transaction) and ``status`` (1: it succeeded) come from the receipt; None where no receipt was asked for.
    ``attested`` is what an attester that is a contract (EIP-1271) said of the event's signature at the event's block;
    None where nobody asked it (a private key's signature proves itself) or the node no longer has the state to ask.
    """

    name: str
    args: Mapping[str, EventValue]
    block: int
    time: int
    transaction: str
    log_index: int
    sender: str | None
    value: int | None
    gas: int | None = None
    status: int | None = None
    attested: bool | None = None


@dataclass(frozen=True, slots=True)
class BlockView:
    """One block: number, time in Unix seconds and 32-byte hash."""

    number: int
    time: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class RoundView:
    """The contract's ``round()``; ``phase`` is its number (0 idle, 1 open, 2 recorded, 3 disputed, 4 calculated).

    ``disputant`` is the member whose dispute is open (0 unless disputed). ``transfers_submitted``: in vector mode, the
    attester's transfers of the round are in.
    """

    number: int
    phase: int
    deadline: int
    idle_since: int
    participants: int
    submitted: int
    round_hash: bytes
    disputant: int = 0
    transfers_submitted: bool = False


@dataclass(frozen=True, slots=True)
class StorageView:
    """The contract's views, all read at one block.

    ``terms`` is the tuple ``terms()`` in its ABI order; ``liabilities`` come from ``member(i)``; ``contributions``
    are ``contributionOf(i)`` as (data, generated, compute); ``assets`` is what the contract holds of its asset: wei of
    ether, or smallest units of the token.
    """

    block: int
    terms: tuple[int | bool | bytes | str, ...]
    terms_hash: bytes
    liabilities: tuple[int, ...]
    round: RoundView
    accepted: int
    solvent: int
    exiting: int
    balances: tuple[int, ...]
    payoffs: tuple[int, ...]
    contributions: tuple[tuple[int, int, int], ...]
    total_balance: int
    ledger: bytes
    assets: int


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """Everything about one consortium that the chain holds.

    ``runtime_code`` is the contract's code and ``terms_blob`` that of the contract at ``blob_address`` (the leading
    STOP byte included); ``stand_ins_blob`` that of the contract which holds the stand-ins for absent members, empty if
    there is none; ``runtime_code`` is None for a ledger in memory, which has no bytecode. ``created_block`` and
    ``created_transaction`` are the deployment's. ``attester_is_contract`` tells whether there is code at the
    attester's address (then its signatures follow EIP-1271 and ``events`` hold its answers). ``events`` holds every
    event of the contract up to ``storage.block``, oldest first. ``blocks`` are the blocks of the events and that of the
    storage, ascending; a ledger in memory has none.
    """

    chain_id: int
    address: str
    runtime_code: bytes | None
    blob_address: str
    terms_blob: bytes
    created_block: int
    created_transaction: str | None
    attester_is_contract: bool
    events: tuple[LedgerEvent, ...]
    storage: StorageView
    blocks: tuple[BlockView, ...] = ()
    stand_ins_blob: bytes = b""
