from __future__ import annotations

import numpy as np
import pytest

from cocogen.experiments.deviation import deviate, gains
from cocogen.experiments.markets import tradefl_market
from cocogen.solvers import solve


@pytest.fixture
def played(make_game):
    game = make_game(3)
    return game, solve(game).strategies


def test_a_factor_moves_the_deviator_alone(played):
    game, strategies = played
    moved = deviate(game, strategies, (1,), 0.5)
    assert moved[1] == pytest.approx(0.5 * strategies[1])
    np.testing.assert_array_equal(np.delete(moved, 1), np.delete(strategies, 1))


def test_an_amount_is_cut_off_at_its_ends(played):
    game, strategies = played
    assert deviate(game, strategies, (1,), 1e9)[1] == game.family.maximum[1]
    assert deviate(game, strategies, (0,), "cap")[0] == game.family.maximum[0]
    assert deviate(game, strategies, (1,), 0.0)[1] == 0.0


def test_a_data_fraction_keeps_its_level_and_cannot_fall_below_its_least():
    market = tradefl_market(np.random.default_rng(0), size=3)
    game = market.game(5e-9)
    strategies = solve(game, "best-response").strategies
    idle = deviate(game, strategies, (2,), 0.0)
    assert idle[2, 0] == market.minimum_fraction
    assert idle[2, 1] == strategies[2, 1]
    capped = deviate(game, strategies, (2,), "cap")
    assert capped[2, 0] == game.family.segments.upper[2].max()
    game.payoffs(capped)


def test_a_gain_is_the_change_of_the_members_joint_payoff(played):
    game, strategies = played
    moved = deviate(game, strategies, (0, 2), 1.5)
    change = game.payoffs(moved) - game.payoffs(strategies)
    gain, relative = gains(game, strategies, (0, 2), 1.5)
    assert gain == pytest.approx(change[0] + change[2])
    assert relative == pytest.approx(gain / game.payoffs(strategies)[[0, 2]].sum())
    assert gains(game, strategies, (0, 2), 1.0)[0] == 0.0


def test_nobody_gains_alone_at_an_equilibrium(played):
    game, strategies = played
    for n in range(game.size):
        for factor in (0.0, 0.5, 0.9, 1.1, 1.5, "cap"):
            assert gains(game, strategies, (n,), factor)[1] <= 1e-12
