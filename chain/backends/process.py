"""A node of our own: started on a free port of this machine, gone with this process however it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from chain.backends.provider import NodeProvider
from chain.errors.chain import ChainUnavailable, NodeNotInstalled

__all__ = ["HOST", "NodeProcess", "find_node"]

HOST = "127.0.0.1"

_BINARIES = Path(__file__).resolve().parents[2] / "contracts" / "node_modules" / ".bin"
_GRACE = 5.0
"""Seconds that a node gets to end before it is killed."""
_TRIES = 3
"""How often another port is tried: between finding and using one, somebody else may take it."""

# Asks the kernel to kill the node when this process dies, then becomes the node (PR_SET_PDEATHSIG is 1).
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted this node is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def find_node(name: str) -> str:
    """Return the path of a node's program: from the project's own Node packages, else from PATH.

    Raises
    ------
    NodeNotInstalled
        It is in neither place.
    """
    found = shutil.which(name, path=str(_BINARIES)) or shutil.which(name)
    if found is None:
        raise NodeNotInstalled(
            f"{name} is not installed: it is neither in {_BINARIES} nor on PATH",
            hint="install it with `npm ci` in the folder contracts (needs Node 20), or use an embedded chain",
        )
    return found


class NodeProcess:
    """A running node that answers on ``url``.

    Parameters
    ----------
    name
        The program.
    arguments
        From the port to the program's arguments; they must bind it to :data:`HOST` alone.
    port
        Where it listens; a free port by default.
    timeout
        Seconds that the node has to answer.

    Raises
    ------
    NodeNotInstalled
        The program is missing.
    ChainUnavailable
        It ends, or does not answer in time; the message holds the end of what it printed.
    """

    def __init__(
        self,
        name: str,
        arguments: Callable[[int], Sequence[str]],
        *,
        port: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        program = find_node(name)
        deadline = time.monotonic() + timeout
        for attempt in range(1, _TRIES + 1):
            number = port or _free_port()
            # a file takes whatever the node prints; a pipe that nobody reads would stop it
            self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
            self._process = _start([program, *arguments(number)], self._output)
            self.stop = weakref.finalize(self, _stop, self._process, self._output)
            self.url = f"http://{HOST}:{number}"
            if self._answers(deadline):
                return
            printed = self._printed()
            self.stop()
            if attempt == _TRIES or time.monotonic() > deadline:
                raise ChainUnavailable(
                    f"{name} did not start: {printed or 'it printed nothing'}", hint="run it by hand"
                )

    @property
    def pid(self) -> int:
        """The node's process id."""
        return self._process.pid

    def _answers(self, deadline: float) -> bool:
        provider = NodeProvider(self.url, timeout=5, attempts=1)
        try:
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    provider.make_request("eth_chainId", [])  # type: ignore[arg-type]
                    return self._process.poll() is None
                except ChainUnavailable:
                    time.sleep(0.02)
            return False
        finally:
            provider.close()

    def _printed(self) -> str:
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - 500))
        return self._output.read().decode(errors="replace").strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _start(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    # the kernel's signal comes when the starting thread ends, so only the main thread may ask for it
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for us: the node must still answer while we clean up
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    output.close()
