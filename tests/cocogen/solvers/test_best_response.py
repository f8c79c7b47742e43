from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.game.accuracy import PowerLaw, Saturating, SquareRootBound
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts, Segments
from cocogen.solvers import dynamics, solve
from cocogen.solvers.best_response import best_response_dynamics


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), private=st.sampled_from([0.0, 0.05]))
def test_property_the_potential_never_falls_on_the_way(make_game, seed, private):
    game = make_game(seed, private_gain=private, weighted=True)
    trace = solve(game, "best-response").trace
    assert (np.diff(trace.potential) >= -1e-13 * np.abs(trace.potential[:-1]).max()).all()
    assert trace.potential[-1] > trace.potential[0]


def test_the_trace_holds_start_and_every_update(make_game):
    game = make_game(3)
    start = np.full(game.size, 300.0)
    equilibrium = solve(game, "best-response", start=start)
    trace = equilibrium.trace
    np.testing.assert_array_equal(trace.updates, np.arange(trace.updates.size))
    assert equilibrium.iterations < trace.updates[-1] <= equilibrium.iterations * game.size
    assert trace.payoffs.shape == (trace.updates.size, game.size)
    assert trace.aggregate.shape == trace.residual.shape == trace.potential.shape == trace.updates.shape
    np.testing.assert_array_equal(trace.payoffs[0], game.payoffs(start))
    np.testing.assert_array_equal(trace.payoffs[-1], game.payoffs(equilibrium.strategies))
    assert trace.aggregate[-1] == game.effective_samples(equilibrium.strategies).sum()
    assert trace.potential[-1] == equilibrium.potential


def test_the_trace_of_many_organizations_holds_start_and_sweeps(make_game, monkeypatch):
    game = make_game(3)
    each = solve(game, "best-response")
    monkeypatch.setattr(dynamics, "EVERY_UPDATE", game.size - 1)
    result = solve(game, "best-response")
    np.testing.assert_array_equal(result.strategies, each.strategies)
    assert result.trace.updates.shape == (result.iterations + 1,)
    assert result.trace.payoffs.shape == (result.iterations + 1, game.size)
    assert result.trace.updates[-1] == each.trace.updates[-1]
    assert set(result.trace.potential) <= set(each.trace.potential)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["square-root", "power-law", "saturating"]),
    private=st.sampled_from([0.0, 0.05, 2.0]),
)
def test_property_a_response_beats_every_position_of_a_fine_grid(make_game, seed, kind, private):
    game = make_game(seed, accuracy=kind, private_gain=private, weighted=True)
    _assert_first_responses_are_best(game)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weight=st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]))
def test_property_a_response_is_best_over_all_compute_levels(make_tradefl, seed, weight):
    game = make_tradefl(seed, size=4, deadline=4.0, overhead_weight=weight, incentive=weight * 1e-8)
    _assert_first_responses_are_best(game)


def _assert_first_responses_are_best(game):
    """In the first sweep the first organization responds to the start, so a grid of its strategies can judge it."""
    deviations = game.deviations(game.family.assemble(*dynamics.lowest_profile(game)))
    response = game.family.locate(solve(game, "best-response", maximum_sweeps=1).strategies)
    segments, best = game.family.segments, -np.inf
    for index in np.flatnonzero(segments.feasible[0]):
        for t in np.linspace(segments.lower[0, index], segments.upper[0, index], 401):
            best = max(best, deviations.payoffs(np.full(game.size, t), np.full(game.size, index))[0])
    assert deviations.payoffs(*response)[0] >= best - 1e-12 * max(1.0, abs(best))


def test_any_start_leads_to_the_same_equilibrium(make_game):
    game = make_game(3)
    low, high = (solve(game, "best-response", start=np.full(game.size, g)).strategies for g in (0.0, 400.0))
    np.testing.assert_allclose(low, high, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": [-1.0] * 5}, r"strategies\[0\] = -1.0: from 0 to 400"),
        ({"start": [1.0] * 4}, r"shape \(4,\): shape \(5,\)"),
        ({"tolerance": 0.0}, r"tolerance = 0.0: greater than 0, less than 1"),
        ({"tolerance": -1e-9}, r"tolerance = -1e-09: greater than 0, less than 1"),
        ({"tolerance": float("nan")}, r"tolerance = nan: greater than 0, less than 1"),
        ({"maximum_sweeps": 0}, r"maximum_sweeps = 0: at least 1"),
    ],
)
def test_bad_options_say_what_is_valid(make_game, options, message):
    with pytest.raises(ConfigurationError, match=message):
        solve(make_game(3), "best-response", **options)


def test_dynamics_that_are_cut_short_say_so(make_game):
    equilibrium = solve(make_game(3), "best-response", maximum_sweeps=1)
    assert equilibrium.iterations == 1
    assert not equilibrium.converged


def test_the_start_is_left_untouched(make_game):
    game = make_game(3)
    start = np.full(game.size, 10.0)
    solve(game, "best-response", start=start)
    np.testing.assert_array_equal(start, np.full(game.size, 10.0))


def test_compute_levels_that_are_worth_the_same_are_not_exchanged_for_ever(make_tradefl):
    result = solve(make_tradefl(0, overhead_weight=0.0, incentive=0.0), "best-response")
    assert result.converged
    np.testing.assert_array_equal(result.strategies[:, 0], 1.0)
    np.testing.assert_array_equal(result.strategies[:, 1], 5e9)


def test_an_inner_data_fraction_is_found_where_costs_are_linear(make_tradefl):
    game = make_tradefl(3, overhead_weight=1e-3, incentive=0.0, deadline=3.0)
    result = solve(game, "best-response")
    fractions = result.strategies[:, 0]
    upper = game.family.segments.pick(game.family.segments.upper, game.family.locate(result.strategies)[1])
    assert ((fractions > 0.02) & (fractions < upper - 0.01)).any()
    assert result.converged
    assert result.epsilon < 1e-12


class _Levels:
    """Any segments, as a family: a profile is an array of (position, level)."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments

    @property
    def size(self):
        return self.segments.lower.shape[0]

    def locate(self, strategies):
        profile = np.asarray(strategies, dtype=np.float64)
        return profile[:, 0], profile[:, 1].astype(np.int64)

    def assemble(self, position, level):
        return np.stack([position, level.astype(np.float64)], axis=1)


def _mixed_game(accuracy, private=0.0, curvature=((1e-3, 0.0), (0.0, 2e-3), (1e-3, 1e-3))):
    """Three organizations with two levels, the second of which the first may not play; linear and convex costs."""
    ones = np.ones((3, 2))
    family = _Levels(
        Segments(
            lower=np.array([[0.0, 5.0], [1.0, 2.0], [0.0, 0.0]]),
            upper=np.array([[200.0, 5.0], [90.0, 150.0], [100.0, 100.0]]),
            samples_base=120.0 * ones,
            samples_slope=np.array([[0.9, 0.8], [1.0, 0.6], [0.5, 0.7]]),
            score_base=0.0 * ones,
            score_slope=ones,
            cost_base=np.array([[0.0, -5.0], [0.0, 0.1], [0.0, 0.0]]),
            cost_slope=np.array([[0.2, 0.0], [0.4, 0.2], [0.3, 0.35]]),
            cost_curvature=np.array(curvature),
            feasible=np.array([[True, False], [True, True], [True, True]]),
        )
    )
    competition = 0.05 * (1.0 - np.eye(3))
    redistribution = Redistribution.uniform(competition, 0.5, np.zeros(3))
    return CoopetitionGame(
        [900.0, 700.0, 800.0], competition, accuracy, family, redistribution, private_gain=private, private_base=50.0
    )


@pytest.mark.parametrize("accuracy", [PowerLaw(), Saturating(0.9, 500.0), SquareRootBound(1.0, 20.0)])
@pytest.mark.parametrize("private", [0.0, 0.1])
@pytest.mark.parametrize("curved", [True, False])
def test_levels_of_every_cost_are_certified_and_the_start_avoids_infeasible_ones(accuracy, private, curved):
    curvature = ((1e-3, 0.0), (0.0, 2e-3), (1e-3, 1e-3)) if curved else np.zeros((3, 2))
    game = _mixed_game(accuracy, private, curvature)
    position, level = dynamics.lowest_profile(game)
    np.testing.assert_array_equal(level, [0, 1, 1])
    np.testing.assert_array_equal(position, [0.0, 2.0, 0.0])
    result = solve(game, "best-response")
    assert result.converged
    assert result.strategies[0, 1] == 0.0
    assert result.epsilon < 1e-10
    np.testing.assert_array_equal(result.trace.payoffs[0], game.payoffs(game.family.assemble(position, level)))


def test_a_thousand_organizations_settle_to_the_rounding_of_the_aggregate(make_game):
    game = make_game(1, size=1000)
    result = solve(game, "best-response")
    assert result.converged
    assert result.epsilon < 1e-12
    np.testing.assert_allclose(result.strategies, solve(game).strategies, atol=1e-6)


def _twin_levels(handicap):
    """Two equal levels, except that the second one, on which everyone starts, costs a little more."""
    ones = np.ones((2, 2))
    segments = Segments(
        lower=0.0 * ones,
        upper=100.0 * ones,
        samples_base=200.0 * ones,
        samples_slope=0.8 * ones,
        score_base=0.0 * ones,
        score_slope=ones,
        cost_base=np.array([[0.0, handicap], [0.0, handicap]]),
        cost_slope=0.1 * ones,
        cost_curvature=1e-3 * ones,
        feasible=np.ones((2, 2), dtype=bool),
    )
    return CoopetitionGame([900.0, 700.0], 0.0 * np.eye(2), PowerLaw(), _Levels(segments))


@pytest.mark.parametrize(("handicap", "level"), [(5e-13, 1.0), (1e-9, 0.0), (1e-3, 0.0)])
def test_a_level_is_left_for_a_better_one_but_not_for_rounding(handicap, level):
    result = solve(_twin_levels(handicap), "best-response")
    assert result.converged
    np.testing.assert_array_equal(result.strategies[:, 1], level)


def test_ends_of_a_segment_are_hit_exactly(make_game, make_tradefl):
    for incentive, end in ((0.0, 0.0), (50.0, 400.0)):
        game = make_game(1, incentive=incentive, intensity=0.19 if incentive else 0.0)
        game = CoopetitionGame(
            np.full(5, 1e-3) if end == 0.0 else game.profitability,
            game.competition,
            game.accuracy,
            game.family,
            game.redistribution,
        )
        result = solve(game, "best-response", start=np.full(5, 200.0))
        np.testing.assert_array_equal(result.strategies, np.full(5, end))
    for weight, end in ((0.0, 1.0), (1.0, 0.01)):
        game = make_tradefl(0, size=60, mean_competition=1e-3, overhead_weight=weight, incentive=0.0)
        result = solve(game, "best-response", start=np.tile([0.3, 4e9], (60, 1)))
        np.testing.assert_array_equal(result.strategies[:, 0], end)


class _Counted(PowerLaw):
    """Counts how often marginal payoffs are looked at."""

    looks = 0

    def derivative(self, omega):
        _Counted.looks += 1
        return super().derivative(omega)


@pytest.mark.parametrize("private", [0.0, 0.1])
def test_a_response_takes_a_few_newton_steps(make_game, private):
    plain = make_game(4, private_gain=private)
    game = CoopetitionGame(
        plain.profitability,
        plain.competition,
        _Counted(),
        plain.family,
        plain.redistribution,
        private_gain=private,
        private_base=200.0,
    )
    _Counted.looks = 0
    result = best_response_dynamics(game)
    assert result.converged
    assert _Counted.looks <= 6 * game.size * result.iterations


class _Kinked:
    """Concave with a kink, over which Newton's method jumps back and forth."""

    minimum = 1.0

    def value(self, omega):
        return np.minimum(1e-3 * np.asarray(omega), 0.36 + 1e-4 * np.asarray(omega))

    def derivative(self, omega):
        return np.where(np.asarray(omega) < 400.0, 1e-3, 1e-4)

    def second_derivative(self, omega):
        return np.zeros(np.shape(omega))

    def with_heterogeneity(self, heterogeneity):
        return self


@pytest.mark.parametrize(("curvature", "aggregate"), [(1e-3, 400.0), (2e-2, 331.2)])
def test_a_kink_in_the_accuracy_is_found_too(curvature, aggregate):
    # Before the kink a sample earns 0.64 and 0.25 against 0.01 + c2 t: 31.5 and 12 samples where costs are steep.
    family = GenerationAmounts([200.0, 100.0], [0.8, 0.5], 0.01, curvature, 400.0)
    game = CoopetitionGame([800.0, 500.0], 0.0 * np.eye(2), _Kinked(), family)
    result = solve(game, "best-response", start=[0.0, 0.0])
    assert result.converged
    assert result.epsilon < 1e-9
    assert game.effective_samples(result.strategies).sum() == pytest.approx(aggregate, rel=1e-9)


def test_a_tolerance_below_rounding_is_reached_nevertheless(make_game, make_tradefl):
    games = make_game(3, size=20), make_tradefl(3, overhead_weight=1e-3, incentive=0.0, deadline=3.0)
    for game in games:
        assert solve(game, "best-response", tolerance=1e-300, maximum_sweeps=100).converged
