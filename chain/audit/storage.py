"""Checks 3, 6 and 7, the end: the contract's final state against the twin's after the last event."""

from __future__ import annotations

from collections.abc import Iterator

from chain.audit.deployed import shown
from chain.audit.replay import Finding, Replay
from chain.record.values import LedgerRecord, RoundView

__all__ = ["check_storage"]

_VIEWS = (
    ("events", ("accepted", "exiting", "contributions")),
    ("settlement", ("payoffs", "ledger")),
    ("balances", ("solvent", "balances", "total_balance")),
)


def check_storage(record: LedgerRecord, replayed: Replay) -> Iterator[Finding]:
    """Compare every view; only valid when the replay went through."""
    last = record.events[-1].transaction if record.events else None

    def differs(check: str, what: str, found: object, expected: object) -> Finding:
        return Finding(check, f"{what} is {shown(found)} in storage, {shown(expected)} by the events", last)

    storage, expected = record.storage, replayed.twin.storage()
    for name in RoundView.__dataclass_fields__:
        found, value = getattr(storage.round, name), getattr(expected.round, name)
        if found != value:
            yield differs("settlement" if name == "round_hash" else "events", f"round.{name}", found, value)
    for check, names in _VIEWS:
        for name in names:
            found, value = getattr(storage, name), getattr(expected, name)
            if found != value:
                yield differs(check, name, found, value)
    if storage.assets < storage.total_balance:
        detail = f"the contract holds {storage.assets} wei for balances of {storage.total_balance} wei"
        yield Finding("balances", detail, last)
