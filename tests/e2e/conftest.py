"""The command line as people type it, in this process or in processes of their own."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        envelope = json.loads(self.out)
        assert envelope["status"] == "ok", envelope
        return envelope["data"]

    @property
    def error(self) -> dict[str, str]:
        envelope = json.loads(self.out)
        assert envelope["status"] == "error", envelope
        return envelope["error"]


class CommandLine:
    """Types commands in ``folder``; ``separate`` gives each a process of its own."""

    def __init__(self, folder: Path, *, separate: bool = False) -> None:
        self.folder = folder
        self.separate = separate

    def __call__(self, command: str, *, code: int | None = 0) -> Answer:
        arguments = command.split()
        if self.separate:
            done = subprocess.run(
                [sys.executable, "-m", "cli", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300
            )
            answer = Answer(done.returncode, done.stdout, done.stderr)
        else:
            out, err = io.StringIO(), io.StringIO()
            with (
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as stopped,
            ):
                main(arguments)
            answer = Answer(int(stopped.value.code or 0), out.getvalue(), err.getvalue())
        if code is not None:
            assert answer.code == code, f"cocogen {command}\n{answer.out}\n{answer.err}"
        return answer

    def json(self, command: str, *, code: int = 0) -> dict[str, Any]:
        answer = self(f"{command} --format json", code=code)
        return answer.error if code > 1 else answer.data


@pytest.fixture
def terms(tmp_path):
    """The example with two rounds and short learning, in an empty folder."""
    text = EXAMPLE.read_text()
    for old, new in (("rounds = 5", "rounds = 2"), ("local_epochs = 5", "local_epochs = 2")):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "clinics.toml"
    path.write_text(text)
    return path


@pytest.fixture
def cocogen(tmp_path, terms):
    return CommandLine(tmp_path)


@pytest.fixture
def separate_cocogen(tmp_path, terms):
    return CommandLine(tmp_path, separate=True)
