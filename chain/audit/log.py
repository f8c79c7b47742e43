"""The part of check 3 that needs no state machine: blocks, times, positions, and what one transaction can emit."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import groupby, pairwise

from chain.audit.replay import Finding
from chain.encoding.terms import EncodedTerms
from chain.record.calls import GUARDED, calls
from chain.record.values import LedgerEvent, LedgerRecord
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["check_log"]


def check_log(record: LedgerRecord, terms: EncodedTerms) -> Iterator[Finding]:
    """Check what holds the log together."""
    yield from _positions(record)
    yield from _transactions(record, calls_out={"Withdrawn"} if terms.scalars.token == ZERO_ADDRESS else GUARDED)
    if record.blocks:
        yield from _blocks(record)


def _positions(record: LedgerRecord) -> Iterator[Finding]:
    for event in record.events:
        if not record.created_block <= event.block <= record.storage.block:
            valid = f"{record.created_block} to {record.storage.block}"
            yield _wrong(f"{event.name} in block {event.block}, outside the ledger's life ({valid})", event)
    for before, event in pairwise(record.events):
        if (event.block, event.log_index) <= (before.block, before.log_index):
            yield _wrong(f"{event.name} stands out of order in the log", event)
        elif event.time < before.time or (event.block == before.block and event.time != before.time):
            yield _wrong(f"{event.name} at {event.time} does not fit the event before it at {before.time}", event)


def _transactions(record: LedgerRecord, calls_out: Set[str]) -> Iterator[Finding]:
    """Check the events of each transaction; ``calls_out`` are those of calls that let other code run meanwhile."""
    by_transaction = sorted(record.events, key=lambda event: event.transaction)
    for _, group in groupby(by_transaction, key=lambda event: event.transaction):
        events = list(group)
        first, *inner = calls(events)
        begun = events[0]
        same = all(_place(event) == _place(begun) for event in events)
        # files of earlier versions name the first call's sender for all
        same &= all(_said(event) == _said(begun) for event in first.events)
        same &= all(_said(event) in (_said(begun), (None, None)) for call in inner for event in call.events)
        if not same:
            yield _wrong(
                "the events of one transaction name different blocks, times, senders, values or receipts", begun
            )
        for event in events:
            if (event.sender is None) != (event.value is None) or (event.gas is None) != (event.status is None):
                yield _wrong(f"{event.name} names a part of its call or of its receipt, and not the rest", event)
        names = [event.name for event in events]
        impossible = {event.name for call in inner for event in call.events} & GUARDED
        if begun.sender is not None and inner and (first.events[-1].name not in calls_out or impossible):
            yield _wrong(f"one direct call cannot emit {', '.join(names)}", begun)
        if begun.status not in (None, 1):
            yield _wrong(f"the transaction failed (status {begun.status}), so it emitted nothing", begun)


def _place(event: LedgerEvent) -> tuple[object, ...]:
    return event.block, event.time, event.gas, event.status


def _said(event: LedgerEvent) -> tuple[object, ...]:
    return event.sender, event.value


def _blocks(record: LedgerRecord) -> Iterator[Finding]:
    times = {block.number: block.time for block in record.blocks}
    numbers = [block.number for block in record.blocks]
    needed = {event.block for event in record.events} | {record.storage.block}
    if numbers != sorted(needed):
        odd = min(needed ^ times.keys(), default=None)
        what = "the blocks are out of order" if odd is None else f"block {odd} is missing or does not belong here"
        yield Finding("events", what)
    for before, block in pairwise(record.blocks):
        if block.time < before.time:
            yield Finding("events", f"block {block.number} at {block.time} is older than the one before it")
    for event in record.events:
        time = times.get(event.block, event.time)
        if event.time != time:
            yield _wrong(f"{event.name} at {event.time}, but block {event.block} is of {time}", event)


def _wrong(detail: str, event: LedgerEvent) -> Finding:
    return Finding("events", detail, event.transaction)
