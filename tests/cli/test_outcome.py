"""The last screen of a run: what happened, where it lies and what to type next, in 80 x 24 and without a cut amount."""

from __future__ import annotations

import copy
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cli import outcome, output
from tests.examples import SHORT, edited

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
NET = (535_345871178920961, 687_391555657459487, -1240_829131927018187, 477_544617117171616, 147_665952357604414,
       -607_118864384138291)  # fmt: skip


def finished(names=NAMES, net=NET, scale: int = 1) -> dict:
    """What ``run`` has to say after five rounds in which those below 0 paid those above."""
    payers = [(name, -wei * scale) for name, wei in zip(names, net, strict=True) if wei < 0]
    payees = [(name, wei * scale) for name, wei in zip(names, net, strict=True) if wei > 0]
    pairs = [
        {"payer": payer, "payee": payee, "wei": str(owed * due // sum(d for _, d in payees))}
        for payer, owed in payers
        for payee, due in payees
    ]
    return {
        "consortium": "clinics",
        "mechanism": "cocogen+",
        "workspace": ".cocogen/clinics",
        "incentive": 3.759,
        "wei_per_unit": str(10**15),
        "rounds": [
            {"round": number, "status": "settled", "accuracy": 0.9737, "rejected": {}, "transfers": {}}
            for number in range(1, 6)
        ],
        "organizations": {
            name: {"transfers": str(wei * scale), "balance": "1"} for name, wei in zip(names, net, strict=True)
        },
        "privacy": None,
        "study": {
            "splits": 5,
            "mean": {"federated": 0.9684, "no_generation": 0.9666, "alone": 0.8560},
        },
        "memorization": {"flagged": [], "checked": 30, "worst": None},
        "audit": {
            "status": "PASS",
            "checks": [
                {"name": name, "status": "PASS", "detail": "as it should be"} for name in ("code", "terms", "events")
            ]
            + [{"name": "cross-check", "status": "SKIPPED", "detail": "no second node was asked"}],
            "accounting": {
                "rounds": 5,
                "organizations": {
                    name: {"paid": str(max(0, -wei * scale)), "received": str(max(0, wei * scale))}
                    for name, wei in zip(names, net, strict=True)
                },
                "pairs": pairs,
            },
        },
    }


def screen(data: dict, **options) -> list[str]:
    lines = outcome.summary(data, "examples/clinics.toml", **{"kept": True, **options})
    assert len(lines) <= 23
    assert [line for line in lines if len(line) > outcome.WIDTH] == []
    return lines


def test_it_says_who_paid_whom_how_good_alone_and_together_the_verdict_the_place_and_what_to_type():
    text = "\n".join(screen(finished()))
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()[:1]}
    assert rows["riverside"] == ["1,240.829131", "0.000000", "-1,240.829131", "to", "harbor"]
    assert rows["harbor"] == ["0.000000", "687.391555", "+687.391555", "from", "riverside"]
    assert "accuracy: 0.9684 together (0.9666 without generation), 0.8560 alone" in text
    assert "audit: PASS, 3 of 4 checks passed; skipped: cross-check" in text
    assert ".cocogen/clinics/report.json" in text
    assert "next: cocogen audit --workspace .cocogen/clinics" in text


@pytest.mark.parametrize("count", [2, 6, 7, 100])
@pytest.mark.parametrize("letters", [1, 32])
@pytest.mark.parametrize("scale", [1, 10**9, 10**21])
def test_any_consortium_fits_the_screen_and_no_amount_is_cut(count, letters, scale):
    names = tuple(f"{k:0{letters}d}" if letters > 2 else f"n{k}" for k in range(count))
    net = tuple((-1) ** k * (10**18 + k // 2) for k in range(count))
    data = finished(names, net, scale)
    data["rounds"][1]["status"] = "void"
    data["rounds"][2]["rejected"] = dict.fromkeys(names, "no evidence " * 40)
    data["privacy"] = {"epsilon": dict.fromkeys(names, 3.2), "delta": 1e-6}
    data["audit"]["status"] = "FAIL"
    data["audit"]["checks"][1] |= {"status": "FAIL", "detail": "d" * 500}
    lines = screen(data)
    amounts = {output.units(wei * scale, 10**15) for wei in net}
    table = lines[2 : next(k for k, line in enumerate(lines) if line.startswith("in units of"))]
    found = [re.search(r"[+-][\d,.]+", line).group().lstrip("+") for line in table[1:] if not line.startswith("and ")]
    assert len(found) == min(count, 6 if count <= 6 else 5)
    assert set(found) <= amounts


def test_an_amount_as_long_as_the_line_is_shown_whole():
    data = finished(scale=10**50)
    lines = outcome.summary(data, "t.toml", kept=True)
    for wei in NET:
        assert any(output.units(wei * 10**50, 10**15) in line for line in lines)


def test_without_the_study_or_an_accounting_it_says_so():
    data = finished() | {"study": None}
    data["audit"]["accounting"] = None
    text = "\n".join(screen(data))
    assert "0.9737 together, on test data; alone: not compared (--no-study)" in text
    assert "-1,240.829131" in text
    for entry in data["rounds"]:
        entry["accuracy"] = None
    assert "no round was evaluated" in "\n".join(screen(data))


@pytest.mark.parametrize(
    ("metric", "field", "words"),
    [("auroc", "auroc", "AUROC"), ("balanced-accuracy", "balanced_accuracy", "balanced accuracy")],
)
def test_the_screen_and_its_details_are_in_the_metric_of_the_terms(metric, field, words):
    data = finished() | {"metric": metric}
    assert f"{words}: 0.9684 together (0.9666 without generation), 0.8560 alone" in screen(data)
    for entry in data["rounds"]:
        entry |= {field: 0.8125, "interval": [0.75, 0.875]}
    text = " ".join(" ".join(screen(data | {"study": None})).split())
    assert f"{words}: 0.8125 together, on test data (0.750 to 0.875 at 95 %); alone: not compared" in text
    for entry in data["rounds"]:
        entry[field] = None
    assert f"{words}: no round was evaluated" in screen(data | {"study": None})


def told(together: float, alone: float) -> dict:
    model = {"together": together, "alone": alone}
    return {"rows": 40} | {name: {"value": value, "interval": [0.5, 0.99]} for name, value in model.items()}


def test_what_cooperation_is_worth_on_own_patients_is_one_line_of_the_screen():
    data = finished()
    assert "own patients" not in " ".join(screen(data))
    data["rounds"][3]["own_patients"] = {"north": told(0.9, 0.8), "harbor": told(0.7, 0.8), "meadow": None}
    assert "own patients: together better than alone at 1 of 2 organizations, withheld by 1" in " ".join(screen(data))
    data["rounds"][3]["own_patients"] = {"north": None, "harbor": None}
    assert "own patients: withheld by all 2 organizations, as some of their counts" in " ".join(screen(data))
    assert "together better" not in " ".join(screen(data))


def test_one_fold_is_no_mean_of_folds():
    data = finished()
    assert "on test data, the mean of 5 folds" in " ".join(screen(data))
    data["study"]["splits"] = 1
    assert "folds" not in " ".join(screen(data))
    assert "on test data" in " ".join(screen(data))


def test_a_failed_check_and_a_void_round_are_said_before_anything_is_recommended():
    data = finished()
    data["rounds"][3]["status"] = "void"
    data["audit"]["status"] = "FAIL"
    data["audit"]["checks"][1] |= {"status": "FAIL", "detail": "a liability was altered"}
    text = "\n".join(screen(data))
    assert "4 of 5 rounds settled" in text
    assert "not settled: round 4" in text
    assert "audit: FAIL, 2 of 4 checks passed\n  terms FAIL: a liability was altered" in text


def test_a_ledger_in_memory_leaves_nothing_to_type_but_the_same_again():
    text = "\n".join(screen(finished(), kept=False))
    assert "nothing is kept" in text
    assert "run examples/clinics.toml --verbose" in text
    assert "report.json" not in text
    assert "audit --workspace" not in text


def test_the_audit_is_told_where_the_run_was_told_to_find_the_data():
    assert any(
        line.endswith("--data-dir 'my data'") and " audit " in line for line in screen(finished(), data_dir="my data")
    )
    assert not any("--data-dir" in line for line in screen(finished()))


def test_what_a_stranger_supplies_is_one_printable_line():
    data = finished()
    data["rounds"][0]["rejected"] = {"north": "\x1b[2J\r\nnorth: accepted"}
    line = next(line for line in screen(data) if "left out" in line)
    assert line.isprintable()


def test_details_come_only_when_asked_for_and_before_the_screen(capsys, monkeypatch):
    monkeypatch.setattr(outcome, "_details", lambda _data: output.say("every table"))
    outcome.show(finished(), "t.toml", kept=True, verbose=False)
    brief = capsys.readouterr().out
    assert "every table" not in brief
    outcome.show(finished(), "t.toml", kept=True, verbose=True)
    assert capsys.readouterr().out == f"every table\n\n{brief}"


def test_the_command_is_named_as_it_can_be_typed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / ".venv" / "bin" / "cocogen"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "run"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert "next: .venv/bin/cocogen audit" in "\n".join(screen(finished()))
    monkeypatch.setenv("PATH", str(program.parent))
    assert "next: cocogen audit" in "\n".join(screen(finished()))


def in_terminal(arguments: list[str], folder: Path) -> tuple[int, bytes]:
    """Run ``cocogen`` in a terminal of 80 x 24; its exit code, and every byte that it wrote."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm", "PYTHONPATH": str(EXAMPLE.parents[1])},
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    os.close(terminal)
    return process.wait(), written


@pytest.mark.slow
def test_a_run_in_a_terminal_moves_at_once_and_ends_in_one_screen(tmp_path):
    edited(tmp_path / "clinics.toml", ("rounds = 5", "rounds = 2"), *SHORT)
    code, written = in_terminal(["run", "clinics.toml", "--no-study"], tmp_path)
    assert code == 0, written.decode(errors="replace")
    lines = written.decode().replace("\r\n", "\n").splitlines()
    begin = max(k for k, line in enumerate(lines) if "clinics: 2 rounds settled" in line)
    last = lines[begin:]
    assert len(last) <= 23
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in last]
    assert [line for line in plain if len(line) > 80 or "…" in line] == []
    assert any(line.startswith("audit: PASS") for line in plain)
    assert plain[-2].startswith("next: ")
    # Notes stand on lines of their own, above the bars.
    for number in (1, 2):
        (noted,) = [line for line in lines if f"round {number} of 2 settled" in line]
        assert re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", noted).startswith(f"round {number} of 2 settled, accuracy")


def test_the_first_line_comes_before_anything_heavy_is_loaded():
    script = (
        "import sys\n"
        "class Watch:\n"
        "    def write(self, text):\n"
        "        if text.strip():\n"
        "            sys.__stdout__.write(repr((text, sorted({'torch', 'web3', 'pydantic', 'rich', 'numpy', 'chain'}\n"
        "                & set(sys.modules)))) + '\\n')\n"
        "    def flush(self): pass\n"
        "    def isatty(self): return False\n"
        "    encoding = 'utf-8'\n"
        "sys.stderr = Watch()\n"
        "from cli.main import main\n"
        "main(['run', 'none.toml'])\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.splitlines()
    text, loaded = eval(shown[0])
    assert "loading" in text
    assert loaded == []


def test_a_json_answer_is_not_disturbed_by_the_announcement(tmp_path):
    command = [sys.executable, "-m", "cli", "run", str(tmp_path / "none.toml"), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLE.parents[1])
    assert json.loads(done.stdout)["error"]["code"] == "ConfigurationError"
    assert "loading" in done.stderr


def test_data_is_not_changed_by_showing_it():
    data = finished()
    before = copy.deepcopy(data)
    outcome.summary(data, "t.toml", kept=True)
    assert data == before
