from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen import CoopetitionGame, GenerationAmounts, PowerLaw
from cocogen.errors import SolverError
from cocogen.solvers import solve

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["square-root", "power-law", "saturating"])


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    seed=SEEDS,
    kind=KINDS,
    size=st.integers(2, 8),
    damage=st.sampled_from([0.0, 0.5, 1.0]),
    private=st.sampled_from([0.0, 0.03]),
    maximum=st.sampled_from([15.0, 400.0]),
)
def test_property_no_direction_improves_the_planners_welfare(make_game, seed, kind, size, damage, private, maximum):
    game = make_game(
        seed, size=size, accuracy=kind, damage=damage, private_gain=private, maximum=maximum, weighted=True
    )
    planner = solve(game, "planner")
    assert planner.converged
    g, welfare = planner.strategies, game.welfare(planner.strategies)
    rng = np.random.default_rng(seed)
    for scale in (1e-3, 0.1, 10.0, 1000.0):
        moved = np.clip(g + scale * rng.normal(size=(20, size)), 0.0, maximum)
        assert max(game.welfare(profile) for profile in moved) <= welfare + 1e-9 * abs(welfare)


def test_a_general_optimiser_finds_the_same_optimum(make_game):
    for seed in range(4):
        game = make_game(seed, size=4)
        oracle = scipy.optimize.minimize(
            lambda g, game=game: -game.welfare(g),
            np.full(4, 50.0),
            bounds=[(0.0, 400.0)] * 4,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        np.testing.assert_allclose(solve(game, "planner").strategies, oracle.x, atol=0.05)


def test_newton_steps_converge_quadratically(make_game):
    # Strong coupling: cheap generation, so that everyone's gradient depends on everyone else.
    for seed in range(5):
        game = make_game(seed, size=12)
        family = game.family
        cheap = GenerationAmounts(family.local, family.quality, family.cost_linear, 1e-5, 1e5)
        coupled = CoopetitionGame(
            game.profitability, game.competition, game.accuracy, cheap, private_gain=0.001, private_base=100.0
        )
        planner = solve(coupled, "planner")
        assert planner.converged
        assert (planner.strategies > 0.0).sum() > 1
        assert planner.iterations <= 10
        # Once close, a step's error is of the order of the square of the one before.
        before, last = planner.trace.residual[-2:]
        assert last <= 10.0 * before**1.5


def test_transfers_do_not_move_the_planner(make_game):
    paid, unpaid = make_game(5, incentive=3.0), make_game(5, incentive=0.0)
    np.testing.assert_allclose(
        solve(paid, "planner").strategies, solve(unpaid, "planner").strategies, rtol=0, atol=1e-9
    )


def test_the_planner_wants_more_than_an_unpaid_equilibrium(make_game):
    game = make_game(5, incentive=0.0)
    equilibrium, planner = solve(game), solve(game, "planner")
    assert planner.strategies.sum() > equilibrium.strategies.sum()
    assert game.welfare(planner.strategies) > game.welfare(equilibrium.strategies)
    assert planner.epsilon > 1e-6
    assert planner.gap > 0.0


def test_caps_bind_for_the_planner_too(make_game):
    game = make_game(5, maximum=5.0)
    np.testing.assert_array_equal(solve(game, "planner").strategies, np.full(game.size, 5.0))


def test_welfare_that_is_not_concave_is_refused_by_name():
    # One star that everybody envies: its private gain costs the others more than it earns.
    competition = np.zeros((5, 5))
    competition[1:, 0] = 0.4
    game = CoopetitionGame(
        [1000.0] * 5,
        competition,
        PowerLaw(),
        GenerationAmounts([200.0] * 5, 0.8, 0.02, 0.002, 400.0),
        damage=0.0,
        private_gain=0.1,
        private_base=100.0,
        names=["star", "a", "b", "c", "d"],
    )
    with pytest.raises(SolverError, match="private gain of organization 'star'"):
        solve(game, "planner")


def test_an_optimisation_that_is_cut_short_says_so(make_game):
    planner = solve(make_game(5), "planner", maximum_iterations=1)
    assert not planner.converged
    assert planner.iterations == 1
