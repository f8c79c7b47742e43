"""Checks 8 and 9: payoffs against exact arithmetic, and who pays whom.

Both read contributions and payoffs from the log alone and compute apart from the twin and from ``kernel.payoffs``:
were contract and twin wrong alike, these checks would still show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Any

from chain.audit.replay import Finding
from chain.audit.report import Accounting, OrganizationAccount, PairAccount
from chain.encoding.kernel import TRANSFER_DIVISOR
from chain.encoding.terms import EncodedTerms
from chain.record.values import LedgerEvent, LedgerRecord
from cocogen.amounts import runway

__all__ = ["Payments", "SettledRound", "account", "settled_rounds", "tally"]


@dataclass(frozen=True, slots=True)
class SettledRound:
    """One calculated round in contract order: the contributors' scores X_i, those of the absent members' stand-ins, and
    the payoffs in wei.

    A score is None where the member has not contributed, and 0 in vector mode, where nothing follows from it. A
    stand-in is None where the member is not absent, or not charged for it; who has neither is masked.
    """

    number: int
    transaction: str
    scores: tuple[int | None, ...]
    stand_ins: tuple[int | None, ...]
    payoffs: tuple[int, ...]


@dataclass(slots=True)
class Payments:
    """What came of the calculated rounds, in wei and contract order; ``pairs[i][j]`` (i < j) is what i received of j.

    ``largest_rounding`` is the largest |R_i − exact| in wei (0 in vector mode, where nothing is rounded).
    """

    paid: list[int]
    received: list[int]
    pairs: list[list[int]]
    rounds: int = 0
    largest_rounding: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def settled_rounds(events: Iterable[LedgerEvent], terms: EncodedTerms) -> Iterator[SettledRound]:
    """Read the calculated rounds from the log. What is malformed is left to the checks of the log itself."""
    count, vector = len(terms.members), terms.is_vector
    scores: list[int | None] = [None] * count
    participants = 0
    for event in events:
        args: Any = event.args
        if event.name == "RoundOpened":
            scores = [None] * count
            opened = args.get("participants")
            participants = opened if isinstance(opened, int) else 0
        elif event.name == "ContributionSubmitted":
            parts = [args.get(name) for name in ("index", "data", "generated", "compute")]
            if all(isinstance(part, int) for part in parts) and 0 <= parts[0] < count:
                scores[parts[0]] = 0 if vector else terms.score(*parts)
        elif event.name == "PayoffCalculated":
            payoffs = args.get("payoffs")
            if isinstance(payoffs, tuple) and len(payoffs) == count:
                absent = [score is None and participants >> i & 1 for i, score in enumerate(scores)]
                charged = zip(absent, terms.stand_ins or (None,) * count, strict=True)
                stand_ins = tuple(score if silent else None for silent, score in charged)
                yield SettledRound(args.get("round", 0), event.transaction, tuple(scores), stand_ins, payoffs)


def tally(rounds: Iterable[SettledRound], terms: EncodedTerms) -> Payments:
    """Judge the payoffs of every round and add up who paid whom."""
    count = len(terms.members)
    result = Payments([0] * count, [0] * count, [[0] * count for _ in range(count)])
    for settled in rounds:
        result.rounds += 1
        if terms.is_vector:
            net = _netting(result, settled)
        else:
            _check_rounding(result, settled, terms)
            net = _pairwise(result, settled, terms)
        for index, (payoff, expected) in enumerate(zip(settled.payoffs, net, strict=True)):
            if payoff != expected:
                name = terms.names[terms.organizations[index]]
                detail = f"round {settled.number}: {name}'s payoff is {payoff} wei, its transfers sum to {expected}"
                result.findings.append(Finding("transfers", detail, settled.transaction))
                break
    return result


def account(payments: Payments, record: LedgerRecord, terms: EncodedTerms) -> Accounting:
    """Return who paid whom, by name, with the runway of each balance."""
    forfeits = _forfeits(record.events, len(terms.members))
    balances = record.storage.balances
    organizations = []
    for name, i in zip(terms.names, terms.positions, strict=True):
        paid, received, liability = payments.paid[i], payments.received[i], terms.liabilities[i]
        covered = runway(balances[i], liability)
        organizations.append(
            OrganizationAccount(name, paid, received, received - paid, forfeits[i], balances[i], liability, covered)
        )
    pairs = []
    for n, i in enumerate(terms.positions):
        for m, j in enumerate(terms.positions):
            wei = -payments.pairs[i][j] if i < j else payments.pairs[j][i]
            if wei > 0:
                pairs.append(PairAccount(terms.names[n], terms.names[m], wei))
    return Accounting(payments.rounds, tuple(organizations), tuple(pairs))


def _check_rounding(result: Payments, settled: SettledRound, terms: EncodedTerms) -> None:
    """Compare with R_i = gamma · Σ_j k_ij (X_i − X_j) / D over integers: both sides times the denominator D.

    Of a pair of whom one is absent, what the other would owe counts as 0; of two who are, everything does.
    """
    present = [i for i, score in enumerate(settled.scores) if score is not None]
    # masked members enter with weight 0: score 0 in both sums, and their own row is not asked for
    own = [score or 0 for score in settled.scores]
    here = [int(score is not None) for score in settled.scores]
    absent = [(a, score) for a, score in enumerate(settled.stand_ins) if score is not None]
    allowed = max(len(present) + len(absent) - 1, 1) * TRANSFER_DIVISOR
    charges = [0] * len(settled.payoffs)
    for a, stand_in in absent:
        for m in present:
            due = terms.pair_weights[a][m] * max(0, own[m] - stand_in)
            charges[m] += due
            charges[a] -= due
    largest = 0
    for i, payoff in enumerate(settled.payoffs):
        difference = charges[i]
        if here[i]:
            row = terms.pair_weights[i]
            difference += own[i] * sum(map(mul, row, here)) - sum(map(mul, row, own))
        distance = abs(payoff * TRANSFER_DIVISOR - terms.scalars.gamma_wad * difference)
        largest = max(largest, distance)
    result.largest_rounding = max(result.largest_rounding, largest / TRANSFER_DIVISOR)
    if largest >= allowed:
        detail = (
            f"round {settled.number}: a payoff is {largest / TRANSFER_DIVISOR:.6g} wei away from the exact rational"
        )
        result.findings.append(Finding("rounding", detail, settled.transaction))


def _pairwise(result: Payments, settled: SettledRound, terms: EncodedTerms) -> list[int]:
    """Add r_ij of every pair of contributors, and what the absent owe them; returns each member's sum."""
    gamma = terms.scalars.gamma_wad
    paid, received, pairs = result.paid, result.received, result.pairs
    net = [0] * len(settled.payoffs)
    present = [(i, gamma * score) for i, score in enumerate(settled.scores) if score is not None]
    for position, (i, own) in enumerate(present):
        weights, totals = terms.pair_weights[i], pairs[i]
        for j, other in present[position + 1 :]:
            # the larger is paid by the smaller; division of what is not negative truncates toward zero
            if own >= other:
                wei = weights[j] * (own - other) // TRANSFER_DIVISOR
                received[i] += wei
                paid[j] += wei
            else:
                wei = -(weights[j] * (other - own) // TRANSFER_DIVISOR)
                paid[i] -= wei
                received[j] -= wei
            totals[j] += wei
            net[i] += wei
            net[j] -= wei
    for a, stand_in in enumerate(settled.stand_ins):
        if stand_in is None:
            continue
        owed = gamma * stand_in
        for m, other in present:
            if other <= owed:
                continue
            wei = terms.pair_weights[a][m] * (other - owed) // TRANSFER_DIVISOR
            received[m] += wei
            paid[a] += wei
            pairs[min(a, m)][max(a, m)] += wei if m < a else -wei
            net[m] += wei
            net[a] -= wei
    return net


def _netting(result: Payments, settled: SettledRound) -> list[int]:
    """Let debtors pay creditors, both in contract order; returns each member's sum."""
    net = [0] * len(settled.payoffs)
    creditors = [[i, payoff] for i, payoff in enumerate(settled.payoffs) if payoff > 0]
    for debtor, payoff in enumerate(settled.payoffs):
        owed = -payoff
        while owed > 0 and creditors:
            creditor, due = creditors[0]
            wei = min(owed, due)
            owed -= wei
            creditors[0][1] -= wei
            if due == wei:
                creditors.pop(0)
            result.paid[debtor] += wei
            result.received[creditor] += wei
            low, high = min(debtor, creditor), max(debtor, creditor)
            result.pairs[low][high] += wei if low == creditor else -wei
            net[debtor] -= wei
            net[creditor] += wei
    return net


def _forfeits(events: Sequence[LedgerEvent], count: int) -> list[int]:
    """Add up what rulings moved: from the disputant to the round's other contributors, in equal shares."""
    result = [0] * count
    contributors: set[int] = set()
    for event in events:
        args: Any = event.args
        if event.name == "RoundOpened":
            contributors = set()
        elif event.name == "ContributionSubmitted":
            contributors.add(args.get("index"))
        elif event.name == "DisputeResolved" and args.get("forfeited"):
            others = [i for i in contributors - {args.get("index")} if i in range(count)]
            if others and args.get("index") in range(count):
                result[args["index"]] -= args["forfeited"]
                for i in others:
                    result[i] += args["forfeited"] // len(others)
    return result
