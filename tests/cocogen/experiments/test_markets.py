from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import ConfigurationError, InvalidAccuracy
from cocogen.experiments.dilution import DilutedPowerLaw
from cocogen.experiments.markets import cocogen_market, tradefl_market
from cocogen.game.accuracy import PowerLaw, check_accuracy
from cocogen.game.coopetition import admissible_scale
from cocogen.mechanisms import build_game


@pytest.mark.parametrize("seed", range(5))
def test_a_table_ii_market_keeps_to_its_ranges_and_is_stable(seed):
    market = tradefl_market(np.random.default_rng(seed))
    assert market.size == 10
    assert ((market.profitability >= 500.0) & (market.profitability <= 2500.0)).all()
    assert ((market.bits >= 15e9) & (market.bits <= 25e9)).all()
    assert ((market.samples >= 1000) & (market.samples <= 2000)).all()
    assert market.compute_levels[0] == 3e9
    assert market.compute_levels[-1] == 5e9
    assert (np.diagonal(market.competition) == 0.0).all()
    game = market.game(5.12e-9)
    assert (game.potential_weights > 0.0).all()
    assert game.family.minimum_fraction == 0.01


def test_competition_is_scaled_only_where_a_market_would_be_unstable():
    calm = tradefl_market(np.random.default_rng(0), mean_competition=0.01).competition
    off_diagonal = calm[~np.eye(10, dtype=bool)]
    assert 0.008 < off_diagonal.mean() < 0.012
    fierce = tradefl_market(np.random.default_rng(0), mean_competition=0.5)
    assert admissible_scale(fierce.profitability, fierce.competition) == pytest.approx(1.0 / 0.95)


@pytest.mark.parametrize("draw", [tradefl_market, cocogen_market])
def test_a_share_of_the_admissible_competition_is_that_share(draw):
    market = draw(np.random.default_rng(1))
    scaled = market.competition_at(0.5)
    assert admissible_scale(market.profitability, scaled) == pytest.approx(2.0)


def test_overhead_and_competition_replace_the_markets_own():
    market = tradefl_market(np.random.default_rng(1))
    game = market.game(0.0, overhead_weight=0.7, competition=np.zeros((10, 10)))
    assert game.family.overhead_weight == 0.7
    np.testing.assert_array_equal(game.damage_weights, np.zeros(10))


@pytest.mark.parametrize("seed", range(5))
def test_a_cocogen_market_is_symmetric_stable_and_follows_the_uniform_rule(seed):
    market = cocogen_market(np.random.default_rng(seed))
    np.testing.assert_array_equal(market.competition, market.competition.T)
    game = build_game(market.market(0.5))
    assert (game.potential_weights > 0.0).all()
    np.testing.assert_allclose(game.score_rates, 0.5 * market.competition.sum(axis=1))
    np.testing.assert_allclose(game.transfers(np.zeros(market.size)), 0.0, atol=1e-9)


def test_a_costlier_market_scales_both_costs():
    market = cocogen_market(np.random.default_rng(0))
    dear = market.market(cost_factor=3.0).resources
    np.testing.assert_allclose(dear.cost_linear, 3.0 * market.cost_linear)
    np.testing.assert_allclose(dear.cost_quadratic, 3.0 * market.cost_quadratic)


def test_diluted_heterogeneity_vanishes_as_samples_are_pooled():
    law = PowerLaw(1.0, 4.0, 0.5)
    diluted = DilutedPowerLaw(law, 1000.0, 0.4)
    assert float(diluted.value(1000.0)) == pytest.approx(0.8 * float(law.value(1000.0)))
    assert float(diluted.value(1e12)) == pytest.approx(float(law.value(1e12)), abs=1e-8)
    check_accuracy(diluted, 50.0, 1e5)


def test_diluted_derivatives_are_those_of_the_value():
    diluted = DilutedPowerLaw(PowerLaw(1.0, 4.0, 0.5), 1000.0, 0.4)
    omega, step = np.array([200.0, 1500.0]), 1e-3
    slope = (diluted.value(omega + step) - diluted.value(omega - step)) / (2.0 * step)
    np.testing.assert_allclose(diluted.derivative(omega), slope, rtol=1e-6)
    bend = (diluted.derivative(omega + step) - diluted.derivative(omega - step)) / (2.0 * step)
    np.testing.assert_allclose(diluted.second_derivative(omega), bend, rtol=1e-6)


def test_a_dilution_out_of_range_is_refused():
    with pytest.raises(ConfigurationError, match="half_dose"):
        DilutedPowerLaw(PowerLaw(), 0.0)
    with pytest.raises(InvalidAccuracy, match="heterogeneity"):
        DilutedPowerLaw(PowerLaw(), 10.0).with_heterogeneity(1.0)
