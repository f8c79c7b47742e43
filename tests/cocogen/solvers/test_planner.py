from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen import CoopetitionGame, GenerationAmounts, PowerLaw
from cocogen.errors import SolverError
from cocogen.game.data_fractions import DataFractions
from cocogen.solvers import solve
from cocogen.solvers.planner import Welfare
from cocogen.solvers.welfare import WelfareFunction, is_concave, maximise
from tests.examples import seeds

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


def _envied(private_gain: float = 0.1, levels: int = 1) -> CoopetitionGame:
    """One star that everybody envies: its private gain costs the others more than it earns."""
    competition = np.zeros((5, 5))
    competition[1:, 0] = 0.4
    families = {
        1: GenerationAmounts([200.0] * 5, 0.8, 0.02, 0.002, 400.0),
        2: DataFractions(2e10, [200.0] * 5, [3e9, 4e9], 1.0, 100.0),
    }
    return CoopetitionGame(
        [1000.0] * 5,
        competition,
        PowerLaw(),
        families[levels],
        damage=0.0,
        private_gain=private_gain,
        private_base=100.0,
        names=["star", "a", "b", "c", "d"],
    )


def test_an_optimisation_that_is_cut_short_says_so(make_game):
    planner = solve(make_game(5), "planner", maximum_iterations=1)
    assert not planner.converged
    assert planner.iterations == 1


def _by_optimiser(game):
    """The largest welfare over all feasible level vectors, each left to a general optimiser."""
    segments, best = game.family.segments, -np.inf
    for chosen in itertools.product(*(np.flatnonzero(row) for row in segments.feasible)):
        level = np.array(chosen)
        low, high = (segments.pick(table, level) for table in (segments.lower, segments.upper))
        scale = abs(game.welfare(game.family.assemble(high, level)))
        result = scipy.optimize.minimize(
            lambda share, low=low, high=high, level=level, scale=scale: (
                -game.welfare(game.family.assemble(low + share * (high - low), level)) / scale
            ),
            np.full(game.size, 0.5),
            bounds=[(0.0, 1.0)] * game.size,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        best = max(best, -float(result.fun) * scale)
    return best


@pytest.mark.parametrize("seed", seeds(12, 36))
def test_a_general_optimiser_finds_no_better_welfare_with_linear_costs_and_levels(make_deadline, seed):
    size, levels = [(2, 3), (3, 2), (5, 1), (8, 1)][seed % 4]
    game = make_deadline(seed, size=size, levels=levels, binding=seed % 3 == 0, twins=seed % 5 == 0, dear=0.6 * size)
    planner, oracle = solve(game, "planner"), _by_optimiser(game)
    assert planner.converged
    assert game.welfare(planner.strategies) >= oracle - 1e-9 * abs(oracle)
    assert game.welfare(planner.strategies) == pytest.approx(oracle, rel=1e-6)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=SEEDS,
    size=st.integers(2, 4),
    levels=st.integers(1, 3),
    damage=st.sampled_from([0.0, 0.5, 1.0]),
    private=st.sampled_from([0.0, 0.01]),
    accuracy=st.sampled_from(["power-law", "saturating"]),
)
def test_property_the_planner_beats_every_fixed_choice_of_levels(
    make_segments, seed, size, levels, damage, private, accuracy
):
    options = {"damage": damage, "private_gain": private, "accuracy": accuracy, "dear": 3.0}
    game = make_segments(seed, size=size, levels=levels, **options)
    planner = solve(game, "planner")
    welfare = game.welfare(planner.strategies)
    segments, best = game.family.segments, -np.inf
    for chosen in itertools.product(*(np.flatnonzero(row) for row in segments.feasible)):
        level = np.array(chosen)
        ascent = maximise(WelfareFunction(game, segments.at(level[:, None])), 1e-10, 200)
        assert ascent.converged
        assert ascent.value[-1] == pytest.approx(game.welfare(game.family.assemble(ascent.position, level)), rel=1e-12)
        best = max(best, ascent.value[-1])
    assert planner.converged
    assert welfare == pytest.approx(best, rel=1e-10)
    trace = planner.trace
    assert trace.upper_bound[-1] - trace.lower_bound[-1] <= 1e-10 * max(1.0, abs(welfare))
    assert trace.lower_bound[-1] == pytest.approx(welfare, rel=1e-12)
    assert welfare >= game.welfare(solve(game, "benders").strategies) - 1e-9 * abs(welfare)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        level = np.array([rng.choice(np.flatnonzero(row)) for row in segments.feasible])
        low, high = (segments.pick(table, level) for table in (segments.lower, segments.upper))
        profile = game.family.assemble(low + rng.uniform(0.0, 1.0, size) * (high - low), level)
        assert game.welfare(profile) <= trace.upper_bound[-1] + 1e-9 * abs(welfare)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, size=st.integers(2, 12), twins=st.booleans(), dear=st.floats(0.1, 3.0))
def test_property_linear_costs_meet_the_conditions_of_an_optimum(make_deadline, seed, size, twins, dear):
    game = make_deadline(seed, size=size, levels=1, binding=False, twins=twins, dear=dear * size)
    planner = solve(game, "planner")
    assert planner.converged
    d, step = planner.strategies[:, 0], 1e-6
    welfare = game.welfare(planner.strategies)
    for n in range(size):
        for moved in (d[n] - step, d[n] + step):
            if game.family.segments.lower[n, 0] <= moved <= game.family.segments.upper[n, 0]:
                profile = planner.strategies.copy()
                profile[n, 0] = moved
                assert game.welfare(profile) <= welfare + 1e-12 * abs(welfare)


def test_without_damage_the_planner_needs_no_curvature_at_all(make_segments):
    # χ = 0, ψ = 0: neither costs nor welfare bend in one organization's data alone.
    for seed in range(10):
        game = make_segments(seed, size=5, levels=1, damage=0.0, dear=3.0)
        planner = solve(game, "planner")
        assert planner.converged
        assert game.welfare(planner.strategies) >= _by_optimiser(game) * (1.0 - 1e-12)


def test_a_thousand_nearly_identical_organizations_do_not_jam(make_deadline):
    template = make_deadline(3, size=1000, levels=1, binding=False, twins=True)
    competition = np.random.default_rng(0).uniform(0.0, 5e-4, (1000, 1000))
    np.fill_diagonal(competition, 0.0)
    family = template.family
    # At this price of energy the planner wants about half of all data.
    omega = 0.5 * family.samples.sum()
    worth = template.profitability.sum() * template.accuracy.derivative(omega) * family.samples[0]
    dear = DataFractions(
        family.bits,
        family.samples,
        family.compute_levels,
        1.0,
        20.0,
        overhead_weight=0.8 * worth / (1e-27 * family.compute_levels[0, 0] ** 2 * family.bits[0]),
    )
    game = CoopetitionGame(template.profitability, competition, template.accuracy, dear)
    planner = solve(game, "planner")
    share = game.effective_samples(planner.strategies).sum() / family.samples.sum()
    assert 0.1 < share < 0.9
    assert planner.converged
    assert planner.iterations < 50
    assert planner.trace.upper_bound[-1] - planner.trace.lower_bound[-1] <= 1e-12 * planner.trace.lower_bound[-1]


def test_concavity_can_be_asked_before(make_game):
    assert is_concave(make_game(1))
    assert is_concave(make_game(1, private_gain=0.05))
    assert is_concave(_envied(private_gain=0.0))
    assert not is_concave(_envied())
    assert not is_concave(_envied(levels=2))


@pytest.mark.parametrize("levels", [1, 2])
def test_welfare_that_is_not_concave_is_refused_by_name(levels):
    with pytest.raises(SolverError, match="private gain of organization 'star'"):
        solve(_envied(levels=levels), "planner")


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, private=st.sampled_from([0.0, 0.02]), damage=st.sampled_from([0.5, 1.0]))
def test_property_a_cut_bounds_every_level_vector_and_is_tight_at_its_own(make_segments, seed, private, damage):
    game = make_segments(seed, private_gain=private, damage=damage, dear=3.0)
    objective, rng, segments = Welfare(game), np.random.default_rng(seed), game.family.segments
    levels = np.array([[rng.choice(np.flatnonzero(row)) for row in segments.feasible] for _ in range(30)])
    low, high = (np.stack([segments.pick(table, row) for row in levels]) for table in (segments.lower, segments.upper))
    positions = low + rng.uniform(0.0, 1.0, low.shape) * (high - low)
    values = np.array([game.welfare(game.family.assemble(*profile)) for profile in zip(positions, levels, strict=True)])
    for samples in (rng.uniform(10.0, 800.0, game.size), objective.start()):
        constant, worth = objective.cut(samples)
        bounds = np.array([constant + segments.pick(worth, level).sum() for level in levels])
        assert (values <= bounds + 1e-9).all()
    position = objective.primal(levels[0])
    constant, worth = objective.cut(segments.effect(position, levels[0]).samples)
    reached = game.welfare(game.family.assemble(position, levels[0]))
    assert constant + segments.pick(worth, levels[0]).sum() == pytest.approx(reached, rel=1e-11)


def test_an_organization_that_nobody_harms_has_no_curvature_of_its_own(make_deadline):
    steps = 0
    for seed in range(10):
        template = make_deadline(seed, size=6, levels=1, binding=False, dear=3.0)
        competition = 3.0 * template.competition.matrix
        competition[:2] = 0.0
        competition *= min(1.0, 0.9 / (competition @ template.profitability / template.profitability).max())
        game = CoopetitionGame(template.profitability, competition, template.accuracy, template.family)
        planner = solve(game, "planner")
        assert planner.converged
        assert game.welfare(planner.strategies) >= _by_optimiser(game) * (1.0 - 1e-12)
        steps = max(steps, planner.iterations)
    assert steps >= 3  # Newton's step was asked for


def test_a_market_at_the_edge_of_stability_needs_the_line_search(make_deadline):
    # Damage outweighs what is shared, so that the separable model misses much of the curvature: full steps cycle here.
    template = make_deadline(147, size=3, levels=1, binding=False, dear=3.0)
    competition = 30.0 * template.competition.matrix
    competition *= min(1.0, 0.97 / (competition @ template.profitability / template.profitability).max())
    game = CoopetitionGame(template.profitability, competition, template.accuracy, template.family)
    planner = solve(game, "planner")
    assert planner.converged
    assert planner.iterations < 50
    assert game.welfare(planner.strategies) >= _by_optimiser(game) * (1.0 - 1e-12)


def test_an_optimisation_that_is_cut_short_bounds_the_optimum(make_game):
    game = make_game(5)
    short, whole = solve(game, "planner", maximum_iterations=1).trace, solve(game, "planner")
    optimum = game.welfare(whole.strategies)
    assert (short.lower_bound < optimum).all()
    assert (short.upper_bound > optimum).all()
    assert whole.trace.upper_bound[-1] == pytest.approx(optimum, rel=1e-12)
