"""``cocogen run --runtime flower``: processes of their own for everyone, of which one fails in every way it can."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

ROOT = Path(__file__).parents[2]
FIELDS = ("accuracy", "contributions", "transfers", "payoffs", "strategies", "quality")

# Every Python process of the run imports this: harbor's node answers garbage in round 1 and hangs in round 2.
HOSTILE = """
import importlib.abc, importlib.util, sys, time

class Spoiler(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "cocogen.flower.node":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            train = module.Node.train
            def spoiled(member, order):
                if member.organization != "harbor":
                    return train(member, order)
                if order.round == 1:
                    return b"PK" + bytes(5000)
                time.sleep(3600)
            module.Node.train = spoiled
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Spoiler())
"""


def node(organization: str, workspace: Path) -> int:
    """The long-lived process of an organization in the run of ``workspace``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            variables = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if command[1:6] == ["-m", "cli", "node", "-o", organization] and str(workspace) in variables:
            return int(folder.name)
    raise AssertionError(f"no node of {organization} is running")


def processes_of(workspace: Path) -> list[str]:
    """Command lines of whatever still runs for a workspace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"COCOGEN_WORKSPACE={workspace}\0" in (folder / "environ").read_text(errors="replace"):
                found.append((folder / "cmdline").read_text(errors="replace"))
        except OSError:
            continue
    return found


def start(folder: Path, *options: str, path: str = "") -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), path]))}
    command = [sys.executable, "-m", "cli", "run", "clinics.toml", "--no-study", "--runtime", "flower", *options]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        # As in a terminal: what is started in the background may have inherited that Ctrl-C is ignored.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err, preexec_fn=heed)


def wait_for(condition, process: subprocess.Popen, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended"
        assert time.monotonic() < until
        time.sleep(0.2)


def gone(workspace: Path, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while processes_of(workspace) and time.monotonic() < until:
        time.sleep(0.1)
    return not processes_of(workspace)


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_nodes_of_their_own_give_the_same_report_as_this_process(cocogen, tmp_path):
    expected = cocogen.json("run clinics.toml --no-study")
    process = start(tmp_path, "--workspace", "flower", "--format", "json")
    assert process.wait(800) == 0, (tmp_path / "err").read_text()
    found = json.loads((tmp_path / "out").read_text())["data"]
    for mine, other in zip(found["rounds"], expected["rounds"], strict=True):
        assert {field: mine[field] for field in FIELDS} == {field: other[field] for field in FIELDS}
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert mine["rejected"] == {}
    assert found["audit"]["status"] == "PASS"
    assert gone((tmp_path / "flower").resolve())
    assert {path.name for path in (tmp_path / "flower" / "flower").glob("*.log")} == {
        f"{name}.log"
        for name in ("superlink", "server", "north", "harbor", "riverside", "hillside", "meadow", "lakeview")
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rounds_settle_without_an_organization_that_sends_garbage_hangs_and_is_killed(tmp_path, terms):
    text = terms.read_text()
    assert "quorum = 0.8" in text
    assert "minimum_members = 5" in text
    terms.write_text(text.replace("rounds = 2", "rounds = 3"))
    (tmp_path / "hostile").mkdir()
    (tmp_path / "hostile" / "sitecustomize.py").write_text(HOSTILE)
    process = start(tmp_path, "--deadline", "120", "--format", "json", path=str(tmp_path / "hostile"))
    workspace = tmp_path / ".cocogen" / "clinics"
    try:
        wait_for((workspace / "rounds/0002/plan.json").exists, process, 500)
        time.sleep(2)
        os.kill(node("harbor", workspace), signal.SIGKILL)
        assert process.wait(800) == 0, (tmp_path / "err").read_text()
    finally:
        process.terminate()
        process.wait()
    found = json.loads((tmp_path / "out").read_text())["data"]
    assert [entry["status"] for entry in found["rounds"]] == ["settled"] * 3
    for entry in found["rounds"]:
        assert list(entry["rejected"]) == ["harbor"]
        assert entry["contributions"]["harbor"] is None
        assert sum(c is not None for c in entry["contributions"].values()) == 5
        assert sum(int(wei) for wei in entry["transfers"].values()) == 0
        assert any(int(wei) for wei in entry["transfers"].values())
    reasons = [entry["rejected"]["harbor"] for entry in found["rounds"]]
    assert "is not a valid file of arrays" in reasons[0]
    assert "sent nothing within 120 s" in reasons[1] or "its node failed" in reasons[1]
    assert found["audit"]["status"] == "PASS"
    assert "the node of harbor has ended" in (tmp_path / "err").read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGKILL, -9),
        *(pytest.param(*end, marks=pytest.mark.deep) for end in ((signal.SIGINT, 130), (signal.SIGTERM, 143))),
    ],
)
def test_no_process_outlives_the_command_that_started_it(tmp_path, terms, how, code):
    process = start(tmp_path)
    workspace = tmp_path / ".cocogen" / "clinics"
    try:
        wait_for(lambda: (workspace / "flower" / "lakeview.log").exists(), process, 300)
        wait_for(lambda: any("flower-superexec" in command for command in processes_of(workspace)), process, 120)
        process.send_signal(how)
        assert process.wait(60) == code
        assert gone(workspace)
    finally:
        process.kill()
        process.wait()
