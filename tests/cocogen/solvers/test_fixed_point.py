from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen import CoopetitionGame, GenerationAmounts, PowerLaw, Redistribution, Saturating, UniformCompetition
from cocogen.errors import ConfigurationError, SolverError
from cocogen.solvers import certify, solve
from cocogen.solvers.fixed_point import bracketing, contraction_bound

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["square-root", "power-law", "saturating"])


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    seed=SEEDS,
    kind=KINDS,
    damage=st.sampled_from([0.0, 0.5, 1.0]),
    private=st.sampled_from([0.0, 0.05]),
    incentive=st.sampled_from([0.0, 0.5, 5.0]),
)
def test_property_three_solvers_agree(make_game, seed, kind, damage, private, incentive):
    game = make_game(seed, accuracy=kind, damage=damage, private_gain=private, incentive=incentive, weighted=True)
    fixed, damped, best = (solve(game, method) for method in ("fixed-point", "damped", "best-response"))
    assert fixed.converged
    assert damped.converged
    assert best.converged
    np.testing.assert_allclose(damped.strategies, fixed.strategies, atol=1e-7)
    np.testing.assert_allclose(best.strategies, fixed.strategies, atol=1e-7)
    assert fixed.epsilon < 1e-12
    assert abs(fixed.gap) < 1e-12 * max(1.0, abs(fixed.potential))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, kind=KINDS, damage=st.sampled_from([0.0, 1.0]))
def test_property_the_equilibrium_satisfies_the_published_kkt_condition(make_game, seed, kind, damage):
    game = make_game(seed, accuracy=kind, damage=damage, weighted=True)
    family, g = game.family, solve(game).strategies
    slope = game.accuracy.derivative(game.effective_samples(g).sum())
    z = game.profitability - damage * game.competition.damage_weights(game.profitability)
    sigma = 0.5 * (game.redistribution.rates.matrix + game.redistribution.rates.matrix.T)
    paid = sigma.sum(axis=1) * game.redistribution.score_weights * family.generated_weight * family.quality
    expected = (z * family.quality * slope + paid - family.cost_linear) / family.cost_quadratic
    np.testing.assert_allclose(g, np.clip(expected, 0.0, 400.0), rtol=1e-9, atol=1e-9)


def test_damping_at_any_admissible_value_reaches_the_same_point(make_game):
    game = make_game(7)
    bound = contraction_bound(game)
    reference = solve(game).strategies
    for share in (0.05, 0.5, 0.99):
        damped = solve(game, "damped", damping=share * 2.0 / (1.0 + bound))
        assert damped.converged
        np.testing.assert_allclose(damped.strategies, reference, atol=1e-7)


@pytest.mark.parametrize("damping", [0.0, -0.1, float("nan"), 2.0])
def test_damping_outside_its_range_is_refused(make_game, damping):
    game = make_game(7)
    with pytest.raises(ConfigurationError, match="damping"):
        solve(game, "damped", damping=damping)


def test_the_contraction_bound_holds_for_the_aggregate_map(make_game):
    game = make_game(7)
    g = solve(game).strategies
    omega = game.effective_samples(g).sum()

    def aggregate(at):
        slope = game.accuracy.derivative(at)
        family = game.family
        want = (game.potential_weights * family.quality * slope + game.score_rates * family.quality) / (
            family.cost_quadratic
        ) - family.cost_linear / family.cost_quadratic
        return (family.local + family.quality * np.clip(want, 0.0, 400.0)).sum()

    steepness = abs(aggregate(omega + 1.0) - aggregate(omega - 1.0)) / 2.0
    assert 0.0 < steepness <= contraction_bound(game)


def test_an_iteration_that_is_cut_short_says_so(make_game):
    equilibrium = solve(make_game(7), "damped", maximum_iterations=2)
    assert not equilibrium.converged
    assert equilibrium.iterations == 2
    assert equilibrium.residual > 1e-9


def test_the_trace_follows_the_residual_down(make_game):
    trace = solve(make_game(7), "damped").trace
    assert trace.aggregate.shape == trace.residual.shape
    assert trace.residual[-1] <= 1e-13 < trace.residual[0]
    assert trace.potential.size == 0


def _twins(**changes) -> CoopetitionGame:
    """Three identical organizations; ``changes`` go to the family."""
    local = np.full(3, 200.0)
    arguments = {"quality": 0.8, "cost_linear": 0.02, "cost_quadratic": 0.002, "maximum": 400.0}
    competition = UniformCompetition(changes.pop("competition", 0.04), 3)
    incentive = changes.pop("incentive", 0.3)
    return CoopetitionGame(
        [800.0] * 3,
        competition,
        PowerLaw(),
        GenerationAmounts(local, **(arguments | changes)),
        Redistribution.uniform(competition, incentive, local),
    )


def test_identical_organizations_do_the_same_and_pay_nothing():
    game = _twins()
    equilibrium = solve(game)
    assert np.ptp(equilibrium.strategies) == 0.0
    np.testing.assert_allclose(game.transfers(equilibrium.strategies), 0.0, atol=1e-10)


def test_zero_competition_moves_no_money():
    game = _twins(competition=0.0, incentive=5.0)
    equilibrium = solve(game)
    assert equilibrium.epsilon < 1e-12
    np.testing.assert_array_equal(game.potential_weights, game.profitability)
    np.testing.assert_array_equal(game.transfers(equilibrium.strategies), np.zeros(3))


def test_zero_incentive_still_generates_for_the_shared_accuracy():
    assert solve(_twins(incentive=0.0)).strategies.min() > 1.0


def test_a_large_incentive_reaches_every_cap():
    equilibrium = solve(_twins(incentive=500.0))
    np.testing.assert_array_equal(equilibrium.strategies, np.full(3, 400.0))
    assert equilibrium.converged
    assert equilibrium.epsilon == 0.0


def test_dear_generation_keeps_everyone_at_nothing():
    equilibrium = solve(_twins(cost_linear=50.0, incentive=0.0))
    np.testing.assert_array_equal(equilibrium.strategies, np.zeros(3))
    assert equilibrium.epsilon == 0.0


def test_a_maximum_of_zero_has_one_profile():
    equilibrium = solve(_twins(maximum=0.0))
    np.testing.assert_array_equal(equilibrium.strategies, np.zeros(3))
    assert equilibrium.converged


@pytest.mark.parametrize("private_gain", [0.0, 0.05])
def test_a_tiny_quality_is_no_numerical_trouble(make_game, private_gain):
    template = _twins(quality=[1e-9, 0.8, 1.0])
    game = CoopetitionGame(
        template.profitability,
        template.competition,
        template.accuracy,
        template.family,
        template.redistribution,
        private_gain=private_gain,
        private_base=100.0,
    )
    equilibrium = solve(game)
    assert equilibrium.strategies[0] == 0.0
    assert equilibrium.strategies[1] > 1.0
    assert equilibrium.epsilon < 1e-12


def test_nearly_linear_costs_still_converge():
    equilibrium = solve(_twins(cost_quadratic=1e-9, incentive=0.0))
    assert equilibrium.converged
    assert equilibrium.epsilon < 1e-9


@pytest.mark.slow
def test_a_million_organizations_are_solved_and_certified_in_linear_memory():
    size = 10**6
    rng = np.random.default_rng(1)
    local = rng.integers(50, 600, size).astype(float)
    family = GenerationAmounts(
        local, rng.uniform(0.5, 1.0, size), rng.uniform(0.01, 0.04, size), rng.uniform(5e-4, 2e-3, size), 400.0
    )
    competition = UniformCompetition(0.15 / size, size)
    profitability = rng.uniform(5e5, 2.5e6, size)
    redistribution = Redistribution.uniform(competition, 0.3, local)
    game = CoopetitionGame(profitability, competition, PowerLaw(), family, redistribution)
    tracemalloc.start()
    candidate = bracketing(game)
    certificate = certify(game, candidate.strategies)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert candidate.converged
    assert certificate.epsilon < 1e-9
    assert peak < 300e6  # a few vectors of 8 MB; a dense matrix would need 8 TB
    assert np.mean((candidate.strategies > 0.0) & (candidate.strategies < 400.0)) > 0.5


def test_a_hundred_thousand_organizations_are_one_vectorised_solve():
    size = 10**5
    rng = np.random.default_rng(2)
    local = rng.integers(50, 600, size).astype(float)
    competition = UniformCompetition(0.15 / size, size)
    game = CoopetitionGame(
        rng.uniform(5e4, 2.5e5, size),
        competition,
        PowerLaw(),
        GenerationAmounts(local, rng.uniform(0.5, 1.0, size), 0.02, 0.001, 400.0),
        Redistribution.uniform(competition, 0.3, local),
    )
    equilibrium = solve(game)
    assert equilibrium.converged
    assert equilibrium.iterations < 40
    assert equilibrium.epsilon < 1e-9


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, size=st.integers(2, 12), twins=st.booleans(), binding=st.booleans())
def test_property_linear_costs_give_a_certified_maximum(make_deadline, seed, size, twins, binding):
    game = make_deadline(seed, size=size, levels=1, binding=binding, twins=twins)
    fixed, oracle = solve(game), solve(game, "enumeration")
    assert fixed.converged
    assert fixed.epsilon <= 1e-12
    assert fixed.gap <= 1e-14
    assert fixed.potential == pytest.approx(oracle.potential, abs=1e-14)
    if twins:
        assert np.ptp(fixed.strategies[:, 0]) <= 1e-12


def test_the_marginal_organization_contributes_what_meets_the_aggregate(make_deadline):
    marginal = 0
    for seed in range(20):
        game = make_deadline(seed, size=6, levels=1, binding=False)
        d = solve(game).strategies[:, 0]
        segments = game.family.segments
        inside = (d > segments.lower[:, 0]) & (d < segments.upper[:, 0])
        assert inside.sum() <= 1
        if inside.any():
            marginal += 1
            n = int(np.argmax(inside))
            # Indifferent: what another sample is worth to it is what the sample costs it.
            price = game.accuracy.derivative(game.effective_samples(solve(game).strategies).sum())
            worth = game.potential_weights[n] * price * segments.samples_slope[n, 0]
            paid = game.score_rates[n] * segments.score_slope[n, 0]
            assert worth + paid == pytest.approx(segments.cost_slope[n, 0], rel=1e-12)
    assert marginal >= 5


@pytest.mark.parametrize("private_gain", [0.0, 0.02])
def test_linear_and_curved_costs_mix(make_segments, private_gain):
    for seed in range(20):
        game = make_segments(seed, size=6, levels=1, private_gain=private_gain)
        fixed = solve(game)
        assert fixed.converged
        assert fixed.epsilon <= 1e-12
        assert fixed.potential == pytest.approx(solve(game, "enumeration").potential, abs=1e-13)


def test_costs_that_are_linear_but_for_rounding_converge_too():
    for curvature in (1e-12, 1e-15, 1e-18):
        equilibrium = solve(_twins(cost_quadratic=curvature, incentive=0.0))
        assert equilibrium.converged
        assert equilibrium.epsilon < 1e-12


def test_the_damped_iteration_refuses_linear_costs(make_deadline):
    with pytest.raises(SolverError, match="strictly convex costs") as caught:
        solve(make_deadline(1, levels=1), "damped")
    assert "fixed-point" in caught.value.hint


def test_several_segments_are_sent_to_benders(make_deadline):
    with pytest.raises(SolverError, match=r"one segment .*found 3") as caught:
        solve(make_deadline(1, levels=3))
    assert "benders" in caught.value.hint


@pytest.mark.parametrize("method", ["fixed-point", "damped", "best-response", "benders", "planner", "enumeration"])
@pytest.mark.parametrize("cost", [1e-6, 1e6])
def test_organizations_without_any_data_are_solved_too(method, cost):
    family = GenerationAmounts(np.zeros(3), 0.8, cost, 0.002, 400.0)
    game = CoopetitionGame([900.0, 700.0, 500.0], 0.02 * (1 - np.eye(3)), Saturating(0.9, 500.0), family)
    found = solve(game, method)
    assert found.converged
    assert (found.strategies > 0.0).all() == (cost < 1.0)
    if method != "planner":
        assert found.epsilon <= 1e-9
