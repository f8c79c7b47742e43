"""The script in docs/python.md deploys, plays, asks and audits as it stands there, and without any command."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chain.open import open_ledger

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SCRIPT, NODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NO_COMMANDS = "\nimport sys\nassert not [name for name in sys.modules if name.split('.')[0] in ('cli', 'click')]\n"


@pytest.fixture
def folder(clinics, tmp_path, monkeypatch) -> Path:
    """A working folder with the terms file that the script names."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "clinics.toml").write_bytes(clinics.source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(lines: list[str], folder: Path) -> None:
    bonds, following, *rounds, welfare, verdict = lines
    assert "bonds in wei: (" in bonds
    assert following.startswith("`cocogen deposit -o NAME` by north, ")
    assert [line.split()[:2] for line in rounds] == [["1", "settled"], ["2", "settled"]]
    assert welfare.endswith("of the planner's welfare")
    assert verdict.split()[0] == "PASS"
    assert "settlement: PASS" in verdict
    assert (folder / "clinics" / "report.json").is_file()


def test_the_script_plays_a_consortium_from_terms_to_verdict_in_twenty_lines(folder, capsys):
    assert len(SCRIPT.splitlines()) <= 20
    exec(SCRIPT, {})
    check(capsys.readouterr().out.splitlines(), folder)


@pytest.mark.slow
def test_it_needs_no_command(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + NO_COMMANDS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    check(done.stdout.splitlines(), folder)


def test_a_ledger_on_a_node_is_opened_as_the_page_says(tmp_path, monkeypatch):
    """All that the page names is there and takes what it is given; the node alone is none."""
    asked: dict[str, Any] = {}
    real = inspect.signature(open_ledger)

    def opened(*given: Any, **named: Any) -> None:
        asked.update(real.bind(*given, **named).arguments)

    monkeypatch.setattr("chain.open.open_ledger", opened)
    monkeypatch.chdir(tmp_path)
    exec(NODE, {})
    assert asked["specification"] == "https://node.example"
    assert asked["keys"].folder.list() == ()
    assert asked["journal"].intents == ()
