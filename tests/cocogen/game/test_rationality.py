from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.game.accuracy import PowerLaw
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.solvers import solve


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["square-root", "power-law", "saturating"]),
    private=st.sampled_from([0.0, 0.1]),
    maximum=st.sampled_from([0.0, 20.0, 400.0]),
)
def test_property_outside_options_are_the_best_payoff_alone(make_game, seed, kind, private, maximum):
    game = make_game(seed, accuracy=kind, private_gain=private, maximum=maximum)
    family = game.family
    best = np.full(game.size, -np.inf)
    for g in np.linspace(0.0, maximum, 2001)[:, None]:
        q = family.local + family.quality * g
        cost = family.cost_linear * g + family.cost_quadratic * g**2 / 2 + family.cost_fixed
        gain = game.accuracy_alone.value(q) + private * np.log(1 + q / game.private_base)
        best = np.maximum(best, game.profitability * gain - cost)
    outside = outside_options(game)
    assert (outside >= best - 1e-9).all()
    np.testing.assert_allclose(outside, best, atol=1e-3)


def test_outside_options_use_the_own_heterogeneity():
    family = GenerationAmounts([300.0, 300.0], 0.8, 0.02, 0.002, 0.0)
    accuracy = PowerLaw(1.0, 4.0, 0.5, heterogeneity=0.3)
    game = CoopetitionGame([1000.0, 1000.0], np.zeros((2, 2)), accuracy, family, heterogeneity=[0.0, 0.5])
    alone = 1000.0 * (1.0 - 4.0 / np.sqrt(300.0))
    np.testing.assert_allclose(outside_options(game), [alone, 0.5 * alone], rtol=1e-14)


def test_a_large_incentive_makes_a_low_contributor_worse_off_than_alone():
    """The published uniform rule is not individually rational: what the cheap generator earns, the dear one pays."""
    competition = DenseCompetition([[0.0, 0.05], [0.05, 0.0]])
    local = np.array([400.0, 400.0])
    family = GenerationAmounts(local, [1.0, 0.4], [0.01, 0.08], [0.0005, 0.004], 400.0)

    def surplus(incentive):
        game = CoopetitionGame(
            [1500.0, 800.0],
            competition,
            PowerLaw(1.0, 4.0, 0.5),
            family,
            Redistribution.uniform(competition, incentive, local),
        )
        return game.payoffs(solve(game).strategies) - outside_options(game)

    assert surplus(0.5).min() > 0.0
    assert surplus(8.0)[1] < -1.0
    assert surplus(8.0)[0] > surplus(0.5)[0]


@pytest.mark.parametrize("index", range(0, 12, 2))
def test_the_published_rule_leaves_somebody_worse_off_in_each_uniform_golden_game(golden_games, index):
    expected = golden_games[index].expected
    assert golden_games[index].redistribution == "uniform"
    assert min(np.array(expected["payoffs"]) - np.array(expected["outside"])) < 0.0
