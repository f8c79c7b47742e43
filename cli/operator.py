"""``cocogen deploy``: from a terms file to a ledger that holds the agreement."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from chain.backends.journal import Journal
from chain.open import EPHEMERAL, open_ledger, storable
from cli.consent import Consent, Purchase, spends
from cli.options import common
from cli.output import emit, note, progress, table, units
from cli.request import ledger_location
from cocogen.errors import ConfigurationError
from cocogen.operations.deploy import make_way, put_on_ledger
from cocogen.operations.session import stated_addresses

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.ledger import LedgerProvider
    from cocogen.terms.consortium import Consortium

__all__ = ["deploy"]


@click.command(short_help="Resolve the terms and put them on the ledger.")
@common(config_argument=True)
@spends
def deploy(request: Request, consent: Consent) -> None:
    """Measure what CONFIG leaves open, choose the incentive and deploy the contract.

    Counts every organization's registered samples, pretrains the generator, lets the attester measure its quality,
    and writes the resolved terms beside the deployment record; their digest is part of what members accept.

    On a node (--ledger http://…) the keystore "operator" pays and signs. Every organization and role whose address
    CONFIG leaves open gets that of the keystore of its name; on a local chain, a development account. On a node's chain
    it shows the fee, by the gas that deployments of this size take, and asks before it measures anything.
    """
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
        journal = Journal(workspace.sent)

        def ledger(location: str) -> closing[LedgerProvider]:
            seed = consortium.consortium.seed
            return closing(open_ledger(ledger_location(location, workspace), seed=seed, keys=keys, journal=journal))

        if workspace.deployment.exists():
            # a node's URL is recorded without its secrets: the one given now may have them
            wanted = storable(spec) if request.ledger else None
            make_way(workspace, wanted, lambda record: ledger(request.deployed_ledger(workspace, record)), note)
        with ledger(spec) as provider, progress() as bars:
            _agree(provider, consortium, consent)
            deployed = put_on_ledger(
                consortium,
                workspace,
                provider,
                name=storable(spec),
                journal=journal,
                data_dir=request.data_dir,
                progress=bars,
                note=note,
            )
    deployment, resolved = deployed.deployment, deployed.resolved
    unit = resolved.settlement.wei_per_unit

    def text() -> None:
        rows = [
            [
                o.name,
                str(o.local),
                f"{o.heterogeneity:.3f}",
                "-" if o.quality is None else f"{o.quality:.3f}",
                units(liability, unit),
            ]
            for o, liability in zip(resolved.organization, deployed.liabilities, strict=True)
        ]
        table(
            f"{resolved.consortium.name}: deployed at {deployment.address}",
            ["organization", "samples", "label skew δ", "generator κ", "bond needed"],
            rows,
            caption=f"incentive {resolved.incentive:.6g} per effective sample; terms {deployment.terms_hash}",
        )
        for warning in deployed.warnings:
            note(f"warning: {warning}")
        note(f"next: every organization reads {workspace.resolved} and runs `cocogen deposit -o NAME`")

    emit(deployed.plain(), text, as_json=request.as_json)


def _agree(provider: LedgerProvider, consortium: Consortium, consent: Consent) -> None:
    """Have the deployment agreed to before minutes are spent on it: by the gas that is known, not yet estimated."""
    gas = provider.gas(len(consortium.organization), token=consortium.settlement.token is not None)
    if (spending := provider.spending("deploy", "operator", gas.deploy)) is not None:
        consent.ask(Purchase("deployment", "operator"), spending)
