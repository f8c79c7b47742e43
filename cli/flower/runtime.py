"""Flower's deployment runtime on this machine: one SuperLink and one SuperNode per organization, on loopback.

All are processes of their own that end with this one (:mod:`.guardian`). Their logs and Flower's home folder lie in
``flower/`` of the workspace. Left out: what runs inside (:mod:`.apps`), and machines of their own (docs/flower.md).
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flower import processes
from cli.flower.apps import outcome_file
from cli.flower.processes import free_port, guarded
from cli.flower.superlink import failure, superlink
from cli.output import note
from cocogen.errors import ConfigurationError, LearningError
from cocogen.terms.metrics import metric_field, metric_words

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.workspace import Workspace

__all__ = ["check_ready", "play"]

_LOOK = 0.5
_ASK = 20.0
"""Seconds between two questions to the SuperLink whether the run is alive."""


def check_ready(spec: str, deadline: float, window: int, patience: float | None = None) -> None:
    """Refuse, before anything is deployed, what could not work.

    Raises
    ------
    ConfigurationError
        Flower is not installed, the ledger ``spec`` lives in one process only, or waiting for the nodes may take more
        than half of the submission ``window`` (seconds); the rest is for attesting and submitting.
    """
    from chain.open import EPHEMERAL
    from cocogen.flower.timing import longest_round

    if patience is None:
        processes.require_flower("--runtime flower")
    if spec in EPHEMERAL:
        raise ConfigurationError(
            f"the ledger {spec} ends with the process that opened it, and Flower's server is another one",
            hint="leave --ledger out (an embedded chain), or name a node's URL",
        )
    longest = longest_round(deadline, _patience(deadline) if patience is None else patience)
    if longest > window / 2:
        raise ConfigurationError(
            f"with --deadline {deadline:g} the nodes may take {longest:g} s, which is more than half of "
            f"settlement.submit_window = {window} s and leaves too little time to attest and submit",
            hint="give the nodes less time, or agree on a longer window",
        )


def play(request: Request, workspace: Workspace, ledger: str, rounds: int, deadline: float, bars: Progress) -> None:
    """Play all rounds that are left on Flower. The workspace must be deployed, and nobody may hold it.

    Raises
    ------
    LearningError
        Flower does not start, or the run ends before its time; the message is that of the server where it left one.
    """
    home = workspace.root.resolve() / "flower"
    outcome = outcome_file(workspace)
    outcome.unlink(missing_ok=True)
    done = _attested(workspace, rounds)
    names, metric = _agreed(workspace)
    environment = processes.environment(request, workspace, home / "home", ledger)
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(superlink(home, environment, free_port()))
        nodes = {name: _node(stack, home, environment, name, link.address) for name in names}
        run = link.run(f"deadline={float(deadline)} patience={_patience(deadline)}")
        asked, gone = time.monotonic(), set[str]()
        while not outcome.exists():
            done = _report(workspace, rounds, done, metric)
            bars("rounds on Flower", len(done), rounds)
            for name, node in nodes.items():
                if node.poll() is not None and name not in gone:
                    gone.add(name)
                    note(f"the node of {name} has ended; its log is {home / f'{name}.log'}")
            link.check()
            if time.monotonic() - asked > _ASK:
                asked, status = time.monotonic(), link.status(run)
                if status.startswith("finished") and not outcome.exists():
                    link.keep_log(run)
                    raise failure(home, f"the server ended without a result ({status})")
            time.sleep(_LOOK)
        link.keep_log(run)
    _report(workspace, rounds, done, metric)
    ended = workspace.read_json(outcome)
    if ended["status"] != "ok":
        raise LearningError(f"the run on Flower ended with {ended['code']}: {ended['message']}", hint=ended["hint"])


def _patience(deadline: float) -> float:
    """Seconds to wait for all nodes before the first round: here they start with it."""
    return float(deadline)


def _attested(workspace: Workspace, rounds: int) -> set[int]:
    return {number for number in range(1, rounds + 1) if workspace.attested(number).exists()}


def _report(workspace: Workspace, rounds: int, known: set[int], metric: str = "accuracy") -> set[int]:
    """Say how each round went that has been attested since ``known``; return all that are."""
    attested = _attested(workspace, rounds)
    for number in sorted(attested - known):
        found = float(workspace.read_json(workspace.attested(number))["evaluation"][metric_field(metric)])
        note(f"round {number} attested, {metric_words(metric)} {found:.4f}")
    return attested


def _agreed(workspace: Workspace) -> tuple[tuple[str, ...], str]:
    """The organizations, and the metric of the terms."""
    from cocogen.operations.session import load_resolved

    resolved = load_resolved(workspace)
    return resolved.names, resolved.learning.metric


def _node(
    stack: contextlib.ExitStack, home: Path, variables: Mapping[str, str], name: str, address: str
) -> subprocess.Popen[bytes]:
    """An organization's node: its long-lived process, which starts the SuperNode."""
    command = [sys.executable, "-m", "cli", "node", "-o", name, "--superlink", address]
    return stack.enter_context(guarded(command, home / f"{name}.log", variables))
