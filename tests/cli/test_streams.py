"""Standard output that cannot be written, SIGTERM, and what libraries say on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

from cli import output, streams
from cli.main import _COMMANDS, main

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="SKIPPED: there is no /dev/full here")


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def typed(*arguments: str, out: io.StringIO | None = None) -> tuple[int, str]:
    """Exit code and standard error of a command whose standard output is ``out``."""
    err = io.StringIO()
    with (
        contextlib.redirect_stdout(out or io.StringIO()),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as stopped,
    ):
        main(list(arguments))
    return int(stopped.value.code or 0), err.getvalue()


def command(monkeypatch: pytest.MonkeyPatch, body) -> None:
    """Put a command "probe" in the place of one."""
    module = type(sys)("probe_module")
    module.probe = click.command()(body)
    monkeypatch.setitem(sys.modules, "probe_module", module)
    monkeypatch.setitem(_COMMANDS, "probe", ("probe_module:probe", "A test."))


@needs_full
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["audit", "--help"]])
def test_help_that_cannot_be_written_is_exit_code_74(arguments) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 74
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device\n")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_pipe_is_exit_code_74() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == 74
    assert "Broken pipe" in done.stderr


def test_without_standard_output_nothing_is_begun(tmp_path) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -m cli keys new north --keys "$1" >&-', sys.executable, str(tmp_path / "k")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COCOGEN_PASSWORD": "secret"},
        check=False,
    )
    assert done.returncode == 74
    assert not (tmp_path / "k").exists()


def test_an_error_whose_envelope_is_lost_is_said_on_standard_error() -> None:
    code, err = typed("run", "none.toml", "--format", "json", out=Broken(OSError(28, "No space left on device")))
    assert code == 74
    assert "error: none.toml: cannot be read" in err
    assert "standard output cannot be written: No space left on device" in err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(32, "Broken pipe")])
@pytest.mark.parametrize("as_json", [False, True])
def test_money_that_moved_is_said_where_the_result_is_lost(monkeypatch, error, as_json) -> None:
    data = {
        "organization": "north",
        "deposited": "18",
        "balance": "27",
        "receipt": {"operation": "deposit", "transaction": "0xab", "gas": 1, "time": 1},
    }
    command(monkeypatch, lambda: output.emit(data, "north deposited", as_json=as_json))
    code, err = typed("probe", out=Broken(error))
    assert code == 74
    assert "done all the same: 18 wei of north were deposited; the balance is 27 wei" in err
    assert "done all the same: deposit took effect in the transaction 0xab" in err


def test_rounds_that_were_settled_are_said_where_the_result_is_lost(monkeypatch) -> None:
    played = {"round": 2, "status": "settled", "transfers": {"north": "5", "harbor": "-5"}}
    command(monkeypatch, lambda: output.emit({"rounds": [played]}, "done", as_json=False))
    code, err = typed("probe", out=Broken(OSError(28, "full")))
    assert code == 74
    assert "round 2 is settled; received (+) or paid (-) in wei: north +5, harbor -5" in err


def test_a_failed_check_whose_verdict_is_lost_is_not_exit_code_1(monkeypatch) -> None:
    def probe() -> int:
        output.emit({"status": "FAIL"}, "audit: FAIL", as_json=False)
        return 1

    command(monkeypatch, probe)
    assert typed("probe", out=Broken(OSError(28, "full")))[0] == 74


def test_a_broken_pipe_that_is_not_standard_output_is_a_defect(monkeypatch) -> None:
    def probe() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    command(monkeypatch, probe)
    code, err = typed("probe")
    assert code == 70
    assert "BrokenPipeError" in err


@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_is_exit_code_70_and_shows_where_if_asked(monkeypatch, debug) -> None:
    def probe() -> None:
        raise ZeroDivisionError("\x1b[2J\nnorth: accepted")

    command(monkeypatch, probe)
    monkeypatch.setenv("COCOGEN_DEBUG", "1" if debug else "")
    code, err = typed("probe")
    assert code == 70
    assert "error: ZeroDivisionError: \\x1b[2J\\nnorth: accepted" in err
    assert ("Traceback (most recent call last):" in err) is debug
    assert "\x1b" not in err
    assert "\nnorth" not in err


def test_standard_error_that_cannot_be_written_stops_nothing(monkeypatch) -> None:
    def probe() -> int:
        output.note("look")
        with output.progress() as bars:
            bars("working", 0, 1)
        return 1

    command(monkeypatch, probe)
    for broken in (Broken(OSError(28, "full")), None):
        with contextlib.redirect_stderr(broken), pytest.raises(SystemExit) as stopped:
            main(["probe"])
        assert stopped.value.code == 1


def test_what_an_encoding_does_not_have_is_escaped(monkeypatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    command(monkeypatch, lambda: output.table("ε of δ", ["κ"], [["∑"]]))
    assert typed("probe", out=narrow)[0] == 0
    assert b"\\u03b5 of \\u03b4" in narrow.buffer.getvalue()


def test_warnings_and_log_records_are_notes(monkeypatch) -> None:
    def probe() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning("look \x1b[2J", UserWarning, "file", 1)
        logging.lastResort.handle(logging.makeLogRecord({"msg": "node says \x1b]0;owned\x07", "levelno": 30}))

    before = (warnings.showwarning, logging.lastResort)
    command(monkeypatch, probe)
    code, err = typed("probe")
    assert code == 0
    assert "warning: UserWarning: look \\x1b[2J" in err
    assert "node says \\x1b]0;owned\\x07" in err
    assert (warnings.showwarning, logging.lastResort) == before


@pytest.mark.parametrize("wrapped", [False, True])
def test_sigterm_is_a_word_and_143_after_everything_was_put_away(monkeypatch, wrapped) -> None:
    put_away = []

    def probe() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # whoever ends a group may send it twice
            put_away.append(True)

    monkeypatch.setattr(signal, "pause", lambda: None)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        command(monkeypatch, probe)
        code, err = typed("probe")
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 143
    assert put_away == [True]
    assert "error: terminated\nhint: nothing is lost" in err


def test_sigterm_in_json_is_an_envelope(monkeypatch) -> None:
    def probe(format_: str) -> None:
        raise streams.Terminated

    command(monkeypatch, click.option("--format", "format_")(probe))
    out = io.StringIO()
    assert typed("probe", "--format", "json", out=out)[0] == 143
    assert json.loads(out.getvalue())["error"]["code"] == "Terminated"


def test_a_process_told_to_end_exits_with_143(tmp_path) -> None:
    """A real process, while it waits for a password."""
    script = (
        "import os, signal, sys, threading; from cli.main import main, _COMMANDS; import click, types;"
        "m = types.ModuleType('m'); sys.modules['m'] = m; _COMMANDS['wait'] = ('m:wait', '');"
        "m.wait = click.command()(lambda: (print('ready', flush=True), threading.Event().wait(60)));"
        "main(['wait'])"
    )
    heed = lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.lstrip().startswith("error: terminated\n")


def test_a_forked_worker_told_to_end_says_nothing() -> None:
    script = (
        "import os, signal, sys\nfrom cli.streams import watched\n"
        "with watched(print):\n"
        "    child = os.fork()\n"
        "    if child == 0: os.kill(os.getpid(), signal.SIGTERM); os._exit(1)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    heed = lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=heed, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("143\n", "", 0)


def test_whoever_had_sigterm_ignored_has_it_ignored(monkeypatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        command(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert typed("probe")[0] == 0
    finally:
        signal.signal(signal.SIGTERM, before)
