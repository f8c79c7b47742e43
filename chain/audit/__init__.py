"""The audit: everything that a consortium's ledger claims, recomputed from its terms and judged check by check.

1. code         the runtime code is the shipped contract with these terms in its immutables
2. terms        terms, packed members and pair weights, terms hash and every liability follow from the terms file
3. events       the event log is complete, in order, and what the state machine accepts
4. signatures   every contribution and every vector of transfers bears the attester's signature over its values
5. limits       participants, bonds, caps, deadlines and the windows of disputes were kept
6. settlement   profile hashes, payoffs (to the wei), their zero sum and the ledger hash
7. balances     replayed balances equal the contract's; it holds at least their total
8. rounding     every payoff lies less than N − 1 wei from the exact rational (integers, apart from the kernel)
9. transfers    the transfers between pairs add up to the payoffs; who pays whom, and runways, are in the report
10. cross-check a second node gives the same code, block, log and storage
11. evidence    files of the consortium that are at hand are those whose digests were signed
12. data        samples, label mixes and skew of the terms follow from the data

A check says PASS, FAIL, INCOMPLETE (it could not be carried out: the replay broke off, or the attester is a contract
whose answers are missing, or stand in a file and no node confirms them), or SKIPPED (there is nothing to check: a
ledger in memory has no bytecode; nobody asked for a second node; the last two checks are about files and data that lie
beside the ledger, see ``cocogen.operations.verdict``). The audit reads a :class:`chain.record.values.LedgerRecord`
and the terms, nothing else. What it cannot know is :data:`CANNOT_KNOW`.
"""

from __future__ import annotations

from chain.audit.auditor import audit
from chain.audit.findings import Findings, audit_deployment, audit_export
from chain.audit.report import (
    CANNOT_KNOW,
    CHECKS,
    QUESTIONS,
    Accounting,
    AuditReport,
    Check,
    OrganizationAccount,
    Origin,
    PairAccount,
    Status,
    incomplete,
)

__all__ = [
    "CANNOT_KNOW",
    "CHECKS",
    "QUESTIONS",
    "Accounting",
    "AuditReport",
    "Check",
    "Findings",
    "OrganizationAccount",
    "Origin",
    "PairAccount",
    "Status",
    "audit",
    "audit_deployment",
    "audit_export",
    "incomplete",
]
