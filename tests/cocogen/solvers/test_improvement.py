from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import ConfigurationError
from cocogen.solvers import certify, solve


def _best_grid_gain(game, profile, points):
    """The largest gain that anyone has from moving to a position of its own grid, by looking at all of them."""
    segments = game.family.segments
    position, level = game.family.locate(profile)
    gain = -np.inf
    for n in range(game.size):
        for index in np.flatnonzero(segments.feasible[n]):
            for t in np.linspace(segments.lower[n, index], segments.upper[n, index], points):
                moved, moved_level = position.copy(), level.copy()
                moved[n], moved_level[n] = min(t, segments.upper[n, index]), index
                gain = max(gain, game.payoffs(game.family.assemble(moved, moved_level))[n] - game.payoffs(profile)[n])
    return gain


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("random", [False, True])
def test_nobody_improves_on_the_grid_where_improvement_ends(make_game, seed, random):
    game = make_game(seed, private_gain=0.05 * (seed % 2), weighted=True)
    rng = np.random.default_rng(seed) if random else None
    result = solve(game, "improvement", points=17, rng=rng)
    assert result.converged
    assert _best_grid_gain(game, result.strategies, 17) <= 1e-9
    fractions = result.strategies / game.family.maximum * 16
    np.testing.assert_allclose(fractions, np.round(fractions), atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_improves_over_compute_levels_and_fractions_either(make_tradefl, seed):
    game = make_tradefl(seed, size=4, deadline=4.0)
    result = solve(game, "improvement", points=9)
    assert result.converged
    assert _best_grid_gain(game, result.strategies, 9) <= 1e-9
    assert result.trace.updates[-1] >= 1


@pytest.mark.parametrize("random", [False, True])
def test_every_move_pays_and_raises_the_potential(make_game, make_tradefl, random):
    for game in (make_game(5, weighted=True), make_tradefl(2)):
        rng = np.random.default_rng(0) if random else None
        trace = solve(game, "improvement", points=21, rng=rng).trace
        assert trace.updates.size > 3
        np.testing.assert_array_equal(trace.updates, np.arange(trace.updates.size))
        assert (np.diff(trace.potential) > 0.0).all()


def test_random_moves_take_another_way_to_the_same_end_and_are_repeatable(make_game):
    game = make_game(6)
    greedy = solve(game, "improvement")
    first, again = (solve(game, "improvement", rng=np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.trace.potential, again.trace.potential)
    assert first.trace.updates[-1] > greedy.trace.updates[-1]
    # Both ends are equilibria of the grid game; a grid of 400 / 99 samples leaves room for neighbours.
    np.testing.assert_allclose(first.strategies, greedy.strategies, atol=2.1 * 400.0 / 99.0)


def test_the_certificate_tells_how_much_the_grid_costs(make_game):
    game = make_game(7)
    errors = [solve(game, "improvement", points=points).epsilon for points in (5, 41, 801, 8001)]
    assert errors[0] > 10.0 * errors[1] > 100.0 * errors[2] > 1000.0 * errors[3] > 0.0


def test_the_grid_of_the_paper_is_one_over_its_step(make_tradefl):
    game = make_tradefl(3)
    result = solve(game, "improvement", points=100)
    steps = result.strategies[:, 0] / 0.01
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)


def test_an_equilibrium_off_the_grid_is_left_alone(make_game):
    game = make_game(8)
    equilibrium = solve(game)
    result = solve(game, "improvement", start=equilibrium.strategies, points=11)
    np.testing.assert_array_equal(result.strategies, equilibrium.strategies)
    assert (result.iterations, result.trace.updates[-1], result.converged) == (1, 0, True)


def test_strategies_that_are_worth_the_same_end_the_improvement(make_tradefl):
    game = make_tradefl(0, overhead_weight=0.0, incentive=0.0)  # every level costs nothing, so all of them tie
    result = solve(game, "improvement", points=5)
    assert result.converged
    np.testing.assert_array_equal(result.strategies[:, 0], 1.0)


def test_improvement_that_is_cut_short_says_so(make_game):
    result = solve(make_game(3), "improvement", maximum_sweeps=1)
    assert not result.converged
    assert result.iterations == 1
    assert certify(make_game(3), result.strategies).epsilon == result.epsilon


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, r"points = 1: at least 2"),
        ({"maximum_sweeps": 0}, r"maximum_sweeps = 0: at least 1"),
        ({"start": [-1.0] * 5}, r"strategies\[0\] = -1.0: from 0 to 400"),
        ({"start": [1.0] * 4}, r"shape \(4,\): shape \(5,\)"),
    ],
)
def test_bad_options_say_what_is_valid(make_game, options, message):
    with pytest.raises(ConfigurationError, match=message):
        solve(make_game(3), "improvement", **options)
