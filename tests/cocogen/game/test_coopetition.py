from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError, GameError, InvalidAccuracy, UnstableMarket
from cocogen.game.accuracy import PowerLaw, Saturating
from cocogen.game.competition import DenseCompetition, UniformCompetition
from cocogen.game.coopetition import CoopetitionGame, admissible_scale
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.solvers import solve

KINDS = st.sampled_from(["square-root", "power-law", "saturating"])
SEEDS = st.integers(0, 2**32 - 1)
DAMAGES = st.sampled_from([0.0, 0.35, 1.0])
PRIVATE_GAINS = st.sampled_from([0.0, 0.02, 0.2])


def _payoffs_by_definition(game: CoopetitionGame, g: np.ndarray) -> list[float]:
    """U_n term by term, in plain Python."""
    family, accuracy, rho, p = game.family, game.accuracy, game.competition.matrix, game.profitability
    sizes = range(game.size)
    q = [family.local[n] + family.quality[n] * g[n] for n in sizes]
    x = [family.local[n] + family.generated_weight * family.quality[n] * g[n] for n in sizes]
    cost = [
        family.cost_linear[n] * g[n] + family.cost_quadratic[n] * g[n] ** 2 / 2 + family.cost_fixed[n] for n in sizes
    ]
    psi = [game.private_gain * math.log(1 + q[n] / game.private_base) for n in sizes]
    score = [game.redistribution.score_offsets[n] + game.redistribution.score_weights[n] * x[n] for n in sizes]
    rates = game.redistribution.rates.matrix
    shared = float(accuracy.value(sum(q)))
    payoffs = []
    for n in sizes:
        loss = sum(rho[n, m] * p[m] * (shared - float(accuracy.value(sum(q) - q[n]))) for m in sizes)
        standing = sum(rho[n, m] * p[m] * (psi[m] - psi[n]) for m in sizes)
        transfer = sum((rates[n, m] + rates[m, n]) / 2 * (score[n] - score[m]) for m in sizes)
        payoffs.append(
            p[n] * (shared + psi[n]) - cost[n] - game.damage * loss - (1 - game.damage) * standing + transfer
        )
    return payoffs


@settings(max_examples=80, derandomize=True, deadline=None)
@given(seed=SEEDS, kind=KINDS, damage=DAMAGES, private=PRIVATE_GAINS, size=st.integers(2, 7))
def test_property_payoffs_follow_their_definition(make_game, seed, kind, damage, private, size):
    game = make_game(seed, size=size, accuracy=kind, damage=damage, private_gain=private, weighted=True)
    g = np.random.default_rng(seed).uniform(0.0, 400.0, size)
    expected = _payoffs_by_definition(game, g)
    np.testing.assert_allclose(game.payoffs(g), expected, rtol=1e-11, atol=1e-9)
    assert game.welfare(g) == pytest.approx(sum(expected), rel=1e-11, abs=1e-9)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(seed=SEEDS, kind=KINDS, damage=DAMAGES, private=PRIVATE_GAINS, size=st.integers(2, 7))
def test_property_a_payoff_change_is_the_weighted_potential_change(make_game, seed, kind, damage, private, size):
    game = make_game(seed, size=size, accuracy=kind, damage=damage, private_gain=private, weighted=True)
    rng = np.random.default_rng(seed)
    g = rng.uniform(0.0, 400.0, size)
    for n in range(size):
        moved = g.copy()
        moved[n] = rng.uniform(0.0, 400.0)
        gain = game.payoffs(moved)[n] - game.payoffs(g)[n]
        predicted = game.potential_weights[n] * (game.potential(moved) - game.potential(g))
        scale = max(1.0, abs(gain), abs(game.payoffs(g)[n]), abs(game.potential_weights[n] * game.potential(g)))
        assert abs(gain - predicted) <= 1e-12 * scale


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, damage=DAMAGES, private=PRIVATE_GAINS, size=st.integers(2, 7))
def test_property_unilateral_deviations_are_payoffs_of_changed_profiles(make_game, seed, damage, private, size):
    game = make_game(seed, size=size, damage=damage, private_gain=private, weighted=True)
    rng = np.random.default_rng(seed)
    g, other = rng.uniform(0.0, 400.0, (2, size))
    deviations = game.deviations(g)
    expected = [game.payoffs(np.where(np.arange(size) == n, other, g))[n] for n in range(size)]
    np.testing.assert_allclose(deviations.payoffs(other, deviations.level), expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(deviations.current, game.payoffs(g))
    block = deviations.block(slice(1, size))
    np.testing.assert_array_equal(
        block.payoffs(other[1:], block.level), deviations.payoffs(other, deviations.level)[1:]
    )


@pytest.fixture
def unequal_pair() -> CoopetitionGame:
    competition = DenseCompetition([[0.0, 0.1], [0.1, 0.0]])
    local = np.array([400.0, 300.0])
    family = GenerationAmounts(local, 0.8, 0.02, 0.001, 400.0)
    redistribution = Redistribution.uniform(competition, 1.0, local)
    return CoopetitionGame([2000.0, 700.0], competition, PowerLaw(1.0, 4.0, 0.5, 0.1), family, redistribution)


def test_the_equilibrium_maximises_the_corrected_potential(unequal_pair):
    equilibrium = solve(unequal_pair)
    rng = np.random.default_rng(0)
    others = rng.uniform(0.0, 400.0, (200, 2))
    assert all(unequal_pair.potential(g) < equilibrium.potential for g in others)


def _game(**changes) -> CoopetitionGame:
    arguments = {
        "profitability": [900.0, 400.0, 700.0],
        "competition": UniformCompetition(0.05, 3),
        "accuracy": PowerLaw(),
        "family": GenerationAmounts([300.0, 200.0, 100.0], 0.8, 0.02, 0.002, 400.0),
    }
    return CoopetitionGame(**(arguments | changes))


def test_an_unstable_market_names_the_organization_and_the_largest_admissible_competition():
    with pytest.raises(UnstableMarket, match="organization 'south'") as caught:
        _game(competition=0.5 * (1 - np.eye(3)), names=["north", "south", "east"])
    # z of "south" is 400 − s · 0.5 · (900 + 700) > 0, so s < 0.5 and every entry below 0.25.
    assert "less than 0.5 " in caught.value.hint
    assert "below 0.25)" in caught.value.hint


def test_a_market_just_below_the_admissible_scale_is_accepted_and_at_it_refused():
    competition = 0.5 * (1 - np.eye(3))
    scale = admissible_scale([900.0, 400.0, 700.0], competition)
    assert scale == 0.5
    assert _game(competition=competition * (scale * (1 - 1e-9))).potential_weights.min() > 0.0
    with pytest.raises(UnstableMarket):
        _game(competition=competition * scale)


def test_damage_of_zero_admits_any_competition():
    assert admissible_scale([900.0, 400.0], np.array([[0.0, 1.0], [1.0, 0.0]]), damage=0.0) == math.inf
    game = _game(competition=1.0 * (1 - np.eye(3)), damage=0.0)
    np.testing.assert_array_equal(game.potential_weights, [900.0, 400.0, 700.0])


def test_one_organization_is_no_game():
    with pytest.raises(GameError, match="at least 2 organizations, found 1"):
        CoopetitionGame([900.0], [[0.0]], PowerLaw(), GenerationAmounts([300.0], 0.8, 0.02, 0.002, 400.0))


def test_an_organization_without_samples_needs_an_accuracy_stated_from_zero():
    family = GenerationAmounts([300.0, 0.0, 100.0], 0.8, 0.02, 0.002, 400.0)
    with pytest.raises(GameError, match="organization 1 may contribute as little as 0"):
        _game(family=family)
    assert np.isfinite(_game(family=family, accuracy=Saturating()).payoffs(np.zeros(3))).all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"profitability": [900.0, 0.0, 700.0]}, r"profitability\[1\]"),
        ({"profitability": [900.0, 400.0]}, "profitability"),
        ({"profitability": [900.0, np.nan, 700.0]}, r"profitability\[1\]"),
        ({"competition": UniformCompetition(0.05, 4)}, "competition"),
        ({"competition": 1.2 * (1 - np.eye(3)), "damage": 0.0}, "largest entry 1.2"),
        ({"redistribution": Redistribution.none(2)}, "redistribution"),
        ({"names": ["a", "b"]}, "names"),
        ({"damage": 1.5}, "damage"),
        ({"private_gain": -0.1}, "private_gain"),
        ({"private_base": 0.0}, "private_base"),
        ({"heterogeneity": [0.1, 0.2]}, "heterogeneity"),
    ],
)
def test_a_malformed_part_is_named(changes, named):
    with pytest.raises(ConfigurationError, match=named):
        _game(**changes)


def test_heterogeneity_of_one_is_refused():
    with pytest.raises(InvalidAccuracy, match="must lie in"):
        _game(heterogeneity=[0.1, 1.0, 0.2])


def test_a_convex_accuracy_function_is_refused():
    class Convex(PowerLaw):
        def value(self, omega):
            return np.asarray(omega, dtype=float) ** 2

        def derivative(self, omega):
            return 2.0 * np.asarray(omega, dtype=float)

        def second_derivative(self, omega):
            return 2.0 + 0.0 * np.asarray(omega, dtype=float)

    with pytest.raises(InvalidAccuracy, match="concave"):
        _game(accuracy=Convex())


def test_competition_as_dense_sparse_and_operator_is_the_same_game():
    import scipy.sparse

    full = 0.05 * (1 - np.eye(3))
    g = np.array([10.0, 20.0, 30.0])
    payoffs = [
        _game(competition=c, redistribution=Redistribution.uniform(c, 0.5, [300.0, 200.0, 100.0])).payoffs(g)
        for c in (full, scipy.sparse.csr_array(full), UniformCompetition(0.05, 3))
    ]
    np.testing.assert_allclose(payoffs[1], payoffs[0], rtol=1e-13)
    np.testing.assert_allclose(payoffs[2], payoffs[0], rtol=1e-13)
