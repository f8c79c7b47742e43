"""What a researcher types about one market: solve and compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.examples import edited, typed

TRADEFL = Path(__file__).parents[2] / "examples" / "tradefl.toml"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> str:
        found, out, err = typed(*arguments)
        assert found == code, err
        return out

    return run


def _data(text: str) -> dict:
    return json.loads(text)["data"]


def test_a_tradefl_market_is_solved_certified_and_predicted_to_the_wei(run):
    data = _data(run("solve", TRADEFL, "--format", "json"))
    assert data["epsilon"] <= 1e-6
    assert data["efficiency"] == pytest.approx(1.0)
    assert sum(int(wei) for wei in data["transfers_wei"].values()) == 0
    assert min(data["surplus"].values()) > 0
    for name, wei in data["transfers_wei"].items():
        assert int(wei) / 10**18 == pytest.approx(data["transfers"][name], abs=1e-6)
        assert set(data["strategies"][name]) == {"data_fraction", "compute"}


@pytest.mark.parametrize("method", ["benders", "best-response", "improvement"])
def test_every_exact_method_certifies_its_own_equilibrium(run, method):
    data = _data(run("solve", TRADEFL, "--method", method, "--format", "json"))
    assert data["method"] == method
    assert data["epsilon"] <= 1e-6
    assert data["gap"] >= -1e-9


@pytest.mark.parametrize(("method", "hint"), [("fixed-point", "benders"), ("enumeration", "benders")])
def test_a_method_outside_its_domain_names_one_that_is_not(run, method, hint):
    answer = json.loads(run("solve", TRADEFL, "--method", method, "--format", "json", code=2))
    assert answer["error"]["code"] == "SolverError"
    assert hint in answer["error"]["hint"]


def test_the_solution_is_shown_with_strategies_money_and_surplus(run):
    text = run("solve", TRADEFL)
    assert "over alone" in text
    assert "org-9" in text
    assert "epsilon" in text


def test_a_comparison_shows_every_scheme_and_who_loses(run, tmp_path):
    data = _data(run("compare", TRADEFL, "--format", "json", "--figure", tmp_path / "compared.png"))
    schemes = {(scheme["name"], scheme["rule"]): scheme for scheme in data["schemes"]}
    assert {name for name, _ in schemes} == {"tradefl", "wpr", "gca", "tos", "planner"}
    best = schemes["tradefl", "optimal, equal-surplus"]
    assert best["improvement"] == pytest.approx(1.0, abs=1e-4)
    assert best["loses"] == []
    assert schemes["wpr", ""]["loses"] == ["org-9"]
    assert data["price_of_anarchy"] > 1.0
    assert len(data["rational_incentives"]) == 1
    assert (tmp_path / "compared.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_comparison_reads_as_tables(run):
    text = run("compare", TRADEFL)
    for words in ("one round under every scheme", "surplus over going alone", "rational strengths", "price of anarchy"):
        assert words in text


def test_a_figure_of_an_unknown_kind_is_refused(run, tmp_path):
    answer = json.loads(run("compare", TRADEFL, "--format", "json", "--figure", tmp_path / "compared.doc", code=2))
    assert ".png" in answer["error"]["hint"]


@pytest.mark.parametrize("command", ["run", "deploy"])
def test_a_tradefl_market_is_not_run(run, command):
    answer = json.loads(run(command, TRADEFL, "--format", "json", code=2))
    assert "cannot be deployed or run" in answer["error"]["message"]


@pytest.mark.parametrize("command", ["solve", "compare"])
def test_a_missing_terms_file_is_named(run, command):
    assert "none.toml" in json.loads(run(command, "none.toml", "--format", "json", code=2))["error"]["message"]
    assert "no terms file" in json.loads(run(command, "--format", "json", code=2))["error"]["message"]


@pytest.mark.slow
def test_terms_that_state_addresses_are_solved_without_anybodys_key(run, tmp_path):
    stated = ('name = "north"\n', f'name = "north"\naddress = "0x{7:040x}"\n')
    edited(tmp_path / "clinics.toml", stated, ("pretraining_rounds = 30", "pretraining_rounds = 2"))
    assert _data(run("solve", tmp_path / "clinics.toml", "--format", "json"))["epsilon"] <= 1e-6
