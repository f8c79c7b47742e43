"""``cocogen run``: the whole job, the same twice, and resumed after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

FIELDS = ("accuracy", "contributions", "transfers", "payoffs", "strategies")


def essence(data: dict) -> list[dict]:
    return [{field: entry[field] for field in FIELDS} for entry in data["rounds"]]


@pytest.mark.slow
def test_run_settles_every_round_and_passes_its_audit(cocogen):
    data = cocogen.json("run clinics.toml --no-study")
    assert [entry["round"] for entry in data["rounds"]] == [1, 2]
    for entry in data["rounds"]:
        assert 0 <= entry["accuracy"] <= 1
        assert entry["epsilon"] <= 1e-6
        transfers = [int(wei) for wei in entry["transfers"].values()]
        assert sum(transfers) == 0
        assert any(transfers)
    assert data["audit"]["status"] == "PASS"
    assert data["ledger"]["backend"] == "embedded"
    assert set(data["welfare"]["baselines"]) == {"vcfl", "wco", "radg"}
    text = cocogen("run clinics.toml --no-study")
    assert "audit: PASS" in text.out
    assert "an earlier run is kept in" in text.err


@pytest.mark.slow
@pytest.mark.parametrize("ledger", ["tester", pytest.param("embedded:chain.sqlite", marks=pytest.mark.deep)])
def test_every_ledger_gives_the_same_accuracies_contributions_and_transfers(cocogen, ledger):
    memory, other = (cocogen.json(f"run clinics.toml --no-study --ledger {kind}") for kind in ("memory", ledger))
    assert essence(other) == essence(memory)


@pytest.mark.slow
def test_two_runs_of_a_seed_differ_in_nothing(cocogen):
    runs = [cocogen.json("run clinics.toml --no-study --ledger memory") for _ in range(2)]
    first, second = (json.dumps(run | {"workspace": ""}, sort_keys=True) for run in runs)
    assert first == second


def test_the_ledger_settles_what_the_plan_predicted_up_to_rounding(cocogen):
    data = cocogen.json("run clinics.toml --no-study --ledger memory")
    unit = int(data["wei_per_unit"])
    solved = cocogen.json("solve clinics.toml")
    for name, wei in data["rounds"][0]["transfers"].items():
        assert wei == solved["transfers_wei"][name]
        # one effective sample of rounding on either side of every pair
        assert abs(int(wei) / unit - solved["transfers"][name]) < data["incentive"] * 6


def test_a_baseline_redistributes_nothing(cocogen, terms):
    terms.write_text(terms.read_text().replace('mechanism = "cocogen+"', 'mechanism = "wco"'))
    data = cocogen.json("run clinics.toml --no-study --ledger memory")
    assert all(wei == "0" for entry in data["rounds"] for wei in entry["transfers"].values())


@pytest.mark.slow
@pytest.mark.parametrize("moment", [pytest.param(n, marks=[] if n == 3 else pytest.mark.deep) for n in range(6)])
def test_killed_at_any_moment_the_same_command_goes_on_to_the_same_result(cocogen, tmp_path, moment):
    expected = essence(cocogen.json("run clinics.toml --no-study --ledger memory"))
    command = [sys.executable, "-m", "cli", "run", "clinics.toml", "--no-study"]
    marks = [
        "deployment.json",
        "rounds/0001/plan.json",
        "rounds/0001/lakeview.bundle",
        "rounds/0001/attested.json",
        "rounds/0002/plan.json",
        "rounds/0002/attested.json",
    ]
    workspace = tmp_path / ".cocogen" / "clinics"
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (workspace / marks[moment]).exists():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    answer = cocogen("run clinics.toml --no-study --format json")
    assert "going on with the unfinished run" in answer.err
    assert essence(answer.data) == expected
    assert answer.data["audit"]["status"] == "PASS"


def test_two_processes_at_once_are_kept_apart(cocogen):
    from cocogen.rounds.workspace import Workspace

    with Workspace(cocogen.folder / ".cocogen" / "clinics").locked():
        error = cocogen.json("run clinics.toml", code=2)
    assert error["code"] == "WorkspaceError"
    assert "in use by another process" in error["message"]


def test_an_unfinished_run_of_other_terms_is_not_overwritten(deployed):
    terms, cocogen = deployed.folder / "clinics.toml", deployed
    terms.write_text(terms.read_text().replace("seed = 7", "seed = 8"))
    error = cocogen.json("run clinics.toml", code=2)
    assert "other terms" in error["message"]
