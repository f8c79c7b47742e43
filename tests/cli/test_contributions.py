"""``cocogen contributions`` on a round that was really played and settled."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path

import pytest

from tests.examples import SHORT, edited, typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
CLINICS = ["north", "harbor", "riverside", "hillside", "meadow", "lakeview"]


@pytest.fixture(scope="session")
def finished(once) -> Path:
    """A folder with two settled rounds of the example, trained for a moment only."""

    def fill(folder: Path) -> None:
        edits = ("rounds = 5", "rounds = 2"), ("local_epochs = 5", "local_epochs = 2")
        edited(folder / "clinics.toml", *edits, *SHORT[1:])
        with contextlib.chdir(folder):
            assert typed("run", "clinics.toml", "--no-study")[0] == 0

    return once("finished", fill)


@pytest.fixture
def workspace(finished, once, tmp_path, monkeypatch) -> Path:
    """A copy of it, to work and to break things in."""
    once.copy(finished, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".cocogen" / "clinics"


run = partial(typed, "contributions", "--workspace", ".cocogen/clinics")


def as_json(*arguments: str):
    code, out, _ = run(*arguments, "--format", "json")
    assert code == 0, out
    return json.loads(out)["data"]


def test_the_last_round_is_divided_exactly(workspace) -> None:
    data = as_json()
    assert (data["round"], data["status"], data["score"], data["exact"]) == (2, "settled", "loss", True)
    assert data["evaluations"] == 2**6
    assert data["permutations"] == data["truncated"] == 0
    entries = data["organizations"]
    assert list(entries) == CLINICS
    assert sum(e["shapley"] for e in entries.values()) == pytest.approx(data["value_of_all"] - data["value_of_none"])
    assert sum(e["resource_share"] for e in entries.values()) == pytest.approx(1)
    attested = json.loads((workspace / "rounds" / "0002" / "attested.json").read_text())
    report = json.loads((workspace / "report.json").read_text())["rounds"][1]
    for entry, name, document in zip(entries.values(), CLINICS, attested["documents"], strict=True):
        assert entry["leave_one_out"] == document["measurement"]["gain"]
        assert entry["resources"] == document["measurement"]["data"] + document["measurement"]["generated"]
        assert entry["transfer"] == report["transfers"][name]
        assert {k: entry[k] for k in ("data", "generated", "compute")} == report["contributions"][name]
        assert entry["standard_error"] == 0


def test_the_text_is_a_table_of_all_organizations(workspace) -> None:
    code, out, err = run("--round", "1")
    assert code == 0
    assert "what round 1 owes to whom (exact Shapley)" in out
    assert all(f" {name} " in out for name in CLINICS)
    assert out.count(" exact ") == 6
    assert "64 coalitions evaluated" in out
    assert "evaluating coalitions" in err


@pytest.mark.parametrize("method", ["guided", pytest.param("monte-carlo", marks=pytest.mark.slow)])
def test_sampled_values_agree_with_the_exact_ones(workspace, method: str) -> None:
    exact = as_json("--round", "1", "--score", "accuracy")["organizations"]
    options = ("--round", "1", "--score", "accuracy", "--method", method, "--tolerance", "0", "--evaluations", "600")
    sampled = as_json(*options)
    assert not sampled["exact"]
    assert sampled["permutations"] >= 600
    for name, entry in sampled["organizations"].items():
        assert abs(entry["shapley"] - exact[name]["shapley"]) <= 4 * entry["standard_error"] + 1e-12
        assert entry["standard_error"] > 0


def test_a_score_is_named_as_the_metric_that_it_is(workspace) -> None:
    code, out, _ = run("--round", "1", "--score", "auroc")
    assert code == 0
    assert "Values are AUROC on" in " ".join(out.split())


@pytest.mark.slow
def test_samples_follow_from_the_seed(workspace) -> None:
    options = ("--round", "1", "--method", "guided", "--evaluations", "60")
    first, same, other = (as_json(*options, *seed) for seed in ((), (), ("--seed", "1")))
    assert first == same != other


@pytest.mark.slow
def test_sampling_ends_at_the_wanted_standard_error(workspace) -> None:
    options = ("--round", "1", "--method", "guided", "--evaluations", "100000", "--standard-error")
    coarse, fine = (as_json(*options, bound) for bound in ("0.01", "0.0002"))
    assert coarse["permutations"] < fine["permutations"] < 100000
    assert max(entry["standard_error"] for entry in fine["organizations"].values()) <= 0.0002


def test_a_round_or_a_bundle_that_is_not_there_is_a_typed_error(workspace) -> None:
    code, _, err = run("--round", "3")
    assert code == 2
    assert "round 3 of" in err
    assert "rounds 1, 2" in err
    (workspace / "rounds" / "0002" / "harbor.bundle").unlink()
    code, out, _ = run("--format", "json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "WorkspaceError"
    assert "harbor.bundle is not there" in json.loads(out)["error"]["message"]


def test_without_a_deployment_it_says_what_to_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run()
    assert code == 2
    assert "deploy" in err


def test_an_organization_that_was_left_out_is_shown_with_the_reason(workspace, monkeypatch) -> None:
    from dataclasses import replace

    from cocogen.rounds import recorded
    from cocogen.rounds.history import History

    original, look_up = History.attested, recorded._outcome

    def without_meadow(self, number):
        attested = original(self, number)
        contributions = [
            None if name == "meadow" else c for name, c in zip(CLINICS, attested.contributions, strict=True)
        ]
        return replace(attested, contributions=tuple(contributions), rejected={"meadow": "it did not move"})

    def nor_on_the_ledger(*given):
        outcome = look_up(*given)
        meadow = CLINICS.index("meadow")
        kept = tuple(None if n == meadow else c for n, c in enumerate(outcome.contributions))
        return replace(outcome, contributions=kept)

    monkeypatch.setattr(History, "attested", without_meadow)
    monkeypatch.setattr(recorded, "_outcome", nor_on_the_ledger)
    entry = as_json("--round", "1")["organizations"]["meadow"]
    assert (entry["contributed"], entry["reason"]) == (False, "it did not move")
    code, out, _ = run("--round", "1")
    assert code == 0
    assert "meadow was left out: it did not move" in out
    assert "32 coalitions evaluated" in out


def test_a_round_that_was_not_paid_shows_no_transfer(workspace, monkeypatch) -> None:
    from dataclasses import replace

    from cocogen.rounds import recorded

    original = recorded._outcome
    monkeypatch.setattr(recorded, "_outcome", lambda *given: replace(original(*given), status="voided"))
    assert all(entry["transfer"] is None for entry in as_json()["organizations"].values())
