"""Flower's deployment runtime on this machine: one SuperLink and one SuperNode per organization, on loopback.

All are processes of their own that end with this one (:mod:`.guardian`). Their logs and Flower's home folder lie in
``flower/`` of the workspace. Left out: what runs inside (:mod:`.apps`), and machines of their own (docs/flower.md).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.flower.apps import outcome_file
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

_HOST = "127.0.0.1"
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

    if importlib.util.find_spec("flwr") is None:
        raise ConfigurationError(
            "--runtime flower needs Flower, which is not installed",
            hint="pip install 'cocogen[flower]', in a clone pip install -e '.[flower]'",
        )
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
    environment = _environment(request, workspace, home / "home", ledger)
    with contextlib.ExitStack() as stack:
        link, address = _superlink(stack, home, environment)
        nodes = {name: _supernode(stack, home, environment, name, address) for name in names}
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


def _programs() -> str:
    """The folder of Flower's programs, which start each other by name."""
    return str(Path(sys.executable).parent)


def _environment(request: Request, workspace: Workspace, home: Path, ledger: str) -> dict[str, str]:
    """What Flower's processes find: its programs, the very code of this process, and our options."""
    root = str(Path(__file__).parents[2])
    added = {
        "PATH": os.pathsep.join([_programs(), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "COCOGEN_WORKSPACE": str(workspace.root.resolve()),
        "COCOGEN_LEDGER": ledger,
        "COCOGEN_KEYS": request.keys,
        "COCOGEN_PASSWORD_FILE": request.password_file,
        "COCOGEN_DATA": request.data_dir or os.environ.get("COCOGEN_DATA"),
    }
    absolute = {"COCOGEN_KEYS", "COCOGEN_PASSWORD_FILE", "COCOGEN_DATA"}
    return os.environ | {
        name: str(Path(value).resolve()) if name in absolute else value for name, value in added.items() if value
    }


def _superlink(
    stack: contextlib.ExitStack, home: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    port = _free_port()
    command = ["flower-superlink", "--insecure", "--host", _HOST, "--port", str(port)]
    command += ["--disable-runtime-dependency-installation"]
    process = stack.enter_context(_guarded(command, home / "superlink.log", environment))
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1):
            return process, f"{_HOST}:{port}"
        time.sleep(_LOOK)
    raise _failure(home, "the SuperLink did not start")


def _supernode(
    stack: contextlib.ExitStack, home: Path, environment: Mapping[str, str], name: str, address: str
) -> subprocess.Popen[bytes]:
    command = ["flower-supernode", "--insecure", "--superlink", address, "--host", _HOST, "--port", str(_free_port())]
    command += ["--node-config", f'organization="{name}"']
    return stack.enter_context(_guarded(command, home / f"{name}.log", environment))


@contextlib.contextmanager
def _guarded(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise LearningError(
            f"{command[0]} is not on PATH", hint="install the extra again: pip install 'cocogen[flower]'"
        )
    guardian = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py")), str(os.getpid())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*guardian, program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _ask(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """One command of Flower's own command line, which answers in JSON."""
    done = subprocess.run(
        [f"{_programs()}/flwr", *arguments, "--format", "json"],
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
            [f"{_programs()}/flwr", "log", run, "local", "--show"],
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_START,
            check=False,
        )


def _failure(home: Path, what: str) -> LearningError:
    return LearningError(f"Flower: {what}", hint=f"its logs are in {home}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
