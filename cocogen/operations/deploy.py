"""From a terms file to a ledger that holds the agreement, and to the workspace that says so.

What the terms leave open is measured and resolved (:mod:`cocogen.operations.registration`), then the settlement system
that is handed in takes the terms. The deployment record is written last: a process that is killed before leaves none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cocogen.errors import ConfigurationError, LedgerError, TermsDoNotFit, WorkspaceError
from cocogen.files import write_atomically
from cocogen.ledger import Deployment, LedgerProvider
from cocogen.operations.deployment import load_deployment, save_deployment
from cocogen.operations.own_data import OwnData
from cocogen.operations.plain import plain_deployment
from cocogen.operations.registration import Progress, register
from cocogen.operations.sent import NOTHING_SENT, Journal, Note, unheard
from cocogen.operations.session import EMBEDDED, data_folders
from cocogen.rounds.silence import needed_contributors, settles
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.roles import shared_roles
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from cocogen.evidence.local import Local
    from cocogen.operations.exchange import Exchanged

__all__ = ["Deployed", "deploy", "make_way", "put_on_ledger"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A consortium whose ledger holds the agreement.

    ``workspace``: the folder with its files. ``liabilities``: the bond that each organization needs, in wei, in the
    order of the terms file. ``shared_roles``: accounts of which one role judges the other; ``warnings``: what the terms
    allow, and their makers may not have meant, each a sentence.
    """

    workspace: Path
    deployment: Deployment
    resolved: ResolvedTerms
    liabilities: tuple[int, ...]
    shared_roles: tuple[str, ...]
    warnings: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return {
            "workspace": str(self.workspace),
            "ledger": plain_deployment(self.deployment),
            "incentive": self.resolved.incentive,
            "shared_roles": list(self.shared_roles),
            "organizations": {
                o.name: {
                    "address": o.address,
                    "local": o.local,
                    "heterogeneity": o.heterogeneity,
                    "quality": o.quality,
                    "liability": str(liability),
                }
                for o, liability in zip(self.resolved.organization, self.liabilities, strict=True)
            },
            "warnings": list(self.warnings),
        }


def deploy(
    consortium: Consortium,
    ledger: LedgerProvider,
    workspace: str | Path,
    *,
    journal: Journal = NOTHING_SENT,
    data_dir: str | None = None,
    own_data: OwnData | None = None,
    progress: Progress | None = None,
    note: Note = unheard,
) -> Deployed:
    """Measure what the terms leave open, choose the incentive, and put the agreement on a ledger.

    Parameters
    ----------
    consortium : Consortium
        The terms, of :func:`cocogen.load_consortium`.
    ledger : LedgerProvider
        The settlement system, for example of ``chain.open_ledger``; it stays open.
    workspace : str or Path
        The folder for this consortium's files. A deployment that its chain has taken back is set aside.
    journal : Journal, optional
        What was sent to the ledger, and nobody was told of yet; that with which the ledger was opened.
    data_dir : str, optional
        Where the files of data sets are looked for first.
    own_data : OwnData, optional
        What organizations registered, where they bring their own data.
    progress : callable, optional
        Told (description, done, total) now and then.
    note : callable, optional
        Told, a line at a time, what somebody should know.

    Raises
    ------
    WorkspaceError
        The folder holds another deployment, is in use, or cannot be written.
    ConfigurationError
        The terms do not fit the ledger's integers, or state other addresses than the ledger's accounts have.
    GameError
        No incentive does what the terms ask of it.
    LearningError
        The data are not there, a registration does not fit, sites have not answered yet (``exchange.Waiting``), or
        training fails.
    LedgerError
        The operator cannot sign or pay, or the ledger refuses the terms.
    """
    folder = Workspace(workspace)
    with folder.locked():
        if folder.deployment.exists():
            make_way(folder, None, lambda _: nullcontext(ledger), note)
        return put_on_ledger(
            consortium,
            folder,
            ledger,
            journal=journal,
            data_dir=data_dir,
            own_data=own_data,
            progress=progress,
            note=note,
        )


def make_way(
    workspace: Workspace,
    wanted: str | None,
    opener: Callable[[Deployment], AbstractContextManager[LedgerProvider]],
    note: Note = unheard,
) -> None:
    """Keep the deployment of a workspace, or set it aside if its chain has taken it back.

    ``wanted``: the ledger that is asked for, as a record names it; None for that of the record. ``opener`` opens the
    ledger of the record.

    Raises
    ------
    WorkspaceError
        The deployment is there, is on another ledger, or is still under way.
    """
    refusal = WorkspaceError(
        f"{workspace.root} already holds a deployment",
        hint="go on with it (`cocogen status`), or choose another folder with --workspace",
    )
    record = load_deployment(workspace.deployment)
    if wanted is not None and wanted != str(record.details.get("ledger", EMBEDDED)):
        raise refusal
    try:
        ledger = opener(record)
    except (ConfigurationError, LedgerError):
        raise refusal from None
    with ledger as provider:
        found = provider.whereabouts(record)
    if found.state == "pending":
        raise WorkspaceError(
            f"the deployment in {workspace.root} is on no block: its transaction {record.details['transaction']} is "
            "still under way, perhaps again after a reorganization",
            hint="wait until it is mined, then go on with it (`cocogen status`)",
        )
    if found.state == "there":
        if found.block is not None and found.block != record.block:
            save_deployment(replace(record, block=found.block), workspace.deployment)
            note(f"{workspace.deployment} is corrected: the contract was created in block {found.block}")
        raise refusal
    kept = workspace.set_aside()
    note(
        f"the contract {record.address} is no longer on its chain: a reorganization took block {record.block} back, or "
        f"the chain was begun anew; its folder is kept in {kept}; deploying again"
    )


def put_on_ledger(
    consortium: Consortium,
    workspace: Workspace,
    provider: LedgerProvider,
    *,
    name: str | None = None,
    journal: Journal = NOTHING_SENT,
    data_dir: str | None = None,
    own_data: OwnData | None = None,
    progress: Progress | None = None,
    note: Note = unheard,
) -> Deployed:
    """Register, deploy and write the workspace, which must be held; the deployment record comes last.

    ``name``: what the record calls the ledger, by default what it calls itself. Until the record is there ``journal``
    holds the contract's creation, so that the next try goes on with that contract. Raises as :func:`deploy` does.
    """
    from cocogen.evidence.local import Agreed, Local

    agreed = Agreed.of(consortium)
    task: Local | Exchanged
    if consortium.learning.dataset == OWN:
        if own_data is None:
            raise ConfigurationError(
                "every organization brings its own data, so it takes what they registered",
                file=consortium.file,
                hint="`cocogen deploy … --registrations DIR`; on one machine `cocogen run … --sites DIR`",
            )
        own_data.check(consortium)
        task = own_data.task(agreed, consortium)
    elif own_data is not None:
        raise ConfigurationError(
            f"registrations are of own data, and learning.dataset is {consortium.learning.dataset!r}",
            file=consortium.file,
            hint='leave --registrations out, or agree on dataset = "own" with a schema',
        )
    else:
        task = Local(agreed, agreed.source(data_folders(consortium.folder, data_dir)))
    if task.attester is not None and (doubt := task.attester.doubt) is not None:
        note(f"warning: {doubt[0]}")
        note(f"hint: {doubt[1]}")
    try:
        registered = None if own_data is None else own_data.registrations
        registration = register(consortium, provider, task, registered=registered, progress=progress)
        resolved = registration.resolved
        if own_data is not None:
            own_data.save(workspace)
        registration.shared.save(workspace.initial_model)
        write_atomically(workspace.terms, consortium.source)
        write_atomically(workspace.resolved, resolved.to_json().encode())
        shared = tuple(shared_roles(resolved))
        for warning in shared:
            note(f"warning: {warning}")
        journal.deferred = True
        ledger = provider.deploy(resolved.settlement_terms())
    except TermsDoNotFit as error:
        raise ConfigurationError(
            "the terms do not fit the contract's integers:",
            file=consortium.file,
            problems=error.problems,
            hint="choose a smaller settlement.wei_per_unit or smaller amounts",
        ) from error
    found = ledger.deployment
    recorded = {"ledger": name or _own_name(found, workspace), "config": str(Path(consortium.file).resolve())}
    deployment = replace(found, details={**found.details, **recorded})
    save_deployment(deployment, workspace.deployment)
    journal.release()
    warnings = tuple(_warnings(resolved))
    return Deployed(workspace.root, deployment, resolved, ledger.decoded.liabilities, shared, warnings)


def _own_name(deployment: Deployment, workspace: Workspace) -> str:
    """What a ledger calls itself, the chain in the workspace as commands do, so that they find it wherever it lies."""
    inside = f"{EMBEDDED}:{workspace.chain.resolve()}"
    return EMBEDDED if deployment.backend == inside else deployment.backend


def _warnings(resolved: ResolvedTerms) -> list[str]:
    """What the terms allow, and their makers may not have meant."""
    terms, count = resolved.settlement_terms(), len(resolved.names)
    largest = [n for n in range(terms.minimum_members, count + 1) if not settles(n - 1, n, terms.quorum_bps)]
    found = []
    if count in largest:
        found.append(
            "any member that hands in nothing voids the round, so that nobody pays and nobody gets the model (quorum = "
            f"{resolved.settlement.quorum:g}: {needed_contributors(count, terms.quorum_bps)} contributions of {count})"
        )
    elif largest:
        found.append(
            f"where no more than {max(largest)} members take part, one that hands in nothing voids the round (quorum = "
            f"{resolved.settlement.quorum:g}, minimum_members = {terms.minimum_members})"
        )
    if terms.minimum_members == count:
        found.append("no round opens without all members (minimum_members): one that sits out stops the consortium")
    if resolved.settlement.absence == "masked" and resolved.incentive > 0:
        found.append(
            'whoever hands in nothing pays nothing (absence = "masked"): for those who would pay, silence pays'
        )
    return found
