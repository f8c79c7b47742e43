"""Whatever a guarded command started ends with the command, with us, or when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.flower import guardian

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: needs Linux's subreaper")

# A command that starts a daemon in a session of its own, says its number, and waits.
TREE = """
import subprocess, sys, time
daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(daemon.pid, flush=True)
{then}
"""
PARENT = """
import os, subprocess, sys, time
guarded = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), *sys.argv[2:]])
time.sleep(60)
"""


def command(then: str = "time.sleep(60)") -> list[str]:
    return [sys.executable, "-c", TREE.format(then=then)]


def guarded(arguments: list[str]) -> subprocess.Popen:
    start = [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), *arguments]
    return subprocess.Popen(start, stdout=subprocess.PIPE, text=True)


def ended(pid: int, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("then", "status"), [("sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_it_ends_with_the_status_of_the_command_and_leaves_no_daemon(then, status):
    with guarded(command(then)) as process:
        daemon = int(process.stdout.readline())
        assert process.wait(10) == status
        assert ended(daemon)


def test_told_to_end_it_ends_everything():
    with guarded(command()) as process:
        daemon = int(process.stdout.readline())
        assert not ended(daemon, 0.1)
        process.terminate()
        assert process.wait(10) == 143
        assert ended(daemon)


def test_killed_itself_it_takes_the_command_along():
    with guarded(["/bin/sh", "-c", "echo $$; exec sleep 60"]) as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait(10)
        assert ended(child)


def test_nothing_outlives_a_killed_parent():
    arguments = [sys.executable, "-c", PARENT, guardian.__file__, *command()]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        daemon = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        assert ended(daemon)
