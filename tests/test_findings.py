"""Every finding has the form that findings/README.md states; what they find is checked by running them (outside CI)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "findings"
FINDINGS = sorted(FOLDER.glob("*.sh"))
PARTS = ["Package", "Expected", "Seen", "Source", "Matters"]


def test_there_are_findings_and_the_readme_lists_them_all() -> None:
    assert len(FINDINGS) >= 5
    listed = re.findall(r"\]\(([\w.-]+\.sh)\)", (FOLDER / "README.md").read_text())
    assert listed == [path.name for path in FINDINGS]


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_has_its_form(path: Path) -> None:
    text = path.read_text()
    assert path.stat().st_mode & 0o111 == 0o111
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert text.startswith("#!/usr/bin/env bash\n")
    assert re.findall(r"^# ([A-Z]\w+) {2,}\S", text, re.MULTILINE) == PARTS
    assert "\nset -euo pipefail\n" in text
    assert "mktemp -d" in text
    assert re.search(r"^trap .*rm -rf \"\$work\"", text, re.MULTILINE)
    for command in re.findall(r"(?:npm|pip) install ((?:.*\\\n)*.*)", text):
        packages = [word for word in command.replace("\\\n", " ").split() if not word.startswith("-") and word != "."]
        assert packages
        assert all(re.search(r"(==|@)\d+(\.\d+)+\w*$", package) for package in packages), packages


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_runs_none_of_our_code_and_names_no_machine(path: Path) -> None:
    text = path.read_text()
    for foreign in ("cocogen", "from chain", "from cli", "/work", "/home", "/tmp", "pypi.org", "registry.npmjs"):
        assert foreign not in text
