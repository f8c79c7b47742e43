"""A process beside each of Flower's: when the program that started it is gone, it ends the whole tree below.

Flower's processes start others, some in sessions of their own, which would outlive a killed parent for minutes. Run
as a script (``python -I -S guardian.py PARENT COMMAND…``); it needs nothing but the standard library. It ends with
the exit status of COMMAND, or with 143 when it is told to end. On Linux it inherits orphaned descendants, so that none
escapes; elsewhere it ends the process group of COMMAND and Flower's own watchdogs do the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PAUSE = 0.2


def main(arguments: list[str]) -> int:
    """Run the command until it ends, its parent is gone, or this process is told to end."""
    parent, command = int(arguments[0]), arguments[1:]
    signal.signal(signal.SIGTERM, _stop)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # The new session keeps Ctrl-C for us; if this guardian is killed, the kernel kills at least the command itself.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        while os.getppid() == parent:
            status = _reap(child.pid)
            if status is not None:
                return status
            time.sleep(_PAUSE)
        return 0
    finally:
        _end_all(child.pid)


def _stop(number: int, _frame: FrameType | None) -> None:
    print("ended by SIGTERM", file=sys.stderr)  # noqa: T201  # this script has nothing of the package
    sys.exit(128 + number)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _reap(wanted: int) -> int | None:
    """Collect whoever has ended; the exit status of ``wanted`` when it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == wanted:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code
    return found


def _end_all(first: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(first, signal.SIGKILL)
    # Killing a process makes its children ours, until there are none.
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap(first)
        time.sleep(0.01)


def _children() -> list[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
