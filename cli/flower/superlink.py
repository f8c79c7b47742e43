"""A SuperLink of this machine and the one run on it, asked by Flower's own command line.

Left out: whose nodes connect, and what the run does (:mod:`.apps`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.flower import processes
from cli.flower.processes import HOST, guarded
from cocogen.errors import LearningError

__all__ = ["PROJECT", "SuperLink", "failure", "superlink"]

PROJECT = Path(__file__).parent / "project"
"""The Flower app: `flwr run` sends it to all nodes."""

_START = 120.0
"""Seconds that the SuperLink has to answer; its first import is slow."""
_LOOK = 0.5
_NAME = "local"


class SuperLink:
    """A running SuperLink, whose logs lie in ``home``; made by :func:`superlink`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, home: Path, variables: Mapping[str, str]) -> None:
        self.address = f"{HOST}:{port}"
        self._process = process
        self._home = home
        self._variables = variables

    def check(self) -> None:
        """LearningError where it has ended."""
        if self._process.poll() is not None:
            raise failure(self._home, "the SuperLink has ended")

    def run(self, settings: str) -> str:
        """Start the rounds with these settings of the app; the number of the run."""
        return str(self.ask("run", str(PROJECT), _NAME, "--run-config", settings)["run-id"])

    def status(self, run: str) -> str:
        """What Flower says of a run; "finished…" once it has ended."""
        return str(self.ask("list", _NAME, "--run-id", run)["runs"][0]["status"])

    def register(self, key: Path) -> None:
        """Let the node that has this public key connect."""
        self.ask("supernode", "register", str(key), _NAME)

    def keep_log(self, run: str) -> None:
        """Keep the log of the server that played a run."""
        with (self._home / "server.log").open("wb") as output:
            subprocess.run(
                [f"{processes.programs()}/flwr", "log", run, _NAME, "--show"],
                env=dict(self._variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_START,
                check=False,
            )

    def ask(self, *arguments: str) -> dict[str, Any]:
        """One command of Flower's own command line, which answers in JSON."""
        done = subprocess.run(
            [f"{processes.programs()}/flwr", *arguments, "--format", "json"],
            env=dict(self._variables),
            capture_output=True,
            text=True,
            timeout=_START,
            check=False,
        )
        try:
            # before its answer it may say how it went, for people
            answer: dict[str, Any] = json.loads(done.stdout[max(done.stdout.find("{"), 0) :])
        except ValueError:
            answer = {}
        if done.returncode or not answer.get("success"):
            raise LearningError(
                f"flwr {arguments[0]} failed: "
                f"{answer.get('error-message') or done.stderr[-500:] or done.stdout[-500:]}",
                hint="see the logs in the workspace's folder flower",
            )
        return answer


@contextlib.contextmanager
def superlink(
    home: Path, variables: Mapping[str, str], port: int, *, host: str = HOST, options: Sequence[str] = ("--insecure",)
) -> Iterator[SuperLink]:
    """Start a SuperLink on ``port``, and have Flower's command line know it; it ends with the block or this process.

    ``options``: ``--insecure``, or its certificates. Flower's home folder, ``home``/home, is made anew: nothing in it
    outlives a SuperLink.

    Raises
    ------
    LearningError
        It does not start.
    """
    shutil.rmtree(home / "home", ignore_errors=True)
    (home / "home").mkdir(parents=True)
    command = ["flower-superlink", "--host", host, "--port", str(port), *options]
    command += ["--disable-runtime-dependency-installation"]
    with guarded(command, home / "superlink.log", variables) as process:
        found = SuperLink(process, port, home, variables)
        authority = options[options.index("--ssl-ca-certfile") + 1] if "--ssl-ca-certfile" in options else None
        proof = "insecure = true" if authority is None else f'root-certificates = "{authority}"'
        connection = f'[superlink]\ndefault = "{_NAME}"\n[superlink.{_NAME}]\naddress = "{found.address}"\n{proof}\n'
        (home / "home" / "config.toml").write_text(connection, encoding="utf-8")
        until = time.monotonic() + _START
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                break
            time.sleep(_LOOK)
        else:
            raise failure(home, "the SuperLink did not start")
        yield found


def failure(home: Path, what: str) -> LearningError:
    """What went wrong with Flower, and where its logs are."""
    return LearningError(f"Flower: {what}", hint=f"its logs are in {home}")
