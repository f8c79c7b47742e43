"""The verdict of an audit: the ledger's own checks by the auditor who is handed in, and what lies beside the ledger.

The auditor recomputes the ledger from its terms; here its findings are joined by three comparisons that need more: the
terms file with what was agreed, the consortium's files with the digests that were signed, and the data with the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cocogen.errors import ConfigurationError, LearningError
from cocogen.ledger import DecodedTerms, Deployment, LedgerProvider, RoundOutcome, SettlementTerms
from cocogen.operations.agreement import agreed_terms, stated_terms
from cocogen.operations.registered_check import registered_check
from cocogen.operations.registration import Progress, measurement_disagreements
from cocogen.operations.session import Session, data_folders
from cocogen.rounds.evidence_audit import Signers, check_evidence
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders

__all__ = [
    "Auditor",
    "Check",
    "Findings",
    "Verdict",
    "audit",
    "audit_export",
    "data_check",
    "evidence_check",
    "ledger_verdict",
]

_ORDER = ("PASS", "SKIPPED", "INCOMPLETE", "FAIL")
"""From the best to the worst status of a check."""

_BEHIND_REGISTRATIONS = (
    "whether registered rows are real cases, and nobody else's: only counts, sums and digests of them left their site",
)
"""What holds of every audit of own data."""

_AMOUNTS = ("paid", "received", "net", "forfeits", "balance", "liability")
"""What the accounting says of an organization, in wei."""


class _Checked(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def transaction(self) -> str | None: ...


class _Account(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def runway(self) -> int | None: ...


class _Pair(Protocol):
    @property
    def payer(self) -> str: ...
    @property
    def payee(self) -> str: ...
    @property
    def wei(self) -> int: ...


class Accounting(Protocol):
    """Who paid whom, in wei: of each organization ``paid``, ``received``, ``net``, ``forfeits``, ``balance`` and
    ``liability``, and the rounds that its balance covers at worst; None where a round can take nothing."""

    @property
    def rounds(self) -> int: ...
    @property
    def organizations(self) -> Sequence[_Account]: ...
    @property
    def pairs(self) -> Sequence[_Pair]: ...


class Report(Protocol):
    """What an auditor says of a ledger; ``origin`` tells whether it was asked of a node or read from a file."""

    @property
    def status(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def checks(self) -> Sequence[_Checked]: ...
    @property
    def accounting(self) -> Accounting | None: ...
    @property
    def cannot_know(self) -> Sequence[str]: ...


class Claims(Protocol):
    """What a ledger says of its rounds: their outcomes, the attester's signatures by round and organization, and whose
    a signature is."""

    @property
    def terms_hash(self) -> bytes: ...
    @property
    def outcomes(self) -> Sequence[RoundOutcome]: ...
    @property
    def signatures(self) -> Mapping[tuple[int, int], bytes]: ...
    @property
    def signers(self) -> Signers: ...


class Findings(Protocol):
    """A report, and what else the ledger says: the layout of its contract (None where there is no such contract),
    whether it is the contract of today with these terms, and its claims (None where the log does not replay)."""

    @property
    def report(self) -> Report: ...
    @property
    def layout(self) -> int | None: ...
    @property
    def present(self) -> bool: ...
    @property
    def claims(self) -> Claims | None: ...


class Auditor(Protocol):
    """Collects a deployed ledger and judges it (``chain.audit.audit_deployment``); LedgerError where it cannot be
    read."""

    def __call__(
        self,
        ledger: LedgerProvider,
        terms: SettlementTerms,
        deployment: Deployment,
        /,
        *,
        second_node: str | None = None,
        progress: Progress | None = None,
    ) -> Findings: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its question, its status (PASS, FAIL, INCOMPLETE, SKIPPED), in words what was found, and the first
    transaction at fault."""

    id: int
    name: str
    status: str
    detail: str
    transaction: str | None
    question: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of an audit. ``status`` is FAIL if one failed, else INCOMPLETE if one could not be carried out, else
    PASS.

    ``accounting`` is None where terms or log do not allow one, ``wei_per_unit`` and ``layout`` where there is no such
    contract. ``cannot_know``: what holds of every audit.
    """

    status: str
    origin: str
    checks: tuple[Check, ...]
    accounting: Accounting | None
    cannot_know: tuple[str, ...]
    wei_per_unit: int | None = None
    layout: int | None = None

    @classmethod
    def of(cls, report: Report) -> Verdict:
        """What the report of an auditor says alone."""
        checks = tuple(Check(c.id, c.name, c.status, c.detail, c.transaction, c.question) for c in report.checks)
        return cls(report.status, report.origin, checks, report.accounting, tuple(report.cannot_know))

    def check(self, name: str) -> Check:
        """The check of that name."""
        return next(check for check in self.checks if check.name == name)

    def with_check(self, name: str, status: str, detail: str) -> Verdict:
        """The same with what a comparison beside the ledger found; one that was skipped changes nothing else."""
        made = replace(self.check(name), status=status, detail=detail)
        checks = tuple(made if check.name == name else check for check in self.checks)
        return replace(self, checks=checks, status=self.status if status == "SKIPPED" else _worse(self.status, status))

    def with_registrations(self, status: str, detail: str) -> Verdict:
        """The same with what was found of the registrations of own data, and what no registration can tell."""
        made = self.with_check("data", status, detail)
        return replace(made, cannot_know=(*made.cannot_know, *_BEHIND_REGISTRATIONS))

    def with_terms(self, status: str, mismatch: str) -> Verdict:
        """The same where the terms file is not the one that was agreed, or that cannot be told; nothing if "" is."""
        if not mismatch:
            return self
        check = self.check("terms")
        found = f"{check.detail}; {mismatch}" if check.status == "FAIL" else mismatch
        made = self.with_check("terms", _worse(check.status, status), found)
        return replace(made, status=_worse(self.status, status))

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return {
            "status": self.status,
            "origin": self.origin,
            "checks": [
                {
                    "id": check.id,
                    "name": check.name,
                    "status": check.status,
                    "detail": check.detail,
                    "transaction": check.transaction,
                    "question": check.question,
                }
                for check in self.checks
            ],
            "accounting": None if self.accounting is None else _plain_accounting(self.accounting),
            "cannot_know": list(self.cannot_know),
            "wei_per_unit": None if self.wei_per_unit is None else str(self.wei_per_unit),
            "layout": self.layout,
        }


def _plain_accounting(accounting: Accounting) -> dict[str, Any]:
    return {
        "rounds": accounting.rounds,
        "organizations": {
            account.name: {name: str(getattr(account, name)) for name in _AMOUNTS} | {"runway": account.runway}
            for account in accounting.organizations
        },
        "pairs": [{"payer": pair.payer, "payee": pair.payee, "wei": str(pair.wei)} for pair in accounting.pairs],
    }


def _worse(first: str, second: str) -> str:
    return max(first, second, key=_ORDER.index)


def audit(
    session: Session,
    auditor: Auditor,
    *,
    terms_file: str | Path | None = None,
    second_node: str | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Run all checks on an opened consortium.

    Parameters
    ----------
    session : Session
        Of :func:`cocogen.open_consortium`.
    auditor : callable
        Who recomputes the ledger, for example ``chain.audit.audit_deployment``.
    terms_file : str or Path, optional
        What must still be what the members accepted, by default the terms file that was deployed.
    second_node : str, optional
        URL of a node that is asked for the same contract and block.
    progress : callable, optional
        Told (description, done, total) now and then.

    Raises
    ------
    LedgerError
        The ledger cannot be read, which is a reason and no verdict.
    """
    resolved = session.resolved
    found = auditor(
        session.provider,
        resolved.settlement_terms(),
        session.deployment,
        second_node=second_node,
        progress=progress,
    )
    verdict = ledger_verdict(found, resolved, session.workspace, progress)
    path = None if terms_file is None else Path(terms_file)
    verdict = verdict.with_terms(*agreed_terms(session, path))
    if resolved.learning.dataset == OWN:
        return verdict.with_registrations(*registered_check(session.workspace, resolved, _signers(found)))
    folders = session.folders() if path is None else data_folders(path.parent, session.data_dir)
    return verdict.with_check("data", *data_check(resolved, folders, asked=session.data_dir is not None))


def audit_export(
    found: Findings,
    resolved: ResolvedTerms,
    folders: DataFolders,
    *,
    decode: Callable[[SettlementTerms], DecodedTerms],
    terms_file: Path | None = None,
    workspace: Workspace | None = None,
    asked: bool = False,
    progress: Progress | None = None,
) -> Verdict:
    """Join what was found in an exported ledger with what lies here: a terms file, a workspace, data in ``folders``.

    ``decode``: what settlement terms become on the ledger; ``asked``: somebody named where the data are.
    """
    verdict = ledger_verdict(found, resolved, workspace, progress)
    if terms_file is not None:
        verdict = verdict.with_terms(*stated_terms(resolved, terms_file, decode))
    if resolved.learning.dataset == OWN:
        return verdict.with_registrations(*registered_check(workspace, resolved, _signers(found)))
    return verdict.with_check("data", *data_check(resolved, folders, asked=asked))


def ledger_verdict(
    found: Findings,
    resolved: ResolvedTerms,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """What the auditor found, and whether the consortium's files follow from it."""
    verdict = Verdict.of(found.report)
    if found.layout is None:
        return verdict
    verdict = replace(verdict, wei_per_unit=resolved.settlement.wei_per_unit, layout=found.layout)
    if found.present and resolved.settlement.absence is None:
        # every version that deploys the present contract writes the rule down; left out, the absent pay nothing
        verdict = verdict.with_terms("FAIL", "the resolved terms leave out settlement.absence, the rule for silence")
    if workspace is None:
        return verdict
    if found.claims is None:
        return verdict.with_check(
            "evidence", "INCOMPLETE", "the log does not replay, so nothing can be compared with it"
        )
    return verdict.with_check("evidence", *evidence_check(workspace, resolved, found.claims, progress))


def evidence_check(
    workspace: Workspace, resolved: ResolvedTerms, claims: Claims, progress: Progress | None = None
) -> tuple[str, str]:
    """Compare the workspace's files with a ledger that replays: status and detail of the check."""
    found = check_evidence(
        workspace, resolved, claims.terms_hash, claims.outcomes, claims.signatures, claims.signers, progress
    )
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return "FAIL", found.problems[0] + more
    if found.unchecked:
        first, others = found.unchecked[0], len(found.unchecked) - 1
        them = f"{first} and {others} more files are" if others else f"{first} is"
        rounds = ", ".join(map(str, found.missing))
        return "INCOMPLETE", (
            f"{them} here, but not the attestation that it is compared with; "
            f"the attester has attested.json of rounds {rounds}"
        )
    if not found.rounds:
        return "SKIPPED", f"no attestation of any round lies in {workspace.root}"
    counts = f"{found.rounds} rounds, {found.models} models, {found.bundles} bundles as they were signed"
    missing = ", ".join(map(str, found.missing))
    return "PASS", f"{counts}; no attestation of rounds {missing} is here" if missing else counts


def _signers(found: Findings) -> Signers | None:
    return None if found.claims is None else found.claims.signers


def data_check(resolved: ResolvedTerms, folders: DataFolders, *, asked: bool) -> tuple[str, str]:
    """Measure the agreed samples, label mixes and skew again: status and detail of the check; ``asked``: somebody named
    where the data are."""
    try:
        found = measurement_disagreements(resolved, folders)
    except (ConfigurationError, LearningError) as error:
        reason = f"samples and label mixes cannot be measured again: {error}"
        return "INCOMPLETE" if asked else "SKIPPED", f"{reason}; {error.hint}" if error.hint else reason
    if found:
        return "FAIL", f"the data contradict the terms in {', '.join(found)}"
    return "PASS", f"samples, label mixes and skew of {len(resolved.names)} organizations, measured again"
