"""Reads everything an audit needs from the chain, as plain data pinned to one block.

An attester that is a contract (EIP-1271) is asked about each of its signatures at the block in which it was given.

Left out: any judgement of what was read (``chain.audit``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from eth_typing import HexStr
from web3.types import BlockData

from chain import attestation
from chain.backends.failures import node_errors
from chain.contract import ConsortiumContract, Log
from chain.record import BlockView, LedgerEvent, LedgerRecord, StorageView
from chain.token import Token
from chain.wallets import is_contract, wallet_accepts
from cocogen.errors import LedgerError
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["collect_record"]


def collect_record(
    contract: ConsortiumContract,
    *,
    created_block: int,
    created_transaction: str | None,
    block: int | None = None,
    receipts: bool = False,
) -> LedgerRecord:
    """Collect the contract's code, terms, events and views as of ``block``, by default the chain's latest.

    ``created_block`` and ``created_transaction`` come from the deployment record: a node cannot be asked for them.
    ``receipts`` adds gas and status to the events, at one more query for every transaction.
    """
    eth = contract.backend.web3.eth
    with node_errors():
        block = eth.block_number if block is None else block
        blob_address = contract.view("termsBlob", block=block)
        blocks = {block: eth.get_block(block)}
        events = list(_events(contract, created_block, block, blocks, receipts=receipts))
        attester_is_contract = is_contract(contract.backend.web3, contract.terms.attester, block=block)
        if attester_is_contract:
            events = [replace(event, attested=_answer(contract, event)) for event in events]
        return LedgerRecord(
            chain_id=contract.backend.chain_id,
            address=contract.address,
            runtime_code=bytes(eth.get_code(contract.address, block)),
            blob_address=blob_address,
            terms_blob=bytes(eth.get_code(blob_address, block)),
            created_block=created_block,
            created_transaction=created_transaction,
            attester_is_contract=attester_is_contract,
            events=tuple(events),
            storage=_storage(contract, block),
            blocks=tuple(_block(blocks[number]) for number in sorted(blocks)),
        )


def _events(
    contract: ConsortiumContract, first: int, last: int, blocks: dict[int, BlockData], *, receipts: bool
) -> Iterator[LedgerEvent]:
    """Yield the events of blocks ``first`` to ``last``, and add the blocks they stand in to ``blocks``."""
    eth = contract.backend.web3.eth
    full: BlockData | None = None
    for log in contract.logs(first, last):
        if full is None or full["number"] != log.block:
            blocks[log.block] = full = eth.get_block(log.block, full_transactions=True)
        event = _event(log, full, contract.address)
        if receipts:
            receipt = eth.get_transaction_receipt(HexStr(log.transaction))
            event = replace(event, gas=receipt["gasUsed"], status=receipt["status"])
        yield event


def _block(block: BlockData) -> BlockView:
    return BlockView(block["number"], block["timestamp"], bytes(block["hash"]))


def _answer(contract: ConsortiumContract, event: LedgerEvent) -> bool | None:
    """What the attester's contract says of the event's signature; None without one, or without the state to ask."""
    args: Any = event.args
    if event.name == "ContributionSubmitted":
        parts = ("round", "member", "data", "generated", "compute", "evidenceHash")
        struct_hash = attestation.contribution_struct_hash(contract.terms_hash, *(args[part] for part in parts))
    elif event.name == "TransfersSubmitted":
        signed = (args["round"], args["transfersHash"], args["evidenceHash"])
        struct_hash = attestation.transfers_struct_hash(contract.terms_hash, *signed)
    else:
        return None
    digest = attestation.Domain(contract.backend.chain_id, contract.address).digest(struct_hash)
    wallet, signature = contract.terms.attester, args["attesterSignature"]
    try:
        # the account may have got its code later (EIP-7702)
        if not is_contract(contract.backend.web3, wallet, block=event.block):
            return None
        return wallet_accepts(contract.backend.web3, wallet, digest, signature, block=event.block)
    except LedgerError:
        return None


def _assets(contract: ConsortiumContract, block: int) -> int:
    if contract.terms.token == ZERO_ADDRESS:
        return contract.backend.web3.eth.get_balance(contract.address, block)
    return Token(contract.backend, contract.terms.token).balance(contract.address, block=block)


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
        assets=_assets(contract, block),
    )
