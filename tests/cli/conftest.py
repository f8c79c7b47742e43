"""A consortium of the example that many commands are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import NAMES, CommandLine
from tests.examples import SHORT, edited


@pytest.fixture(scope="session")
def opened(once) -> Path:
    """A folder with an open round of the example, trained for a moment only; nobody has trained yet. To be copied."""

    def fill(folder: Path) -> None:
        edits = ("rounds = 5", "rounds = 1"), SHORT[0], ("pretraining_rounds = 30", "pretraining_rounds = 8")
        edited(folder / "clinics.toml", *edits)
        cocogen = CommandLine(folder)
        for command in ("deploy clinics.toml", *(f"deposit -o {name}" for name in NAMES), "round open"):
            cocogen(command)

    return once("opened", fill)
