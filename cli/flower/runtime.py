"""Flower's deployment runtime on this machine: one SuperLink and one SuperNode per organization, on loopback.

All are processes of their own that end with this one (:mod:`.guardian`). Their logs and Flower's home folder lie in
``flower/`` of the workspace. Left out: what runs inside (:mod:`.apps`), and machines of their own (docs/flower.md).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.flower import processes
from cli.flower.apps import outcome_file
from cli.flower.processes import HOST, free_port, guarded
from cli.output import note
from cocogen.errors import ConfigurationError, LearningError
from cocogen.terms.metrics import metric_field, metric_words

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.workspace import Workspace

__all__ = ["PROJECT", "check_ready", "play"]

PROJECT = Path(__file__).parent / "project"
"""The Flower app: `flwr run` sends it to all nodes."""

_START = 120.0
"""Seconds that the SuperLink has to answer; its first import is slow."""
_LOOK = 0.5
_ASK = 20.0
"""Seconds between two questions to the SuperLink whether the run is alive."""


def check_ready(spec: str, deadline: float, window: int) -> None:
    """Refuse, before anything is deployed, what could not work.

    Raises
    ------
    ConfigurationError
        Flower is not installed, the ledger ``spec`` lives in one process only, or waiting for the nodes may take more
        than half of the submission ``window`` (seconds); the rest is for attesting and submitting.
    """
    from chain.open import EPHEMERAL
    from cocogen.flower.timing import longest_round

    processes.require_flower("--runtime flower")
    if spec in EPHEMERAL:
        raise ConfigurationError(
            f"the ledger {spec} ends with the process that opened it, and Flower's server is another one",
            hint="leave --ledger out (an embedded chain), or name a node's URL",
        )
    longest = longest_round(deadline, _patience(deadline))
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
    shutil.rmtree(home / "home", ignore_errors=True)
    (home / "home").mkdir(parents=True)
    outcome = outcome_file(workspace)
    outcome.unlink(missing_ok=True)
    done = _attested(workspace, rounds)
    names, metric = _agreed(workspace)
    environment = processes.environment(request, workspace, home / "home", ledger)
    with contextlib.ExitStack() as stack:
        link, address = _superlink(stack, home, environment)
        nodes = {name: _node(stack, home, environment, name, address) for name in names}
        connection = f'[superlink]\ndefault = "local"\n[superlink.local]\naddress = "{address}"\ninsecure = true\n'
        (home / "home" / "config.toml").write_text(connection, encoding="utf-8")
        settings = f"deadline={float(deadline)} patience={_patience(deadline)}"
        started = _ask(environment, "run", str(PROJECT), "local", "--run-config", settings)
        run = str(started["run-id"])
        asked, gone = time.monotonic(), set[str]()
        while not outcome.exists():
            done = _report(workspace, rounds, done, metric)
            bars("rounds on Flower", len(done), rounds)
            for name, node in nodes.items():
                if node.poll() is not None and name not in gone:
                    gone.add(name)
                    note(f"the node of {name} has ended; its log is {home / f'{name}.log'}")
            if link.poll() is not None:
                raise _failure(home, "the SuperLink has ended")
            if time.monotonic() - asked > _ASK:
                asked = time.monotonic()
                status = _ask(environment, "list", "local", "--run-id", run)["runs"][0]["status"]
                if str(status).startswith("finished") and not outcome.exists():
                    _keep_log(environment, run, home)
                    raise _failure(home, f"the server ended without a result ({status})")
            time.sleep(_LOOK)
        _keep_log(environment, run, home)
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


def _superlink(
    stack: contextlib.ExitStack, home: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    command = ["flower-superlink", "--insecure", "--host", HOST, "--port", str(port)]
    command += ["--disable-runtime-dependency-installation"]
    process = stack.enter_context(guarded(command, home / "superlink.log", environment))
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return process, f"{HOST}:{port}"
        time.sleep(_LOOK)
    raise _failure(home, "the SuperLink did not start")


def _node(
    stack: contextlib.ExitStack, home: Path, variables: Mapping[str, str], name: str, address: str
) -> subprocess.Popen[bytes]:
    """An organization's node: its long-lived process, which starts the SuperNode."""
    command = [sys.executable, "-m", "cli", "node", "-o", name, "--superlink", address]
    return stack.enter_context(guarded(command, home / f"{name}.log", variables))


def _ask(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """One command of Flower's own command line, which answers in JSON."""
    done = subprocess.run(
        [f"{processes.programs()}/flwr", *arguments, "--format", "json"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_START,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if done.returncode or not answer.get("success"):
        raise LearningError(
            f"flwr {arguments[0]} failed: {answer.get('error-message') or done.stderr[-500:] or done.stdout[-500:]}",
            hint="see the logs in the workspace's folder flower",
        )
    return answer


def _keep_log(environment: Mapping[str, str], run: str, home: Path) -> None:
    with (home / "server.log").open("wb") as output:
        subprocess.run(
            [f"{processes.programs()}/flwr", "log", run, "local", "--show"],
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_START,
            check=False,
        )


def _failure(home: Path, what: str) -> LearningError:
    return LearningError(f"Flower: {what}", hint=f"its logs are in {home}")
