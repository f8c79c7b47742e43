"""``cocogen deploy``: from a terms file to a ledger that holds the agreement."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.backends.journal import Journal
from chain.open import EPHEMERAL, open_ledger, storable
from cli.consent import Consent, Purchase, spends
from cli.options import common
from cli.output import emit, note, progress, table, units
from cli.request import ledger_location
from cli.sites import signed_by
from cocogen.errors import ConfigurationError
from cocogen.operations.consortium_file import consortium_file
from cocogen.operations.deploy import make_way, put_on_ledger
from cocogen.operations.own_data import OwnData, read_registrations
from cocogen.operations.registration import accounts
from cocogen.operations.session import stated_addresses

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.ledger import LedgerProvider
    from cocogen.terms.consortium import Consortium

__all__ = ["deploy"]


@click.command(short_help="Resolve the terms and put them on the ledger.")
@click.option(
    "--registrations",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Own data: the folder with what every organization, and the attester, registered.",
)
@click.option(
    "--exchange",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Own data: the folder of questions to the sites and their answers.  [default: exchange in --registrations]",
)
@common(config_argument=True)
@spends
def deploy(request: Request, consent: Consent, registrations: str | None, exchange: str | None) -> None:
    """Measure what CONFIG leaves open, choose the incentive and deploy the contract.

    Counts every organization's registered samples, pretrains the generator, lets the attester measure its quality,
    and writes the resolved terms beside the deployment record; their digest is part of what members accept.

    Where organizations bring their own data (dataset = "own"), --registrations names what they registered, and --sites
    the attester's site file. A generator is trained by questions and answers: run the command again when the sites
    have answered. It then writes NAME.consortium, which every member and auditor is given.

    On a node (--ledger http://…) the keystore "operator" pays and signs. Every organization and role whose address
    CONFIG leaves open gets that of the keystore of its name; on a local chain, a development account. On a node's chain
    it shows the fee, by the gas that deployments of this size take, and asks before it measures anything.
    """
    consortium = request.consortium()
    workspace = request.new_workspace(consortium)
    own_data = None
    if registrations is not None:
        own_data = read_registrations(
            Path(registrations), signed_by, sites=request.site_files(), exchange=Path(exchange) if exchange else None
        )
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
            _agree(provider, consortium, own_data, consent)
            deployed = put_on_ledger(
                consortium,
                workspace,
                provider,
                name=storable(spec),
                journal=journal,
                data_dir=request.data_dir,
                own_data=own_data,
                progress=bars,
                note=note,
            )
    handed_over = None
    if own_data is not None:
        handed_over = workspace.consortium_file(consortium.consortium.name)
        consortium_file(workspace, handed_over)
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
        if handed_over is None:
            note(f"next: every organization reads {workspace.resolved} and runs `cocogen deposit -o NAME`")
        else:
            note(f"next: hand {handed_over} to every organization, which runs `cocogen join` with it")

    data = deployed.plain()
    emit(data if handed_over is None else data | {"consortium_file": str(handed_over)}, text, as_json=request.as_json)


def _agree(provider: LedgerProvider, consortium: Consortium, own_data: OwnData | None, consent: Consent) -> None:
    """Have the deployment agreed to before minutes are spent on it: by the gas that is known, not yet estimated."""
    accounts(consortium, provider, None if own_data is None else own_data.registrations)
    gas = provider.gas(len(consortium.organization), token=consortium.settlement.token is not None)
    if (spending := provider.spending("deploy", "operator", gas.deploy)) is not None:
        consent.ask(Purchase("deployment", "operator"), spending)
