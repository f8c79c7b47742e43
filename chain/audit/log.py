"""The part of check 3 that needs no state machine: blocks, times, positions, and what one transaction can emit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from chain.record import LedgerEvent, LedgerRecord
from chain.replay import Finding

__all__ = ["check_log"]

_TOGETHER = (["Accepted", "Deposited"], ["DisputeResolved", "RoundVoided"], ["Absent", "PayoffCalculated"])
"""The events that one call can emit, where it emits more than one."""


def check_log(record: LedgerRecord) -> Iterator[Finding]:
    """Check what holds the log together."""
    yield from _positions(record)
    yield from _transactions(record)
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


def _transactions(record: LedgerRecord) -> Iterator[Finding]:
    by_transaction = sorted(record.events, key=lambda event: event.transaction)
    for _, group in groupby(by_transaction, key=lambda event: event.transaction):
        events = list(group)
        first = events[0]
        if any(_call(event) != _call(first) for event in events[1:]):
            yield _wrong(
                "the events of one transaction name different blocks, times, senders, values or receipts", first
            )
        names = [event.name for event in events]
        if first.sender is not None and len(names) > 1 and names not in _TOGETHER:
            yield _wrong(f"one direct call cannot emit {', '.join(names)}", first)
        if first.status not in (None, 1):
            yield _wrong(f"the transaction failed (status {first.status}), so it emitted nothing", first)


def _call(event: LedgerEvent) -> tuple[object, ...]:
    return event.block, event.time, event.sender, event.value, event.gas, event.status


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
