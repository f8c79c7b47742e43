"""An organization's SuperNode, kept running: it connects to the SuperLink, and starts the relay for each message.

It has neither the samples nor the key of the organization; they are in the process that starts it
(:mod:`cocogen.flower.service`), whose socket it is told. Left out: the processes themselves (:mod:`.processes`).
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.flower.processes import HOST, free_port, guarded
from cli.output import note
from cocogen.errors import ConfigurationError

__all__ = ["Connection", "SuperNode"]

_STAYS = 60.0
"""Seconds after which a SuperNode counts as one that works."""
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the SuperLink is, and how a node proves that it may connect.

    ``superlink``: HOST:PORT. ``certificates``: the authority that signed the SuperLink's certificate; without it those
    of the system, and no encryption where the SuperLink is on this machine. ``key``: the node's own private key, for a
    SuperLink that knows its nodes.
    """

    superlink: str
    certificates: Path | None = None
    key: Path | None = None

    def options(self) -> list[str]:
        """As `flower-supernode` takes them.

        Raises
        ------
        ConfigurationError
            A file is not there, or a key would go over a connection without encryption.
        """
        host = self.superlink.rpartition(":")[0]
        insecure = self.certificates is None and host in (HOST, "localhost", "[::1]")
        if insecure and self.key is not None:
            raise ConfigurationError(
                f"a node proves itself over TLS alone, and {self.superlink} is connected to without",
                hint="give --root-certificates, the file that the operator of the SuperLink handed out",
            )
        options = ["--superlink", self.superlink]
        if insecure:
            options.append("--insecure")
        for option, file in (("--root-certificates", self.certificates), ("--auth-supernode-private-key", self.key)):
            if file is not None:
                if not file.is_file():
                    raise ConfigurationError(f"{file} is not there", hint="name the file, or leave the option out")
                options += [option, str(file.resolve())]
        return options


class SuperNode:
    """A SuperNode that is started again, after a pause that grows, whenever it ends; a context manager."""

    def __init__(self, organization: str, connection: Connection, variables: Mapping[str, str]) -> None:
        self._command: Sequence[str] = ["flower-supernode", *connection.options(), "--host", HOST]
        self._organization = organization
        self._variables = variables
        self._running = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._pause = 0.0

    def __enter__(self) -> SuperNode:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def look(self) -> None:
        """Start it again where it has ended and the pause is over."""
        if self._process is not None and (status := self._process.poll()) is not None:
            worked = time.monotonic() - self._started > _STAYS
            self._pause = 1.0 if worked else min(2 * self._pause + 1.0, _LONGEST_PAUSE)
            note(f"the SuperNode has ended with status {status}; it is started again in {self._pause:g} s")
            self._running.close()
            self._process, self._started = None, time.monotonic()
        if self._process is None and time.monotonic() > self._started + self._pause:
            self._start()

    def _start(self) -> None:
        name = self._organization
        command = [*self._command, "--port", str(free_port()), "--node-config", f'organization="{name}"']
        self._process = self._running.enter_context(guarded(command, None, self._variables))
        self._started = time.monotonic()
