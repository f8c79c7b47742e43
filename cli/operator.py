"""``cocogen deploy``: from a terms file to a ledger that holds the agreement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common
from cli.output import emit, note, progress, table, units

if TYPE_CHECKING:
    from chain.backends.journal import Journal
    from chain.keys.accounts import KeySource
    from cli.request import Request
    from cocogen.ledger import Deployment, LedgerProvider
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.workspace import Workspace
    from cocogen.terms.consortium import Consortium
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["deploy", "deploy_consortium"]


@click.command(short_help="Resolve the terms and put them on the ledger.")
@common(config_argument=True)
def deploy(request: Request) -> None:
    """Measure what CONFIG leaves open, choose the incentive and deploy the contract.

    Counts every organization's registered samples, pretrains the generator, lets the attester measure its quality,
    and writes the resolved terms beside the deployment record; their digest is part of what members accept.

    On a node (--ledger http://…) the keystore "operator" pays and signs. Every organization and role whose address
    CONFIG leaves open gets that of the keystore of its name; on a local chain, a development account.
    """
    from chain.backends.journal import Journal
    from chain.open import EPHEMERAL, open_ledger
    from cli.request import ledger_location
    from cocogen.errors import ConfigurationError
    from cocogen.operations.results import plain_deployment
    from cocogen.operations.session import load_resolved, stated_addresses
    from cocogen.terms.roles import shared_roles

    consortium = request.consortium()
    workspace = request.new_workspace(consortium)
    spec = request.ledger_specification()
    if spec in EPHEMERAL:
        raise ConfigurationError(
            f"--ledger {spec} does not outlive this command",
            hint="use embedded:PATH or the URL of a node, or `cocogen run` for one go",
        )
    with workspace.locked():
        keys = request.key_source(stated_addresses(consortium))
        if workspace.deployment.exists():
            _make_way(workspace, spec if request.ledger else None, consortium.consortium.seed, keys)
        journal = Journal(workspace.sent)
        provider = open_ledger(
            ledger_location(spec, workspace),
            seed=consortium.consortium.seed,
            keys=keys,
            journal=journal,
        )
        try:
            with progress() as bars:
                deployment = deploy_consortium(consortium, workspace, provider, spec, bars, request.data_dir, journal)
            resolved = load_resolved(workspace)
            liabilities = provider.decode(resolved.settlement_terms()).liabilities
        finally:
            provider.close()
    unit = resolved.settlement.wei_per_unit
    warnings = _warnings(resolved)
    data = {
        "workspace": str(workspace.root),
        "ledger": plain_deployment(deployment),
        "incentive": resolved.incentive,
        "shared_roles": shared_roles(resolved),
        "organizations": {
            o.name: {
                "address": o.address,
                "local": o.local,
                "heterogeneity": o.heterogeneity,
                "quality": o.quality,
                "liability": str(liability),
            }
            for o, liability in zip(resolved.organization, liabilities, strict=True)
        },
        "warnings": warnings,
    }

    def text() -> None:
        rows = [
            [
                o.name,
                str(o.local),
                f"{o.heterogeneity:.3f}",
                "-" if o.quality is None else f"{o.quality:.3f}",
                units(liability, unit),
            ]
            for o, liability in zip(resolved.organization, liabilities, strict=True)
        ]
        table(
            f"{resolved.consortium.name}: deployed at {deployment.address}",
            ["organization", "samples", "label skew δ", "generator κ", "bond needed"],
            rows,
            caption=f"incentive {resolved.incentive:.6g} per effective sample; terms {deployment.terms_hash}",
        )
        for warning in warnings:
            note(f"warning: {warning}")
        note(f"next: every organization reads {workspace.resolved} and runs `cocogen deposit -o NAME`")

    emit(data, text, as_json=request.as_json)


def _make_way(workspace: Workspace, spec: str | None, seed: int, keys: KeySource | None) -> None:
    """Keep the deployment of the workspace, or set it aside if its chain has taken it back; typed errors otherwise."""
    from dataclasses import replace

    from chain.open import open_ledger, storable
    from cli.request import ledger_location
    from cocogen.errors import ConfigurationError, LedgerError, WorkspaceError
    from cocogen.operations.deployment import load_deployment, save_deployment
    from cocogen.operations.session import EMBEDDED

    refusal = WorkspaceError(
        f"{workspace.root} already holds a deployment",
        hint="go on with it (`cocogen status`), or choose another folder with --workspace",
    )
    record = load_deployment(workspace.deployment)
    recorded = str(record.details.get("ledger", EMBEDDED))
    # a node's URL is recorded without its secrets: the one given now may have them
    if spec is not None and storable(spec) != recorded:
        raise refusal
    try:
        provider = open_ledger(ledger_location(spec or recorded, workspace), seed=seed, keys=keys)
    except (ConfigurationError, LedgerError):
        raise refusal from None
    try:
        found = provider.whereabouts(record)
    finally:
        provider.close()
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


def _warnings(resolved: ResolvedTerms) -> list[str]:
    """What the terms allow, and their makers may not have meant."""
    from cocogen.rounds.silence import needed_contributors, settles

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


def deploy_consortium(
    consortium: Consortium,
    workspace: Workspace,
    provider: LedgerProvider,
    spec: str,
    bars: Progress,
    data_dir: str | None = None,
    journal: Journal | None = None,
) -> Deployment:
    """Register, deploy and write the workspace; the deployment record comes last, so a kill leaves none.

    ``journal`` then still holds the contract's creation, so that the next try goes on with that contract.
    """
    from dataclasses import replace

    from chain.errors.chain import UnencodableTerms
    from chain.open import storable
    from cocogen.errors import ConfigurationError
    from cocogen.evidence.local import LearningTask
    from cocogen.files import write_atomically
    from cocogen.operations.deployment import save_deployment
    from cocogen.operations.registration import register
    from cocogen.operations.session import data_folders
    from cocogen.terms.roles import shared_roles

    task = LearningTask(
        consortium.learning,
        consortium.generation,
        consortium.names,
        consortium.consortium.seed,
        split=0,
        generates=consortium.generates,
        folders=data_folders(consortium.folder, data_dir),
    )
    if task.doubt is not None:
        note(f"warning: {task.doubt[0]}")
        note(f"hint: {task.doubt[1]}")
    try:
        registration = register(consortium, provider, task, progress=bars)
        registration.shared.save(workspace.initial_model)
        write_atomically(workspace.terms, consortium.source)
        write_atomically(workspace.resolved, registration.resolved.to_json().encode())
        for warning in shared_roles(registration.resolved):
            note(f"warning: {warning}")
        if journal is not None:
            journal.deferred = True
        ledger = provider.deploy(registration.resolved.settlement_terms())
    except UnencodableTerms as error:
        raise ConfigurationError(
            "the terms do not fit the contract's integers:",
            file=consortium.file,
            problems=error.problems,
            hint="choose a smaller settlement.wei_per_unit or smaller amounts",
        ) from error
    details = {**ledger.deployment.details, "ledger": storable(spec), "config": str(Path(consortium.file).resolve())}
    deployment = replace(ledger.deployment, details=details)
    save_deployment(deployment, workspace.deployment)
    if journal is not None:
        journal.release()
    return deployment
