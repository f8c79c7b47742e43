from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.game.competition import DenseCompetition, UniformCompetition
from cocogen.game.redistribution import Redistribution

RHO = np.array([[0.0, 0.1, 0.0], [0.3, 0.0, 0.2], [0.4, 0.0, 0.0]])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_property_transfers_sum_to_zero(make_game, seed):
    game = make_game(seed, size=3 + seed % 20, weighted=True)
    rng = np.random.default_rng(seed)
    transfers = game.transfers(rng.uniform(0.0, 400.0, game.size))
    assert abs(transfers.sum()) <= 1e-12 * np.abs(transfers).sum()
    assert np.abs(transfers).max() > 0.0


def test_transfers_follow_the_pairwise_definition_with_asymmetric_competition():
    rule = Redistribution(DenseCompetition(RHO).scaled(2.0), [1.0, 2.0, 0.5], [0.0, -10.0, 5.0])
    x = np.array([10.0, 20.0, 30.0])
    scores = [10.0, 30.0, 20.0]
    expected = [sum(2.0 * (RHO[n, m] + RHO[m, n]) / 2 * (scores[n] - scores[m]) for m in range(3)) for n in range(3)]
    np.testing.assert_allclose(rule.transfers(x), expected, atol=1e-13)


def test_the_uniform_rule_pays_nothing_for_registered_data():
    local = np.array([300.0, 100.0, 200.0])
    rule = Redistribution.uniform(RHO, 5.0, local)
    np.testing.assert_array_equal(rule.scores(local), np.zeros(3))
    np.testing.assert_array_equal(rule.transfers(local), np.zeros(3))


def test_marginal_rates_are_the_derivatives_of_own_transfers():
    rule = Redistribution(DenseCompetition(RHO).scaled(2.0), [1.0, 2.0, 0.5], 0.0)
    x = np.array([10.0, 20.0, 30.0])
    for n in range(3):
        moved = x + 8.0 * (np.arange(3) == n)
        change = rule.transfers(moved)[n] - rule.transfers(x)[n]
        assert change == pytest.approx(8.0 * rule.marginal_rates()[n], rel=1e-12)


def test_no_redistribution_moves_no_money():
    np.testing.assert_array_equal(Redistribution.none(3).transfers(np.array([1.0, 2.0, 3.0])), np.zeros(3))


def test_decoded_terms_among_participants_leave_the_absent_out(golden_games):
    market = golden_games[1].market
    here = np.arange(market.size) != 2
    x = np.random.default_rng(5).uniform(100.0, 900.0, market.size)
    decoded = market.decoded
    scores = decoded.score_offsets + decoded.score_weights * x
    expected = [
        sum(decoded.rates[n, m] * (scores[n] - scores[m]) for m in np.flatnonzero(here)) for n in np.flatnonzero(here)
    ]
    np.testing.assert_allclose(Redistribution.from_decoded(decoded, here).transfers(x[here]), expected, rtol=1e-10)


@pytest.mark.parametrize(("weights", "offsets"), [([1.0, -0.1], 0.0), (1.0, [0.0, np.nan]), ([1.0, 1.0, 1.0], 0.0)])
def test_malformed_scores_are_refused(weights, offsets):
    with pytest.raises(ConfigurationError, match="score_"):
        Redistribution(UniformCompetition(0.1, 2), weights, offsets)


def test_a_negative_incentive_is_refused():
    with pytest.raises(ConfigurationError, match="incentive"):
        Redistribution.uniform(RHO, -1.0, [1.0, 1.0, 1.0])


def test_a_score_needs_one_input_for_each_organization():
    with pytest.raises(ConfigurationError, match="score_input"):
        Redistribution.none(3).transfers(np.zeros(2))
