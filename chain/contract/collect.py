"""Reads everything an audit needs from the chain, as plain data pinned to one block.

A chain can be reorganized while it is read: whatever does not belong to the pinned block's own past is read again. An
attester that is a contract (EIP-1271) is asked about its signatures (``chain.contract.answers``).

Left out: any judgement of what was read (``chain.audit``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from eth_typing import HexStr
from web3 import Web3
from web3.exceptions import BlockNotFound, TransactionNotFound
from web3.types import BlockData

from chain.backends.failures import node_errors
from chain.contract.answers import Place, wallet_answer
from chain.contract.bytecode import stand_ins_address
from chain.contract.client import ConsortiumContract, Log
from chain.contract.token import Token
from chain.contract.wallets import is_contract
from chain.errors.chain import ChainUnavailable
from chain.record.calls import with_known_callers
from chain.record.values import BlockView, LedgerEvent, LedgerRecord, StorageView
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["REORGANIZATIONS", "collect_record", "is_past", "reorganized"]

REORGANIZATIONS = 3
"""So many in a row, each within the seconds that reading takes, and something else is wrong."""


class _Reorganized(Exception):
    """What was read does not belong to one chain."""


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

    Raises
    ------
    ChainUnavailable
        The chain was reorganized again and again while it was read, or the node does not have the block.
    """
    for _ in range(REORGANIZATIONS):
        try:
            return _Reading(contract, created_block, created_transaction, receipts=receipts).collect(block)
        except _Reorganized:
            continue
    raise reorganized()


def reorganized() -> ChainUnavailable:
    """The error for a chain that does not hold still."""
    return ChainUnavailable(
        f"the chain was reorganized while it was read, {REORGANIZATIONS} times in a row",
        hint="run the same command again in a little while; if that does not help, use another node",
    )


def is_past(eth: Any, block: BlockData) -> bool:
    """Tell whether the node still has this very block in its place."""
    try:
        return bool(eth.get_block(block["number"])["hash"] == block["hash"])
    except BlockNotFound:
        return False


class _Reading:
    """One attempt to read a ledger; raises :class:`_Reorganized` where the answers are not those of one chain."""

    def __init__(
        self, contract: ConsortiumContract, created_block: int, created_transaction: str | None, *, receipts: bool
    ) -> None:
        self._contract = contract
        self._eth = contract.backend.web3.eth
        self._created = created_block, created_transaction
        self._receipts = receipts
        self._blocks: dict[int, BlockData] = {}
        self._places: dict[str, Place] = {}

    def collect(self, number: int | None) -> LedgerRecord:
        eth = self._eth
        with node_errors():
            pinned = eth.get_block("latest" if number is None else number)
            block = int(pinned["number"])
            try:
                record = self._record(block)
            except (ChainUnavailable, BlockNotFound, TransactionNotFound):
                if not is_past(eth, pinned):
                    raise _Reorganized from None
                raise
            if not is_past(eth, pinned):
                raise _Reorganized
        return record

    def _record(self, block: int) -> LedgerRecord:
        contract, eth = self._contract, self._eth
        created_block, created_transaction = self._created
        blob_address = contract.view("termsBlob", block=block)
        self._blocks[block] = eth.get_block(block)
        events = with_known_callers(list(self._events(created_block, block)))
        answers = [wallet_answer(contract, event, self._places[event.transaction]) for event in events]
        asked = is_contract(contract.backend.web3, contract.terms.attester, block=block)
        return LedgerRecord(
            chain_id=contract.backend.chain_id,
            address=contract.address,
            runtime_code=bytes(eth.get_code(contract.address, block)),
            blob_address=blob_address,
            terms_blob=bytes(eth.get_code(blob_address, block)),
            created_block=created_block,
            created_transaction=created_transaction,
            attester_is_contract=asked or any(answer is not None for answer in answers),
            events=tuple(replace(event, attested=answer) for event, answer in zip(events, answers, strict=True)),
            storage=_storage(contract, block),
            blocks=tuple(_block(self._blocks[number]) for number in sorted(self._blocks)),
            stand_ins_blob=bytes(eth.get_code(Web3.to_checksum_address(stand_ins_address(contract.address)), block)),
        )

    def _events(self, first: int, last: int) -> Iterator[LedgerEvent]:
        """Yield the events of blocks ``first`` to ``last``; notes the blocks that they stand in, and where in them."""
        full: BlockData | None = None
        for log in self._contract.logs(first, last):
            if full is None or full["number"] != log.block:
                self._blocks[log.block] = full = self._eth.get_block(log.block, full_transactions=True)
            event = self._event(log, full)
            if self._receipts:
                receipt = self._eth.get_transaction_receipt(HexStr(log.transaction))
                if bytes(receipt["blockHash"]) != log.block_hash:
                    raise _Reorganized
                event = replace(event, gas=receipt["gasUsed"], status=receipt["status"])
            yield event

    def _event(self, log: Log, block: BlockData) -> LedgerEvent:
        transactions: Any = block["transactions"]
        numbers = {"0x" + bytes(each["hash"]).hex(): index for index, each in enumerate(transactions)}
        if bytes(block["hash"]) != log.block_hash or log.transaction not in numbers:
            raise _Reorganized
        index = numbers[log.transaction]
        self._places[log.transaction] = Place(index, len(transactions))
        transaction = transactions[index]
        direct = transaction.get("to") == self._contract.address
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


def _block(block: BlockData) -> BlockView:
    return BlockView(block["number"], block["timestamp"], bytes(block["hash"]))


def _assets(contract: ConsortiumContract, block: int) -> int:
    if contract.terms.token == ZERO_ADDRESS:
        return contract.backend.web3.eth.get_balance(contract.address, block)
    return Token(contract.backend, contract.terms.token).balance(contract.address, block=block)


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
