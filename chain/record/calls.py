"""Which events of a log one call of the contract emitted, and who made that call, as far as a log can tell.

A transaction names the caller of its *first* call only. Paying out a withdrawal runs the recipient's code, and so may a
token that takes a deposit: whatever the contract is called for meanwhile, and it allows all but deposits and
withdrawals, stands in the same transaction, and its caller in no log. The contract emits the events of a call before
it calls out, so the first call's come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chain.record.values import LedgerEvent

__all__ = ["GUARDED", "Call", "calls", "with_known_callers"]

GUARDED = frozenset({"Accepted", "Deposited", "Withdrawn"})
"""Events of the calls that call out; they are guarded, so none of them is made while another one is under way."""


_TOGETHER = (("DisputeResolved", "RoundVoided"), ("Absent", "PayoffCalculated"))
"""What one call emits together, where the one does not always bring the other; Accepted never stands alone."""


@dataclass(frozen=True, slots=True)
class Call:
    """The events of one call: one, or two of a first deposit, of a ruling that voids and of payoffs with absentees.

    ``sender`` and ``value`` (wei) are None where the log does not tell them: the transaction goes through a wallet
    contract, or the call was made ``inside`` another one of the same transaction.
    """

    events: tuple[LedgerEvent, ...]
    sender: str | None
    value: int | None
    inside: bool

    @property
    def event(self) -> LedgerEvent:
        """The event that says what was called: with two, the deposit rather than what it was the first to accept."""
        return self.events[0] if self.events[0].name == "DisputeResolved" else self.events[-1]


def calls(events: Sequence[LedgerEvent]) -> Iterator[Call]:
    """Group a log, oldest first, by the calls that emitted it; what an event says of an inner call's sender is void."""
    begun: set[str] = set()
    position = 0
    while position < len(events):
        event, following = events[position], events[position + 1 : position + 2]
        together = bool(following) and following[0].transaction == event.transaction
        names = (event.name, following[0].name) if together else ()
        size = 2 if (event.name == "Accepted" and together) or names in _TOGETHER else 1
        own = tuple(events[position : position + size])
        inside = event.transaction in begun
        begun.add(event.transaction)
        call = Call(own, None, None, inside)
        yield call if inside else replace(call, sender=call.event.sender, value=call.event.value)
        position += size


def with_known_callers(events: Sequence[LedgerEvent]) -> tuple[LedgerEvent, ...]:
    """Return the events, each with the sender and value of its own call instead of its transaction's first one."""
    return tuple(
        replace(event, sender=call.sender, value=call.value) if call.inside else event
        for call in calls(events)
        for event in call.events
    )
