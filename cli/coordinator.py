"""``cocogen coordinator``: the SuperLink, who may connect to it, and the rounds, without one key of a member."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.flower import processes
from cli.flower.apps import lines_file, outcome_file
from cli.flower.runtime import check_ready
from cli.flower.superlink import SuperLink, failure, superlink
from cli.options import common
from cli.output import announced, note
from cocogen.errors import ConfigurationError, LearningError
from cocogen.operations.deployment import load_deployment
from cocogen.operations.session import load_resolved

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.workspace import Workspace
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["coordinator"]

_LOOK = 0.5
_ASK = 20.0
_LONGEST_PAUSE = 300.0
_Folder = click.Path(file_okay=False, path_type=Path)


@click.command(short_help="Run the SuperLink and the rounds for members elsewhere.")
@click.option("--host", default="0.0.0.0", metavar="ADDRESS", help="Where to listen.  [default: 0.0.0.0]")
@click.option("--port", type=click.IntRange(1, 65_535), default=8443, help="Port of the SuperLink.  [default: 8443]")
@click.option("--name", "names", multiple=True, metavar="HOST", help="Name or address by which nodes reach it; repeat.")
@click.option(
    "--certificates",
    type=_Folder,
    metavar="DIR",
    help="ca.crt, server.crt, server.key.  [default: made in the workspace]",
)
@click.option(
    "--nodes",
    type=_Folder,
    metavar="DIR",
    help="NAME.pub of every node that may connect.  [default: node-keys in the workspace]",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=1),
    default=3600.0,
    metavar="SECONDS",
    help="How long the nodes have for a round.  [default: 3600]",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=600.0,
    metavar="SECONDS",
    help="How long to wait for all nodes before the first round.  [default: 600]",
)
@click.option("--once", is_flag=True, help="Play one round, or end the one that runs, and stop.")
@announced("opening the consortium")
@common(config_argument=True)
def coordinator(
    request: Request,
    host: str,
    port: int,
    names: tuple[str, ...],
    certificates: Path | None,
    nodes: Path | None,
    deadline: float,
    patience: float,
    once: bool,
) -> None:
    """Open, attest and settle the rounds of a deployed consortium, with the attester's and the operator's key alone.

    Members run `cocogen node`, which hands in what was attested with its own key over its own ledger; for whoever does
    not, the operator relays it from half of the submission window on. Stopped or killed, the same command goes on with
    the round that the ledger says is running.
    """
    processes.require_flower("cocogen coordinator")
    from cli.flower.certificates import make_certificates

    workspace = request.find_workspace()
    resolved, deployment = load_resolved(workspace), load_deployment(workspace.deployment)
    ledger = request.deployed_ledger(workspace, deployment)
    check_ready(ledger, deadline, resolved.settlement.submit_window, patience)
    folder = certificates or workspace.root / "certificates"
    options = make_certificates(folder, names or (socket.gethostname(), "localhost", "127.0.0.1"))
    home = workspace.root.resolve() / "flower"
    variables = processes.environment(request, workspace, home / "home", request.ledger)
    known = nodes or workspace.root / "node-keys"
    note(f"nodes take {folder / 'ca.crt'} and connect to port {port}; their public keys go to {known} as NAME.pub")
    with superlink(home, variables, port, host=host, options=[*options, "--enable-supernode-auth"]) as link:
        guests = _Guests(link, known, resolved)
        # on a chain in this workspace members have no ledger of their own, and their keys are here
        settings = f"deadline={deadline} patience={patience} bonds={'false' if '://' in ledger else 'true'}"
        settings += f" rounds={int(once)}"
        pause = 0.0
        while (error := _played(workspace, link, settings, guests)) is not None:
            if once or isinstance(error, ConfigurationError):
                raise error
            pause = min(2 * pause + 5.0, _LONGEST_PAUSE)
            note(f"{error}; going on in {pause:g} s")
            time.sleep(pause)
    note("one round is over" if once else f"all {resolved.consortium.rounds} rounds are over")


class _Guests:
    """The nodes that may connect: each public key is registered once it lies in the folder."""

    def __init__(self, link: SuperLink, folder: Path, resolved: ResolvedTerms) -> None:
        self._link = link
        self._folder = folder
        self._missing = set(resolved.names)
        self._known: set[Path] = set()
        self.look()
        if self._missing:
            note(f"no key yet of {', '.join(name for name in resolved.names if name in self._missing)}")

    def look(self) -> None:
        """Register what is new; a key that Flower does not take is named, and not tried again."""
        for path in sorted(self._folder.glob("*.pub")):
            if path in self._known:
                continue
            self._known.add(path)
            if path.stem not in self._missing:
                note(f"{path} is named after no organization of the terms; it is not registered")
                continue
            try:
                self._link.register(path)
            except LearningError as error:
                note(f"the key of {path.stem} is not taken: {error}")
                continue
            self._missing.discard(path.stem)
            note(f"the node of {path.stem} may connect")


def _played(workspace: Workspace, link: SuperLink, settings: str, guests: _Guests) -> Exception | None:
    """Have the rounds played that are left, and say how they go; what ended them before their time."""
    outcome, lines = outcome_file(workspace), lines_file(workspace)
    outcome.unlink(missing_ok=True)
    lines.unlink(missing_ok=True)
    run, shown, asked = link.run(settings), 0, time.monotonic()
    while not outcome.exists():
        link.check()
        guests.look()
        shown = _tell(lines, shown)
        if time.monotonic() - asked > _ASK:
            asked, status = time.monotonic(), link.status(run)
            if status.startswith("finished") and not outcome.exists():
                link.keep_log(run)
                return failure(workspace.root / "flower", f"the server ended without a result ({status})")
        time.sleep(_LOOK)
    _tell(lines, shown)
    link.keep_log(run)
    ended = workspace.read_json(outcome)
    if ended["status"] == "ok":
        return None
    kind = ConfigurationError if ended["code"] in _LASTING else LearningError
    return kind(f"{ended['code']}: {ended['message']}", hint=ended["hint"])


_LASTING = ("ConfigurationError", "MissingKey", "WrongPassword", "PasswordMissing", "DevelopmentKeyRefused")
"""Errors that waiting does not mend."""


def _tell(path: Path, shown: int) -> int:
    """Say the lines that are new and whole; how many bytes have been said."""
    if not path.exists():
        return shown
    with path.open("rb") as file:
        file.seek(shown)
        new = file.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", errors="replace").splitlines():
        note(line)
    return shown + len(whole)
