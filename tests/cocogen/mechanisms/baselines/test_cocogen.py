from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import ConfigurationError
from cocogen.mechanisms import BASELINES, MECHANISMS, UNPAID, build_game, mechanism


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_redistribute_nothing_and_are_judged_in_the_true_market(golden_games, name):
    market = golden_games[0].market
    plan = mechanism(name).plan(market, np.random.default_rng(0))
    true_market = build_game(market, redistributed=False)
    np.testing.assert_array_equal(plan.transfers, np.zeros(market.size))
    np.testing.assert_array_equal(plan.payoffs, true_market.payoffs(plan.strategies))
    assert plan.welfare == plan.payoffs.sum()
    assert plan.efficiency < 1.0
    assert plan.equilibrium is None
    assert plan.mechanism == name


def test_vcfl_generates_nothing(golden_games):
    plan = mechanism("vcfl").plan(golden_games[0].market, np.random.default_rng(0))
    np.testing.assert_array_equal(plan.strategies, np.zeros(plan.strategies.size))
    np.testing.assert_array_equal(plan.profile.raw, np.zeros(plan.strategies.size))
    assert plan.profile.data.sum() == golden_games[0].market.resources.local.sum()


def test_wco_satisfies_the_kkt_condition_of_a_market_without_competition(golden_games):
    market = golden_games[0].market
    plan = mechanism("wco").plan(market, np.random.default_rng(0))
    game = build_game(market)
    slope = float(game.accuracy.derivative(game.effective_samples(plan.strategies).sum()))
    marginal = market.profitability * market.resources.quality * slope - market.resources.cost_linear
    np.testing.assert_allclose(
        plan.strategies, np.clip(marginal / market.resources.cost_quadratic, 0.0, market.resources.maximum), rtol=1e-9
    )
    assert plan.strategies.max() > 1.0
    assert plan.epsilon > 1e-9


def test_radg_draws_uniform_amounts_from_the_passed_generator(golden_games):
    market = golden_games[0].market
    draws = [mechanism("radg").plan(market, np.random.default_rng(seed)).strategies for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    many = np.concatenate(
        [mechanism("radg").plan(market, np.random.default_rng(seed)).strategies for seed in range(40)]
    )
    assert many.min() >= 0.0
    assert many.max() <= 400.0
    assert 170.0 < many.mean() < 230.0


def test_deterministic_rules_leave_the_generator_untouched(golden_games):
    for name in ("cocogen+", "vcfl", "wco"):
        rng = np.random.default_rng(3)
        mechanism(name).plan(golden_games[0].market, rng)
        assert rng.uniform() == np.random.default_rng(3).uniform()


def test_mechanisms_are_found_by_their_own_names():
    assert set(MECHANISMS) == {"cocogen+", "tradefl", *UNPAID}
    assert set(BASELINES) < set(UNPAID)
    assert all(mechanism(name).name == name for name in MECHANISMS)


def test_an_unknown_mechanism_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"cocogen\+, cocogen, tradefl, vcfl, wco, radg"):
        mechanism("auction")
