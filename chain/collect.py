"""Reads everything an audit needs from the chain, as plain data pinned to one block.

Left out: any judgement of what was read (``chain.audit``).
"""

from __future__ import annotations

from typing import Any

from web3.types import BlockData

from chain.backends.failures import node_errors
from chain.contract import ConsortiumContract, Log
from chain.record import LedgerEvent, LedgerRecord, StorageView

__all__ = ["collect_record"]


def collect_record(
    contract: ConsortiumContract, *, created_block: int, created_transaction: str | None
) -> LedgerRecord:
    """Collect the contract's code, terms, events and views as of the chain's latest block.

    ``created_block`` and ``created_transaction`` come from the deployment record: a node cannot be asked for them.
    """
    eth = contract.backend.web3.eth
    with node_errors():
        block = eth.block_number
        blob_address = contract.view("termsBlob", block=block)
        return LedgerRecord(
            chain_id=contract.backend.chain_id,
            address=contract.address,
            runtime_code=bytes(eth.get_code(contract.address, block)),
            blob_address=blob_address,
            terms_blob=bytes(eth.get_code(blob_address, block)),
            created_block=created_block,
            created_transaction=created_transaction,
            attester_is_contract=bool(eth.get_code(contract.view("terms", block=block)[3], block)),
            events=_events(contract, created_block, block),
            storage=_storage(contract, block),
        )


def _events(contract: ConsortiumContract, first: int, last: int) -> tuple[LedgerEvent, ...]:
    blocks: dict[int, BlockData] = {}
    events = []
    for log in contract.logs(first, last):
        if log.block not in blocks:
            blocks[log.block] = contract.backend.web3.eth.get_block(log.block, full_transactions=True)
        events.append(_event(log, blocks[log.block], contract.address))
    return tuple(events)


def _event(log: Log, block: BlockData, address: str) -> LedgerEvent:
    transactions: Any = block["transactions"]
    transaction = next(each for each in transactions if "0x" + each["hash"].hex() == log.transaction)
    direct = transaction.get("to") == address
    return LedgerEvent(
        name=log.event.name,
        args=log.event.args,
        block=log.block,
        time=block["timestamp"],
        transaction=log.transaction,
        log_index=log.log_index,
        sender=transaction["from"] if direct else None,
        value=transaction["value"] if direct else None,
    )


def _storage(contract: ConsortiumContract, block: int) -> StorageView:
    return StorageView(
        block=block,
        terms=contract.terms.values,
        terms_hash=contract.terms_hash,
        liabilities=tuple(member.liability for member in contract.members),
        round=contract.round(block=block),
        accepted=contract.view("accepted", block=block),
        solvent=contract.view("solvent", block=block),
        exiting=contract.view("exiting", block=block),
        balances=contract.balances(block=block),
        payoffs=contract.payoffs(block=block),
        contributions=contract.contributions(block=block),
        total_balance=contract.view("totalBalance", block=block),
        ledger=bytes(contract.view("ledger", block=block)),
        ether=contract.backend.web3.eth.get_balance(contract.address, block),
    )
