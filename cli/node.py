"""``cocogen node``: an organization's own process, which has its samples and its key, and its connection to others."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from filelock import FileLock, Timeout

from cli.flower.apps import open_node
from cli.flower.processes import environment, require_flower
from cli.flower.supernode import Connection, SuperNode
from cli.options import common, organization_option
from cli.output import announced, note
from cocogen.data.own.site import load_site
from cocogen.errors import ConfigurationError, LedgerError, WorkspaceError

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.flower.settling import Settling

__all__ = ["node"]

_LOOK = 0.5
_Path = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Take part in the rounds from this machine.")
@click.argument("site", metavar="[SITE]", required=False, type=click.Path(exists=True, dir_okay=False))
@organization_option("The organization whose node this is.  [default: that of SITE]", required=False)
@click.option("--superlink", metavar="HOST:PORT", required=True, help="Where the coordinator's SuperLink listens.")
@click.option(
    "--root-certificates",
    type=_Path,
    metavar="FILE",
    help="Authority that signed the SuperLink's certificate.  [default: those of the system; none on this machine]",
)
@click.option("--auth-key", type=_Path, metavar="FILE", help="This node's private key.  [default: made]")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of this node, closed to others.  [default: nodes/NAME in the workspace]",
)
@announced("opening the node")
@common()
def node(
    request: Request,
    site: str | None,
    organization: str | None,
    superlink: str,
    root_certificates: Path | None,
    auth_key: Path | None,
    state: Path | None,
) -> None:
    """Run the organization's node until it is stopped: it trains when the coordinator asks, and signs the evidence.

    SITE is the organization's site file, where every organization brings its own data.

    Samples and key stay in this process. What Flower starts beside it for every message hands the message on over a
    socket that this user alone can open. A node that was stopped or killed goes on where it was: its answers are kept.
    """
    require_flower("cocogen node")
    from cocogen.flower.service import served

    _log()
    if site is not None:
        request = replace(request, sites=site)
        organization = organization or load_site(site).organization
    if organization is None:
        raise ConfigurationError("whose node is this?", hint="name its site file, or the organization with -o NAME")
    workspace = request.find_workspace()
    folder = (state or workspace.root / "nodes" / organization).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if auth_key is None and root_certificates is not None:
        auth_key = folder / "node-key"
        note(f"this node is known by its key: give the coordinator {_public_half(auth_key)} as {organization}.pub")
    ours = open_node(request, organization, folder)
    connection = Connection(superlink, root_certificates, auth_key)
    variables = environment(request, workspace, folder / "flower", request.ledger)
    variables |= {"COCOGEN_NODE_SOCKET": str(folder / "socket")}
    try:
        held = FileLock(folder / "lock", timeout=0).acquire()
    except Timeout:
        raise WorkspaceError(
            f"a node of {organization} runs already in {folder}", hint="stop it, or name another folder with --state"
        ) from None
    supernode = SuperNode(organization, connection, variables)
    if ours.settling is not None:
        _tell_of_bond(ours.settling)
    with held, served(folder / "socket", organization, ours.answer), supernode:
        samples = ours.member().registered
        note(f"{organization} is there with {samples} samples; it waits for orders from {superlink}")
        while True:
            supernode.look()
            time.sleep(_LOOK)


def _public_half(key: Path) -> Path:
    from cli.flower.certificates import make_node_key

    return make_node_key(key)


def _tell_of_bond(settling: Settling) -> None:
    """Say what is missing for taking part; it can be made good while the node runs."""
    try:
        with settling.ledger() as ledger:
            state, n = ledger.state(), settling.index
    except LedgerError as error:
        note(f"warning: the ledger cannot be looked at: {error}")
        return
    name, missing = settling.caps.name, state.liabilities[n] - state.balances[n]
    if not state.accepted[n]:
        note(f"{name} has not accepted the terms and takes no part yet: cocogen deposit -o {name}")
    elif missing > 0:
        note(f"{name} takes no part until it deposits {missing} wei more: cocogen deposit -o {name}")


def _log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("cocogen.node")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
