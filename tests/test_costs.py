"""A test that takes long says so, and quick tests start nothing heavy: seen in sessions of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest, time
def spend():
    begin = time.process_time()
    while time.process_time() - begin < 0.2:
        pass
def test_long(): spend()
def test_waiting(): time.sleep(0.2)
@pytest.mark.slow
def test_slow(): spend()
@pytest.mark.deep
def test_deep(): spend()
"""


def session(folder: Path, tests: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the text of a session of these tests under this project's rules."""
    (folder / "test_it.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(folder), *arguments,
         "-p", "no:cacheprovider", "--import-mode=importlib", str(folder / "test_it.py")],
        cwd=ROOT, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "", **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


WORKER = ("-p", "xdist.plugin", "-n", "1")


@pytest.mark.parametrize(
    ("limit", "ci", "workers", "code", "named"),
    [
        pytest.param("0.03", "true", (), 1, ["test_long"], id="fails the session"),
        pytest.param("0.03", "true", WORKER, 1, ["test_long"], id="fails the session in a worker"),
        pytest.param("0.03", "", (), 0, ["test_long"], id="is named by a session of one's own"),
        pytest.param("0.15", "true", (), 0, ["test_long"], id="has a margin"),
        pytest.param("5", "true", (), 0, [], id="is nothing to tell of"),
    ],
)
def test_a_long_test_without_a_mark(limit, ci, workers, code, named, tmp_path):
    found, text = session(tmp_path, TESTS, *workers, TEST_LIMIT=limit, CI=ci)
    assert found == code, text
    assert [name for name in ("test_long", "test_waiting", "test_slow", "test_deep") if f"::{name}" in text] == named


@pytest.mark.parametrize(
    ("body", "workers"),
    [
        ("import torch.nn", ()),
        ("from eth.vm import forks", WORKER),
        ("import subprocess; subprocess.run(['true'])", ()),
        ("import subprocess; subprocess.run(['true'])", WORKER),
        ("import os; os.system('true')", ()),
        ("import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start()", ()),
    ],
)
def test_quick_tests_are_refused_what_is_heavy(body, workers, tmp_path):
    code, text = session(tmp_path, f"def test_it():\n    {body}\n", *workers, "--quick")
    assert code == 1
    assert "quick tests" in text


def test_quick_tests_may_compute(tmp_path):
    code, text = session(tmp_path, "def test_it():\n    import numpy\n", "--quick")
    assert code == 0, text
