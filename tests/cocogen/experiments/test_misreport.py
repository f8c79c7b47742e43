from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import NoRationalIncentive
from cocogen.experiments import misreport
from cocogen.experiments.markets import cocogen_market
from cocogen.experiments.misreport import misreported
from cocogen.game.rationality import outside_options
from cocogen.mechanisms import build_game


@pytest.fixture
def market():
    return cocogen_market(np.random.default_rng(2), size=4)


@pytest.mark.parametrize(
    ("field", "arrays"),
    [
        ("profitability", ("profitability",)),
        ("cost", ("cost_linear", "cost_quadratic")),
        ("competition", ("competition",)),
    ],
)
def test_a_misreport_changes_one_organizations_values_and_not_the_market(market, field, arrays):
    before = {name: getattr(market, name).copy() for name in arrays}
    lie = misreported(market, field, 1, 0.5)
    for name in arrays:
        np.testing.assert_allclose(getattr(lie, name)[1], 0.5 * before[name][1])
        np.testing.assert_array_equal(np.delete(getattr(lie, name), 1, 0), np.delete(before[name], 1, 0))
        np.testing.assert_array_equal(getattr(market, name), before[name])
    assert lie.local is market.local


def test_reported_competition_stays_a_share(market):
    assert misreported(market, "competition", 0, 1e6).competition.max() == 1.0


@pytest.mark.parametrize("rule", ["uniform", "optimal"])
def test_the_truth_gains_nothing(market, rule, monkeypatch):
    monkeypatch.setattr(misreport, "FACTORS", (1.0,))
    monkeypatch.setattr(misreport, "_FIELDS", ("cost",))
    monkeypatch.setattr(misreport, "_SIZE", 3)
    monkeypatch.setattr(misreport, "_RULES", {rule: misreport._RULES[rule]})
    rows = misreport._measure(np.random.default_rng(0), 5)
    assert len(rows) == 3
    for *_, gain, relative, more, agreed in rows:
        assert gain == pytest.approx(0.0, abs=1e-9)
        assert relative == pytest.approx(0.0, abs=1e-12)
        assert more == pytest.approx(0.0, abs=1e-6)
        assert agreed == 1


def test_without_an_agreement_everyone_earns_its_outside_option(market):
    true = build_game(market.market(0.0))
    outside = outside_options(true)

    def refuse(reported):
        raise NoRationalIncentive("none")

    payoffs, more, agreed = misreport._settled(refuse, market, true, outside)
    np.testing.assert_array_equal(payoffs, outside)
    np.testing.assert_array_equal(more, np.zeros(4))
    assert agreed == 0


def test_payoffs_are_those_of_the_true_market(market):
    true = build_game(market.market(0.0))
    lie = misreported(market, "profitability", 0, 0.5)
    rule, strategies = misreport._optimal(lie)
    payoffs, _, agreed = misreport._settled(misreport._optimal, lie, true, outside_options(true))
    assert agreed == 1
    np.testing.assert_allclose(payoffs, true.with_redistribution(rule).payoffs(strategies))
