"""Check 10: what a second node says about the same contract at the same block.

One node could serve an invented chain that is consistent with itself, down to the signatures it has seen. A second
node, run by someone else, would have to agree. Both records are read at the block of the first one's storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import zip_longest

from chain.audit.deployed import shown
from chain.audit.replay import Finding
from chain.errors.chain import ChainUnavailable, WrongChain
from chain.record.calls import with_known_callers
from chain.record.values import LedgerRecord, StorageView

__all__ = ["ask_second_node", "check_second"]

_FACTS = (
    *("chain_id", "address", "runtime_code", "blob_address", "terms_blob", "stand_ins_blob", "attester_is_contract"),
    *("created_block", "created_transaction"),
)


def ask_second_node(url: str, record: LedgerRecord, name: str) -> LedgerRecord:
    """Collect the same contract from the node at ``url``, at the block of the record's storage.

    ``name`` is that of the contract which the terms need.

    Raises
    ------
    ConfigurationError
        The URL cannot be opened.
    LedgerError
        The node gives no answer, serves another chain, or does not have that block yet.
    """
    # web3 takes a second to import, and no other check needs it
    from chain.backends import open_backend
    from chain.backends.failures import node_errors
    from chain.contract.client import ConsortiumContract
    from chain.contract.collect import collect_record
    from chain.contract.creation import is_creation

    block = record.storage.block
    with open_backend(url) as backend:
        if backend.chain_id != record.chain_id:
            raise WrongChain(
                f"it serves chain {backend.chain_id}, the ledger is on chain {record.chain_id}",
                hint="name a node of the ledger's chain",
            )
        with node_errors():
            head = backend.web3.eth.block_number
        if head < block:
            raise ChainUnavailable(
                f"it has come to block {head} only, not to {block}", hint="wait until it has caught up"
            )
        contract = ConsortiumContract(backend, record.address, name=name)
        if not contract.code():
            return replace(record, runtime_code=b"", terms_blob=b"", events=(), blocks=())
        created = is_creation(backend, record.address, record.created_block, record.created_transaction)
        second = collect_record(
            contract,
            created_block=record.created_block,
            created_transaction=record.created_transaction,
            block=block,
            receipts=any(event.gas is not None for event in record.events),
        )
        # a node that has pruned its past cannot tell, and contradicts nothing
        return second if created is not False else replace(second, created_block=0, created_transaction=None)


def check_second(record: LedgerRecord, second: LedgerRecord) -> Iterator[Finding]:
    """Compare code, the pinned block's hash, logs with their calls and receipts, and storage."""

    def differs(what: str, first: object, other: object, transaction: str | None = None) -> Finding:
        detail = f"{what} is {_short(first)} here, {_short(other)} on the second node"
        return Finding("cross-check", detail, transaction)

    for name in _FACTS:
        here, there = getattr(record, name), getattr(second, name)
        if here != there:
            yield differs(name.replace("_", " "), here, there)
    for here, there in zip_longest(record.blocks, second.blocks):
        if here != there:
            yield differs("a block", here, there)
            break
    for here, there in zip_longest(with_known_callers(record.events), with_known_callers(second.events)):
        if here is None or there is None:
            one = here or there
            yield differs("the number of events", len(record.events), len(second.events), one.transaction)
            break
        for item in fields(here):
            first, other = getattr(here, item.name), getattr(there, item.name)
            # either side may lack receipts, or the old state in which an attester's contract can be asked
            unknown = item.name in ("gas", "status", "attested") and None in (first, other)
            if first != other and not unknown:
                yield differs(f"{here.name}'s {item.name}", first, other, here.transaction)
    for item in fields(StorageView):
        first, other = getattr(record.storage, item.name), getattr(second.storage, item.name)
        if first != other:
            yield differs(f"the storage's {item.name}", first, other)


def _short(value: object) -> str:
    text = str(shown(value))
    return text if len(text) <= 200 else text[:197] + "..."
