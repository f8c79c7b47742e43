"""What happened in each round, read from the events alone: the same for the in-memory ledger and for any chain.

Left out: receipts (a log does not hold gas) and any check of the events (``chain.audit``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chain.encoding.states import bits
from chain.encoding.terms import EncodedTerms
from chain.record.values import Event, LedgerEvent
from cocogen.ledger import RULINGS, Contribution, Dispute, RoundOutcome

__all__ = ["round_outcomes"]


def round_outcomes(events: Iterable[Event | LedgerEvent], terms: EncodedTerms) -> tuple[RoundOutcome, ...]:
    """Return all rounds so far, oldest first, members in the order of the terms file."""
    count = len(terms.members)
    rounds: dict[int, RoundOutcome] = {}
    for event in events:
        args: Any = event.args
        number = args.get("round")
        if event.name == "RoundOpened":
            participants = bits(args["participants"], count)
            rounds[number] = RoundOutcome(
                round=number,
                status="open",
                participants=tuple(participants[position] for position in terms.positions),
                contributions=(None,) * count,
                transfers=(0,) * count,
            )
        elif event.name == "ContributionSubmitted":
            contributions = list(rounds[number].contributions)
            contributions[terms.organizations[args["index"]]] = Contribution(
                args["data"], args["generated"], args["compute"], args["evidenceHash"]
            )
            rounds[number] = replace(rounds[number], contributions=tuple(contributions))
        elif event.name == "ProfileRecorded":
            rounds[number] = replace(rounds[number], status="recorded")
        elif event.name == "DisputeRaised":
            dispute = Dispute(organization=terms.organizations[args["index"]], reason_hash=args["reasonHash"])
            rounds[number] = replace(rounds[number], status="disputed", dispute=dispute)
        elif event.name == "DisputeResolved":
            raised: Any = rounds[number].dispute
            resolved = replace(raised, ruling=RULINGS[args["ruling"]], forfeited=args["forfeited"])
            rounds[number] = replace(rounds[number], status="recorded", dispute=resolved)
        elif event.name == "RoundVoided":
            rounds[number] = replace(rounds[number], status="voided")
        elif event.name == "PayoffCalculated":
            transfers = tuple(args["payoffs"][position] for position in terms.positions)
            rounds[number] = replace(rounds[number], status="calculated", transfers=transfers)
        elif event.name == "PayoffTransferred":
            rounds[number] = replace(rounds[number], status="settled")
    return tuple(rounds[number] for number in sorted(rounds))
