"""``cocogen experiment`` from the outside."""

from __future__ import annotations

import json
from functools import partial

import pytest

from cli.experiment import _STUDIES
from cocogen.experiments.studies import STUDIES
from tests.examples import typed

QUICK = ("--only", "generation-by-heterogeneity", "--seeds", "2", "--jobs", "1")


run = partial(typed, "experiment")


def test_the_studies_offered_are_the_studies_there_are():
    assert tuple(STUDIES) == _STUDIES


def test_a_study_prints_verdicts_and_says_where_the_files_are(tmp_path):
    code, out, err = run("cocogen", *QUICK, "--output", str(tmp_path / "out"))
    assert code == 0
    assert "opposite" in out
    assert "milder heterogeneity raises generation" in out
    assert str(tmp_path / "out") in out
    assert "quote nothing from fewer than 10" in err
    assert (tmp_path / "out" / "generation-by-heterogeneity.png").exists()


def test_json_is_one_envelope_with_claims_and_files(tmp_path):
    code, out, _ = run("cocogen", *QUICK, "--output", str(tmp_path), "--format", "json")
    assert code == 0
    data = json.loads(out)["data"]
    assert data["seeds"] == 2
    assert {claim["verdict"] for claim in data["claims"]} <= {"reproduced", "not reproduced", "opposite"}
    assert all(claim["low"] <= claim["ours"] <= claim["high"] for claim in data["claims"])
    assert sorted(data["files"]) == sorted(str(path) for path in tmp_path.iterdir())


def test_the_default_folder_is_beside_the_workspaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, _ = run("cocogen", *QUICK)
    assert code == 0
    assert (tmp_path / ".cocogen" / "experiments" / "cocogen" / "claims.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("iterl",), "'iterl' is not one of"),
        (("cocogen", "--seeds", "1"), "1 is not in the range"),
        (("cocogen", "--jobs", "0"), "0 is not in the range"),
        (("cocogen", "--seed", "-1"), "-1 is not in the range"),
        ((), "Missing argument"),
    ],
)
def test_bad_arguments_are_usage_errors(arguments, message):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert message in err


def test_an_unknown_experiment_is_refused_with_the_known_ones(tmp_path):
    code, _, err = run("tradefl", "--only", "sweep", "--output", str(tmp_path / "out"))
    assert code == 2
    assert "incentive-sweep" in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("here")
    code, out, _ = run("cocogen", *QUICK, "--output", str(blocked / "below"), "--format", "json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "WorkspaceError"


def test_an_interruption_exits_with_130_and_keeps_what_is_finished(tmp_path, monkeypatch):
    from cocogen.experiments import studies
    from cocogen.experiments.study import Experiment

    def interrupt(rng, points):
        raise KeyboardInterrupt

    first = studies.select("cocogen", ["generation-by-heterogeneity"])[0]
    second = Experiment("second", "t", ("x",), interrupt, first.judge, first.draw)
    monkeypatch.setitem(studies.STUDIES, "cocogen", (first, second))
    code, _, err = run("cocogen", "--seeds", "2", "--jobs", "1", "--output", str(tmp_path))
    assert code == 130
    assert "interrupted" in err
    assert {path.name for path in tmp_path.iterdir()} == {
        "generation-by-heterogeneity.csv",
        "generation-by-heterogeneity.png",
        "claims.csv",
        "claims.json",
        "claims.md",
    }
