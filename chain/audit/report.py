"""What an audit says: twelve checks with stable names, who paid whom, and what no audit can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CANNOT_KNOW",
    "CHECKS",
    "QUESTIONS",
    "Accounting",
    "AuditReport",
    "Check",
    "OrganizationAccount",
    "Origin",
    "PairAccount",
    "Status",
    "incomplete",
    "overall",
]

Status = Literal["PASS", "FAIL", "INCOMPLETE", "SKIPPED"]

Origin = Literal["node", "file"]
"""Where a record comes from: asked from the ledger itself, or read from a file that anyone may have written."""

QUESTIONS = {
    "code": "is the runtime code the shipped contract, with these terms in its immutables?",
    "terms": "do terms, terms hash, packed members, pair weights and every liability follow from the agreed terms?",
    "events": "is the log complete, in order, and what the contract's state machine accepts?",
    "signatures": "did the attester sign every contribution and every vector of transfers?",
    "limits": "were participants, bonds, caps, deadlines and the windows of disputes kept?",
    "settlement": "are profile hashes and payoffs right to the wei, do they sum to zero, does the ledger hash follow?",
    "balances": "do the replayed balances equal the contract's, and does it hold at least their total?",
    "rounding": "is every payoff less than N - 1 wei away from the exact rational?",
    "transfers": "do the transfers between pairs of members add up to the payoffs?",
    "cross-check": "does a second node give the same code, block, log and storage?",
    "evidence": "are attestations, evidence, qualities and models in the files here those whose digests were signed?",
    "data": "do samples, label mixes and skew of the terms follow from the data?",
}
"""The question that each check answers, by its stable name."""

CHECKS = tuple(QUESTIONS)
"""The checks' stable names; their ids are 1 to 12."""

CANNOT_KNOW = (
    "whether the attested contributions are true: only those who hold the data can replay the training",
    "whether attester and member colluded up to the caps: a round takes at most the liability from anyone",
    "whom a withdrawal enriched in the end, and who stands behind an address",
    "whether one node told the truth about its chain: ask a second one",
    "whether a file is the chain's: disputes, rulings, withdrawals, absences and missing rounds can be invented "
    "without any key, and only a node can show it",
)
"""What holds of every audit, whatever its checks say."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its id from 1 and stable name, status, in words what was found, the first transaction at fault."""

    id: int
    name: str
    status: Status
    detail: str
    transaction: str | None

    @property
    def question(self) -> str:
        """The question that it answers."""
        return QUESTIONS[self.name]


@dataclass(frozen=True, slots=True)
class OrganizationAccount:
    """One organization over all calculated rounds, in wei.

    ``paid`` and ``received`` are sums over its pairs, round by round; ``net`` = received − paid = Σ R_i. ``forfeits``
    is what rulings on disputes took from it (negative) or gave to it. ``runway`` is ⌊balance / L_i⌋, the rounds that
    its balance covers at worst; None where a round can take nothing.
    """

    name: str
    paid: int
    received: int
    net: int
    forfeits: int
    balance: int
    liability: int
    runway: int | None


@dataclass(frozen=True, slots=True)
class PairAccount:
    """What ``payer`` paid ``payee`` over all calculated rounds, net, in wei > 0."""

    payer: str
    payee: str
    wei: int


@dataclass(frozen=True, slots=True)
class Accounting:
    """Who pays whom. ``rounds`` counts the rounds with payoffs; organizations in the order of the terms file.

    Pairwise, a pair's transfer is r_ij of the kernel. In vector mode the attester signs one number per member, so the
    pairs are a netting: debtors pay creditors, both in contract order, until all are even.
    """

    rounds: int
    organizations: tuple[OrganizationAccount, ...]
    pairs: tuple[PairAccount, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All checks. ``status`` is FAIL if one failed, else INCOMPLETE if one could not be carried out, else PASS.

    ``accounting`` is None when the terms or the log do not allow one. ``origin`` tells where the record came from: of a
    file, PASS says that it is consistent with the terms; that it is the chain's, only the cross-check can say.
    """

    status: Literal["PASS", "FAIL", "INCOMPLETE"]
    checks: tuple[Check, ...]
    accounting: Accounting | None = None
    origin: Origin = "node"

    @property
    def cannot_know(self) -> tuple[str, ...]:
        """What holds of every audit, whatever its checks say."""
        return CANNOT_KNOW


def overall(checks: Sequence[Check]) -> Literal["PASS", "FAIL", "INCOMPLETE"]:
    """Return the verdict over all checks."""
    statuses = {check.status for check in checks}
    if "FAIL" in statuses:
        return "FAIL"
    return "INCOMPLETE" if "INCOMPLETE" in statuses else "PASS"


def incomplete(reason: str, *, origin: Origin = "node") -> AuditReport:
    """Return the report of an audit that had nothing to read, for the ``reason`` given in words."""
    checks = tuple(Check(number, name, "INCOMPLETE", reason, None) for number, name in enumerate(CHECKS, start=1))
    return AuditReport("INCOMPLETE", checks, origin=origin)
