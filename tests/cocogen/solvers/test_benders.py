"""Generalized Benders against golden games, exhaustive search and a general optimiser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.game.accuracy import SquareRootBound
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.redistribution import Redistribution
from cocogen.solvers import solve
from cocogen.solvers.benders import Potential, decompose

GAMES = json.loads((Path(__file__).parents[2] / "golden" / "tradefl.json").read_text())
SEEDS = st.integers(0, 2**32 - 1)


def _golden(terms):
    organizations = terms["organizations"]
    column = {key: [o[key] for o in organizations] for key in organizations[0] if key != "name"}
    competition = DenseCompetition(terms["competition"])
    family = DataFractions(
        column["bits"],
        column["samples"],
        column["compute_levels"],
        column["cycles_per_bit"],
        terms["deadline"],
        communication_time=column["communication_time"],
        communication_energy=column["communication_energy"],
        overhead_weight=terms["overhead_weight"],
        capacitance=terms["capacitance"],
        minimum_fraction=terms["minimum_fraction"],
        compute_weight=terms["lambda"],
    )
    redistribution = Redistribution(competition.scaled(terms["incentive"]), 1.0, 0.0)
    accuracy = SquareRootBound(terms["ceiling"], terms["epochs"])
    return CoopetitionGame(column["profitability"], competition, accuracy, family, redistribution)


def _random_profiles(game, rng, count):
    """Feasible profiles, as positions and levels (count, N)."""
    segments = game.family.segments
    levels = np.array([[rng.choice(np.flatnonzero(row)) for row in segments.feasible] for _ in range(count)])
    low, high = (np.stack([segments.pick(table, row) for row in levels]) for table in (segments.lower, segments.upper))
    return low + rng.uniform(0.0, 1.0, low.shape) * (high - low), levels


@pytest.mark.parametrize("golden_game", GAMES, ids=lambda game: f"game-{game['id']}")
def test_the_golden_potential_maximum_is_reached(golden_game):
    game, expected = _golden(golden_game["terms"]), golden_game["expected"]
    equilibrium = solve(game, "benders")
    profile = equilibrium.strategies
    assert equilibrium.converged
    assert equilibrium.potential == pytest.approx(expected["potential_maximum"], rel=1e-9)
    np.testing.assert_allclose(profile[:, 0], expected["data_fraction"], rtol=1e-6)
    np.testing.assert_array_equal(profile[:, 1], expected["compute"])
    np.testing.assert_allclose(game.payoffs(profile), expected["payoffs"], rtol=1e-8)
    np.testing.assert_allclose(game.transfers(profile), expected["transfers"], rtol=1e-6, atol=1e-8)
    assert game.welfare(profile) == pytest.approx(expected["welfare"], rel=1e-9)
    assert 0.0 <= equilibrium.gap <= 1e-9
    assert equilibrium.epsilon <= 1e-12


@pytest.mark.slow
def test_a_hundred_games_end_where_exhaustive_search_does(make_deadline):
    mixed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        binding = seed % 2 == 0
        size = int(rng.integers(2, 7))
        game = make_deadline(seed, size=size, levels=int(rng.integers(2, 6 if size < 6 else 5)), binding=binding)
        segments = game.family.segments
        found, oracle = solve(game, "benders"), solve(game, "enumeration")
        assert found.converged
        assert found.potential == pytest.approx(oracle.potential, rel=1e-12, abs=1e-12)
        assert 0.0 <= found.gap <= 1e-9
        assert found.epsilon <= 1e-12
        position, level = game.family.locate(found.strategies)
        upper = segments.pick(segments.upper, level)
        assert binding == (not segments.feasible.all() or bool(((position == upper) & (upper < 1.0)).any()))
        inside = (position > segments.pick(segments.lower, level)) & (position < upper)
        mixed += bool(inside.any()) or np.unique(level).size > 1
    assert mixed > 50


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=SEEDS,
    size=st.integers(2, 5),
    levels=st.integers(1, 4),
    damage=st.sampled_from([0.0, 0.5, 1.0]),
    private=st.sampled_from([0.0, 0.02]),
    accuracy=st.sampled_from(["power-law", "saturating"]),
)
def test_property_any_segments_give_a_certified_global_maximum(
    make_segments, seed, size, levels, damage, private, accuracy
):
    game = make_segments(seed, size=size, levels=levels, damage=damage, private_gain=private, accuracy=accuracy)
    found, oracle = solve(game, "benders"), solve(game, "enumeration")
    assert found.converged
    assert found.epsilon <= 1e-9
    assert found.upper_bound >= found.potential
    assert found.potential == pytest.approx(oracle.potential, rel=1e-11, abs=1e-11)
    positions, chosen = _random_profiles(game, np.random.default_rng(seed), 20)
    potentials = [game.potential(np.stack(profile, axis=1)) for profile in zip(positions, chosen, strict=True)]
    assert max(potentials) <= found.upper_bound + 1e-14


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, private=st.sampled_from([0.0, 0.02]))
def test_property_a_cut_bounds_every_level_vector_and_is_tight_at_its_own(make_segments, seed, private):
    game = make_segments(seed, private_gain=private)
    objective, rng = Potential(game), np.random.default_rng(seed)
    positions, levels = _random_profiles(game, rng, 30)
    values = [objective.value(*profile) for profile in zip(positions, levels, strict=True)]
    for samples in (rng.uniform(10.0, 800.0, game.size), objective.start()):
        constant, worth = objective.cut(samples)
        bounds = [constant + game.family.segments.pick(worth, level).sum() for level in levels]
        assert (np.array(values) <= np.array(bounds) + 1e-12).all()
    position = objective.primal(levels[0])
    constant, worth = objective.cut(game.family.segments.effect(position, levels[0]).samples)
    own = constant + game.family.segments.pick(worth, levels[0]).sum()
    assert own == pytest.approx(objective.value(position, levels[0]), abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_a_general_optimiser_finds_the_same_primal(make_segments, seed):
    game = make_segments(seed, size=5, private_gain=0.02 * (seed % 2))
    segments, objective = game.family.segments, Potential(game)
    level = _random_profiles(game, np.random.default_rng(seed), 1)[1][0]
    low, high = (segments.pick(table, level) for table in (segments.lower, segments.upper))
    oracle = scipy.optimize.minimize(
        lambda share: -objective.value(low + share * (high - low), level),
        np.full(5, 0.5),
        bounds=[(0.0, 1.0)] * 5,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    value = objective.value(objective.primal(level), level)
    assert value >= -oracle.fun - 1e-13
    assert value == pytest.approx(-oracle.fun, abs=1e-7)


def test_one_segment_is_the_fixed_point(make_game):
    game = make_game(3, weighted=True)
    found = solve(game, "benders")
    np.testing.assert_allclose(found.strategies, solve(game).strategies, rtol=0, atol=1e-9)
    assert found.iterations == 1


def test_the_trace_keeps_both_bounds_and_counts_cuts(make_segments):
    longest = max((solve(make_segments(seed, size=6), "benders") for seed in range(20)), key=lambda e: e.iterations)
    trace = longest.trace
    assert longest.iterations == trace.lower_bound.size >= 3
    assert (np.diff(trace.lower_bound) >= 0.0).all()
    assert (np.diff(trace.upper_bound) <= 0.0).all()
    assert (np.diff(trace.optimality_cuts) >= 0).all()
    assert trace.optimality_cuts[0] == 2
    assert trace.lower_bound[-1] == longest.potential
    assert trace.upper_bound[-1] >= longest.upper_bound
    assert trace.residual[-1] <= 1e-12 < trace.residual[0]


def test_a_search_that_is_cut_short_keeps_honest_bounds(make_segments):
    games = (make_segments(seed, size=6) for seed in range(20))
    game = next(game for game in games if solve(game, "benders").iterations >= 3)
    whole, short = solve(game, "benders"), solve(game, "benders", maximum_iterations=1)
    assert not short.converged
    assert short.iterations == 1
    assert short.residual > 1e-12
    assert short.potential <= whole.potential <= short.upper_bound


class _Careless(Potential):
    """Always plays the middle of a segment, so that its values fall short of its cuts; it remembers them."""

    def __init__(self, game):
        super().__init__(game)
        self.values = []

    def primal(self, level):
        segments = self.segments
        return 0.5 * (segments.pick(segments.lower, level) + segments.pick(segments.upper, level))

    def value(self, position, level):
        self.values.append(super().value(position, level))
        return self.values[-1]


def test_a_primal_that_falls_short_of_its_cut_does_not_loop_for_ever(make_segments):
    worse = 0
    for seed in range(12):
        game = make_segments(seed)
        objective = _Careless(game)
        found = decompose(objective, 1e-12, 1000)
        assert not found.converged
        assert found.trace.aggregate.size < 200
        assert found.lower == max(objective.values) == objective.value(found.position, found.level)
        assert found.lower < solve(game, "enumeration").potential <= found.upper + 1e-14
        worse += objective.values.index(found.lower) < len(objective.values) - 2
    assert worse > 0  # some proposals were worse than the best before them


def _two(**changes):
    """Two identical organizations on three levels; ``changes`` go to the family, or are named below."""
    competition = changes.pop("competition", 0.05) * (1.0 - np.eye(2))
    incentive = changes.pop("incentive", 0.0)
    arguments = {
        "bits": 2e10,
        "samples": [1500, 1500],
        "compute_levels": [3e9, 4e9, 5e9],
        "cycles_per_bit": 1.0,
        "deadline": 100.0,
        "overhead_weight": 1e-3,
        "minimum_fraction": 0.1,
    }
    family = DataFractions(**(arguments | changes))
    rule = Redistribution(DenseCompetition(competition).scaled(incentive), 1.0, 0.0)
    return CoopetitionGame([1000.0, 1000.0], competition, SquareRootBound(1.0, 20.0), family, rule)


def test_cheap_energy_uses_all_data_at_the_slowest_level():
    found = solve(_two(overhead_weight=1e-6), "benders")
    np.testing.assert_array_equal(found.strategies, [[1.0, 3e9], [1.0, 3e9]])
    assert found.epsilon == 0.0


def test_dear_energy_uses_the_least_data():
    found = solve(_two(overhead_weight=10.0), "benders")
    np.testing.assert_array_equal(found.strategies, [[0.1, 3e9], [0.1, 3e9]])


def test_a_large_incentive_reaches_the_cap_that_the_deadline_leaves():
    found = solve(_two(incentive=1e-4, deadline=3.0, competition=0.5), "benders")
    np.testing.assert_allclose(found.strategies, [[0.75, 5e9], [0.75, 5e9]])
    assert found.epsilon <= 1e-12


def test_the_one_feasible_level_is_played_whatever_it_costs():
    game = _two(deadline=0.42, overhead_weight=1.0)
    np.testing.assert_array_equal(game.family.segments.feasible, [[False, False, True]] * 2)
    found = solve(game, "benders")
    np.testing.assert_array_equal(found.strategies[:, 1], [5e9, 5e9])
    # The slow levels look cheaper: the master proposes them, once for each organization.
    assert found.trace.feasibility_cuts[-1] == 2
    assert found.converged


def test_feasible_games_need_no_feasibility_cut():
    assert solve(_two(), "benders").trace.feasibility_cuts[-1] == 0


def test_zero_competition_is_a_common_interest():
    game = _two(competition=0.0, incentive=1.0)
    found = solve(game, "benders")
    np.testing.assert_array_equal(game.transfers(found.strategies), [0.0, 0.0])
    assert found.epsilon <= 1e-12


def test_levels_of_equal_worth_are_a_tie_not_a_trouble():
    found = solve(_two(overhead_weight=0.0, compute_weight=0.0), "benders")
    np.testing.assert_array_equal(found.strategies[:, 0], [1.0, 1.0])
    assert found.gap == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_identical_organizations_have_many_optima_and_one_maximum(make_deadline, seed):
    game = make_deadline(seed, size=6, levels=4, twins=True, binding=seed % 2 == 0)
    found, oracle = solve(game, "benders"), solve(game, "enumeration")
    assert found.converged
    assert found.potential == pytest.approx(oracle.potential, abs=1e-12)
    assert found.epsilon <= 1e-12


@pytest.mark.parametrize("binding", [False, True])
def test_a_thousand_organizations_are_solved_to_the_last_digit(make_deadline, binding):
    found = solve(make_deadline(4, size=1000, levels=5, binding=binding), "benders")
    assert found.converged
    assert found.gap <= 1e-9
    assert found.epsilon <= 1e-9
    assert found.iterations <= 10
