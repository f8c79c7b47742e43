"""The command line as people type it, in this process or in processes of their own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Once
from tests.examples import edited, typed

NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
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
            with contextlib.chdir(self.folder):
                answer = Answer(*typed(*arguments))
        if code is not None:
            assert answer.code == code, f"cocogen {command}\n{answer.out}\n{answer.err}"
        return answer

    def json(self, command: str, *, code: int = 0) -> dict[str, Any]:
        answer = self(f"{command} --format json", code=code)
        return answer.error if code > 1 else answer.data


def write_terms(folder: Path) -> Path:
    """The example with two rounds and short learning."""
    edits = ("rounds = 5", "rounds = 2"), ("local_epochs = 5", "local_epochs = 2")
    return edited(folder / "clinics.toml", *edits)


@pytest.fixture
def terms(tmp_path):
    return write_terms(tmp_path)


@pytest.fixture
def cocogen(tmp_path, terms):
    return CommandLine(tmp_path)


@pytest.fixture
def separate_cocogen(tmp_path, terms):
    return CommandLine(tmp_path, separate=True)


class States:
    """States of the walk that many tests start from: each is reached once in a session, kept, and copied for a test."""

    def __init__(self, folder: Path, once: Once) -> None:
        self.folder = folder
        self.once = once

    def __call__(self, name: str, reach: Callable[[CommandLine], object], *, after: str | None = None) -> CommandLine:
        def fill(folder: Path) -> None:
            if after is None:
                write_terms(folder)
            else:
                self.once.copy(self.once.root / after, folder)
            reach(CommandLine(folder))

        kept = self.once(name, fill)
        shutil.rmtree(self.folder, ignore_errors=True)
        return CommandLine(self.once.copy(kept, self.folder))


@pytest.fixture(scope="session")
def states(tmp_path_factory, once):
    return States(tmp_path_factory.mktemp("states") / "walk", once)


@pytest.fixture
def deployed(states):
    """Deployed, nobody has deposited."""
    return states("deployed", lambda cocogen: cocogen("deploy clinics.toml"))


@pytest.fixture
def trained(states, deployed):
    """All have deposited and trained; nothing is attested."""

    def reach(cocogen: CommandLine) -> None:
        for name in NAMES:
            cocogen(f"deposit -o {name}")
        cocogen("round open")
        cocogen("train")

    return states("trained", reach, after="deployed")


@pytest.fixture
def attested(states, trained):
    """All contributions are attested, none is handed in."""
    return states("attested", lambda cocogen: cocogen("attest"), after="trained")


@pytest.fixture
def recorded(states, attested):
    """All contributions are on the ledger and final; the dispute window runs."""

    def reach(cocogen: CommandLine) -> None:
        for name in NAMES:
            cocogen(f"submit -o {name}")
        cocogen("round record")

    return states("recorded", reach, after="attested")


@pytest.fixture
def settled(states, recorded):
    """One round is over."""
    return states("settled", lambda cocogen: cocogen("round settle --advance"), after="recorded")
