"""Flower's programs as processes of this one: found, guarded, given ports and an environment.

Each ends with this process, whatever happens to it (:mod:`.guardian`). Left out: which programs, and what for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cocogen.errors import ConfigurationError, LearningError

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.workspace import Workspace

__all__ = ["HOST", "environment", "free_port", "guarded", "programs", "require_flower"]

HOST = "127.0.0.1"


def require_flower(what: str) -> None:
    """ConfigurationError where Flower, which ``what`` needs, is not installed."""
    if importlib.util.find_spec("flwr") is None:
        raise ConfigurationError(
            f"{what} needs Flower, which is not installed",
            hint="pip install 'cocogen[flower]', in a clone pip install -e '.[flower]'",
        )


def programs() -> str:
    """The folder of Flower's programs, which start each other by name."""
    return str(Path(sys.executable).parent)


def environment(request: Request, workspace: Workspace, home: Path, ledger: str | None) -> dict[str, str]:
    """What Flower's processes find: its programs, the very code of this process, and our options."""
    root = str(Path(__file__).parents[2])
    added = {
        "PATH": os.pathsep.join([programs(), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "COCOGEN_WORKSPACE": str(workspace.root.resolve()),
        "COCOGEN_LEDGER": ledger,
        "COCOGEN_KEYS": request.keys,
        "COCOGEN_PASSWORD_FILE": request.password_file,
        "COCOGEN_SITES": request.sites,
        "COCOGEN_DATA": request.data_dir or os.environ.get("COCOGEN_DATA"),
    }
    absolute = {"COCOGEN_SITES", "COCOGEN_KEYS", "COCOGEN_PASSWORD_FILE", "COCOGEN_DATA"}
    return os.environ | {
        name: str(Path(value).resolve()) if name in absolute else value for name, value in added.items() if value
    }


@contextlib.contextmanager
def guarded(
    command: Sequence[str], output: Path | IO[bytes] | None, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` until the end of this block or of this process; ``output``: its log, by default our own errors.

    Raises
    ------
    LearningError
        There is no such program.
    """
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        raise LearningError(
            f"{command[0]} is not on PATH", hint="install the extra again: pip install 'cocogen[flower]'"
        )
    guardian = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py")), str(os.getpid())]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(output.open("wb")) if isinstance(output, Path) else output or sys.stderr.fileno()
        process = subprocess.Popen(
            [*guardian, program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
