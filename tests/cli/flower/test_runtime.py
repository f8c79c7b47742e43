"""What cannot work is refused before anything is deployed, and a failed start says where to look."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from cli.flower import processes, runtime
from cli.flower.apps import outcome_file, request_from_environment
from cli.request import Request
from cocogen.errors import ConfigurationError, LearningError
from cocogen.rounds.workspace import Workspace


@pytest.fixture
def flower(monkeypatch):
    """As if Flower were installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        runtime.check_ready("embedded", 300, 86_400)
    assert "cocogen[flower]" in caught.value.hint


@pytest.mark.parametrize("ledger", ["memory", "tester", "anvil", "ganache"])
@pytest.mark.usefixtures("flower")
def test_a_ledger_of_one_process_is_refused(ledger):
    with pytest.raises(ConfigurationError, match=f"the ledger {ledger} ends with the process"):
        runtime.check_ready(ledger, 300, 86_400)


@pytest.mark.usefixtures("flower")
@pytest.mark.parametrize(("deadline", "longest"), [(300, 600), (1, 21)])  # patience is the deadline, or 20 s
def test_waiting_for_the_nodes_leaves_half_of_the_submission_window(deadline, longest):
    runtime.check_ready("embedded", deadline, 2 * longest)
    with pytest.raises(ConfigurationError, match=f"--deadline {deadline} the nodes may take {longest} s"):
        runtime.check_ready("embedded", deadline, 2 * longest - 1)


def programs(folder: Path, **scripts: str) -> str:
    """Programs of these names that run Python source."""
    folder.mkdir()
    for name, source in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!{sys.executable}\n{source}\n")
        path.chmod(0o755)
    return str(folder)


LINK = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
time.sleep({seconds})
"""
FLWR = """
import json, sys
answers = {"run": {"success": True, "run-id": "5"}, "list": {"success": True, "runs": [{"status": "finished:failed"}]}}
print("log line" if sys.argv[1] == "log" else json.dumps(answers[sys.argv[1]]))
"""


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Plays one round with stand-ins for Flower's programs, of which only the exchange with us is under test."""
    monkeypatch.setattr(runtime, "_agreed", lambda workspace: (("north", "harbor"), "accuracy"))
    monkeypatch.setattr(runtime, "_ASK", 0.0)
    monkeypatch.setattr(runtime, "_LOOK", 0.05)

    def run(**scripts: str) -> Workspace:
        workspace = Workspace(tmp_path / "workspace")
        workspace.root.mkdir()
        folder = programs(
            tmp_path / "bin", **{"flower_supernode": "import time; time.sleep(60)", "flwr": FLWR} | scripts
        )
        monkeypatch.setattr(processes, "programs", lambda: folder)
        runtime.play(Request(None, None, None, False), workspace, "embedded", 1, 30.0, lambda *a: None)
        return workspace

    return run


def test_a_superlink_that_ends_at_once_is_a_typed_error(play, tmp_path):
    with pytest.raises(LearningError, match="SuperLink did not start") as caught:
        play(flower_superlink="print('no memory')")
    assert str(tmp_path / "workspace" / "flower") in caught.value.hint
    assert "no memory" in (tmp_path / "workspace" / "flower" / "superlink.log").read_text()


def test_a_superlink_that_ends_meanwhile_is_a_typed_error(play):
    alive = FLWR.replace("finished:failed", "running")
    with pytest.raises(LearningError, match="the SuperLink has ended"):
        play(flower_superlink=LINK.format(seconds=2), flwr=alive)


def test_a_server_that_ends_without_a_word_is_a_typed_error_and_its_log_is_kept(play, tmp_path):
    with pytest.raises(LearningError, match="the server ended without a result"):
        play(flower_superlink=LINK.format(seconds=60))
    assert (tmp_path / "workspace" / "flower" / "server.log").read_text() == "log line\n"


def test_the_servers_own_error_reaches_the_user(play, tmp_path):
    failure = {"status": "error", "code": "TooLate", "message": "the deadline passed", "hint": "open another round"}
    path = tmp_path / "workspace" / "flower" / "outcome.json"
    writes = LINK.format(seconds=60).replace(
        "time.sleep", f"open({str(path)!r}, 'w').write({json.dumps(failure)!r}); time.sleep"
    )
    with pytest.raises(LearningError, match="ended with TooLate: the deadline passed") as caught:
        play(flower_superlink=writes)
    assert caught.value.hint == "open another round"


def test_each_round_that_is_attested_meanwhile_is_announced_once(play, tmp_path, capsys):
    root = tmp_path / "workspace"
    writes = f"""
import json, pathlib, time
root = pathlib.Path({str(root)!r})
(root / "rounds" / "0001").mkdir(parents=True)
(root / "new").write_text(json.dumps({{"evaluation": {{"accuracy": 0.96491}}}}))
(root / "new").rename(root / "rounds" / "0001" / "attested.json")
time.sleep(1)
(root / "flower" / "outcome.json").write_text('{{"status": "ok"}}')
"""
    link = LINK.format(seconds=60).replace("time.sleep", f"exec({writes!r}); time.sleep")
    play(flower_superlink=link, flwr=FLWR.replace("finished:failed", "running"))
    assert capsys.readouterr().err.splitlines().count("round 1 attested, accuracy 0.9649") == 1


def test_rounds_of_an_earlier_run_are_not_announced_again(tmp_path, capsys):
    workspace = Workspace(tmp_path)
    for number in (1, 2):
        workspace.write_json(workspace.attested(number), {"evaluation": {"accuracy": number / 4}})
    assert runtime._report(workspace, 3, {1}) == {1, 2}
    assert capsys.readouterr().err == "round 2 attested, accuracy 0.5000\n"


def test_a_round_is_announced_in_the_metric_of_the_terms(tmp_path, capsys):
    workspace = Workspace(tmp_path)
    workspace.write_json(workspace.attested(1), {"evaluation": {"accuracy": 0.9, "auroc": 0.75}})
    runtime._report(workspace, 3, set(), "auroc")
    assert capsys.readouterr().err == "round 1 attested, AUROC 0.7500\n"


def test_a_refused_run_says_what_flower_said(play):
    refuses = 'print(\'{"success": false, "error-message": "no such connection"}\'); raise SystemExit(1)'
    with pytest.raises(LearningError, match="flwr run failed: no such connection"):
        play(flower_superlink=LINK.format(seconds=60), flwr=refuses)


def test_the_apps_find_their_files_as_every_command_does(monkeypatch, tmp_path):
    for name in ("COCOGEN_WORKSPACE", "COCOGEN_LEDGER", "COCOGEN_KEYS", "COCOGEN_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert request_from_environment() == Request(None, None, None, False)
    environment = processes.environment(
        Request(None, None, None, False, keys="keys", password_file="word"), Workspace(tmp_path), tmp_path, "embedded"
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = (str(tmp_path), "embedded", str(Path("keys").resolve()), str(Path("word").resolve()))
    found = request_from_environment()
    assert (found.workspace, found.ledger, found.keys, found.password_file) == expected
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"


@pytest.mark.parametrize(("option", "variable"), [("data", None), ("data", "elsewhere"), (None, "data")])
def test_the_nodes_look_for_data_where_this_process_does(monkeypatch, tmp_path, option, variable):
    monkeypatch.delenv("COCOGEN_DATA", raising=False)
    if variable:
        monkeypatch.setenv("COCOGEN_DATA", variable)
    request = Request(None, None, None, False, data_dir=option)
    environment = processes.environment(request, Workspace(tmp_path), tmp_path, "embedded")
    assert environment["COCOGEN_DATA"] == str(Path("data").resolve())


def test_the_outcome_lies_in_the_workspace():
    assert outcome_file(Workspace("w")) == Path("w/flower/outcome.json")
