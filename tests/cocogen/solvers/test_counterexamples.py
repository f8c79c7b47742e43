"""What the papers print or hope for and does not hold, each with the instance that shows it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.optimize

from cocogen.game.accuracy import PowerLaw, SquareRootBound
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.solvers import certify, solve


def _printed_potential(game: CoopetitionGame, profile: np.ndarray) -> float:
    """TradeFL Eq. (15) as printed: P(Ω) + Σ_i (−C_i + Σ_j r_ij) / z_i, r_ij = incentive σ_ij (X_i − X_j)."""
    effect = game.family.segments.effect(*game.family.locate(profile))
    own = (game.redistribution.transfers(effect.score_input) - effect.cost) / game.potential_weights
    return float(game.accuracy.value(effect.samples.sum()) + own.sum())


@pytest.fixture
def unequal_pair() -> CoopetitionGame:
    competition = DenseCompetition([[0.0, 0.1], [0.1, 0.0]])
    local = np.array([400.0, 300.0])
    family = GenerationAmounts(local, 0.8, 0.02, 0.001, 400.0)
    redistribution = Redistribution.uniform(competition, 1.0, local)
    return CoopetitionGame([2000.0, 700.0], competition, PowerLaw(1.0, 4.0, 0.5, 0.1), family, redistribution)


def test_the_argmax_of_tradefl_equation_15_as_printed_is_not_an_equilibrium(unequal_pair):
    game = unequal_pair

    def argmax(potential):
        start = np.full(2, 100.0)
        bounds = [(0.0, 400.0)] * 2
        return scipy.optimize.minimize(
            lambda g: -1e3 * potential(g), start, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15}
        ).x

    printed = certify(game, argmax(lambda g: _printed_potential(game, g)))
    corrected = certify(game, argmax(game.potential))
    assert printed.epsilon > 1e-3
    assert printed.gains.max() > 1.0
    assert corrected.epsilon < 1e-8


@pytest.fixture
def three_trainers() -> CoopetitionGame:
    """Two compute levels each; profits differ, and so do the weights z in which Eq. (15) adds up the transfers."""
    competition = np.array([[0.0, 0.06, 0.04], [0.06, 0.0, 0.05], [0.04, 0.05, 0.0]])
    family = DataFractions([2e10, 1.5e10, 2.5e10], [1800, 1200, 1500], [3e9, 5e9], 1.0, 20.0, overhead_weight=0.01)
    redistribution = Redistribution.uniform(competition, 2e-9, np.zeros(3))
    return CoopetitionGame([2400.0, 500.0, 1000.0], competition, SquareRootBound(1.0, 20.0), family, redistribution)


def test_on_tradefls_own_strategies_too_equation_15_picks_a_profile_that_someone_leaves(three_trainers):
    game = three_trainers
    choices = list(product([0.01, 0.25, 0.5, 0.75, 1.0], [3e9, 5e9]))
    profiles = [np.array(profile) for profile in product(choices, repeat=3)]
    printed = certify(game, max(profiles, key=lambda profile: _printed_potential(game, profile)))
    corrected = certify(game, max(profiles, key=game.potential))
    # The corrected maximiser is an equilibrium of the game on these choices; here of the continuous one, too.
    assert corrected.epsilon < 1e-12
    assert printed.gains.max() > 0.1
    assert game.potential_weights.max() > 3.0 * game.potential_weights.min()


def test_tradefl_equation_15_as_printed_is_right_without_an_incentive(make_game):
    game = make_game(3, incentive=0.0)
    g = np.full(game.size, 50.0)
    assert _printed_potential(game, g) == pytest.approx(game.potential(g), rel=1e-12)


def test_energy_without_the_cycles_per_bit_of_equation_11_leads_to_another_profile(make_tradefl):
    """Eq. (11) writes the energy as κ f² d s; with η cycles a bit, who plays that equilibrium pays η times as much."""
    terms = {"overhead_weight": 1e-2, "incentive": 5e-9, "cycles_per_bit": 20.0}
    game = make_tradefl(0, **terms)
    printed = make_tradefl(0, **(terms | {"overhead_weight": terms["overhead_weight"] / 20.0}))
    certificate = certify(game, solve(printed, "best-response").strategies)
    assert certificate.gains.max() > 1.0
    assert certify(game, solve(game, "best-response").strategies).epsilon < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_the_published_rule_at_a_large_incentive_takes_more_than_all_shared_accuracy_is_worth(make_tradefl, seed):
    game = make_tradefl(seed, incentive=1e-6, mean_competition=0.02)
    equilibrium = solve(game, "best-response")
    assert equilibrium.epsilon < 1e-9
    surplus = game.payoffs(equilibrium.strategies) - outside_options(game)
    # Outside options are at most p = 2500; here most of one is taken away, and given to the others.
    assert surplus.min() < -500.0
    assert surplus.max() > 500.0
    assert game.transfers(equilibrium.strategies).sum() == pytest.approx(0.0, abs=1e-8)
    # Who loses most is the one whose data are worth least to the score, not a free rider: everyone trains on all of it.
    np.testing.assert_array_equal(equilibrium.strategies[:, 0], 1.0)
    assert int(np.argmin(surplus)) == int(np.argmin(game.transfers(equilibrium.strategies)))


def test_a_low_contributor_ends_below_zero_at_a_large_incentive_and_above_its_outside_option_at_a_small_one(
    make_tradefl,
):
    large = make_tradefl(0, incentive=1e-6, mean_competition=0.02)
    assert large.payoffs(solve(large, "best-response").strategies).min() < -100.0
    small = make_tradefl(0, incentive=5e-9, mean_competition=0.001)
    payoffs = small.payoffs(solve(small, "best-response").strategies)
    assert (payoffs > outside_options(small)).all()


def _pair(incentive: float, maximum=(700.0, 160.0), intensity=0.16) -> CoopetitionGame:
    """A large organization with costly generation and a small one with cheap generation."""
    local, heterogeneity = np.array([530.0, 90.0]), np.array([0.12, 0.04])
    competition = intensity * (1.0 - np.eye(2))
    return CoopetitionGame(
        [3000.0, 2250.0],
        competition,
        PowerLaw(1.0, 4.0, 0.5, float(np.average(heterogeneity, weights=local))),
        GenerationAmounts(local, [0.9, 0.75], [0.21, 0.22], [0.0068, 0.00023], maximum),
        Redistribution.uniform(competition, incentive, local),
        heterogeneity,
    )


def _surplus(game: CoopetitionGame) -> np.ndarray:
    equilibrium = solve(game)
    assert equilibrium.epsilon < 1e-9
    return game.payoffs(equilibrium.strategies) - outside_options(game)


def test_cocogen_plus_makes_who_cannot_generate_much_pay_far_more_than_it_gains():
    game = _pair(20.0)
    surplus = _surplus(game)
    assert surplus[1] < -200.0
    assert game.payoffs(solve(game).strategies)[1] < outside_options(game)[1]
    assert game.transfers(solve(game).strategies)[1] < -200.0
    assert _surplus(_pair(2.0)).min() > 10.0


def test_rational_incentives_are_no_interval():
    signs = {incentive: bool((_surplus(_pair(incentive)) >= 0.0).all()) for incentive in (0.0, 2.0, 6.5, 10.5, 20.0)}
    assert signs == {0.0: False, 2.0: True, 6.5: False, 10.5: True, 20.0: False}


@pytest.mark.parametrize("incentive", [0.0, 0.5, 2.0, 10.0, 1000.0])
def test_no_incentive_is_rational_where_nobody_can_generate_and_damage_exceeds_the_gain(incentive):
    game = _pair(incentive, maximum=0.0, intensity=0.35)
    surplus = _surplus(game)
    # Nobody scores, so nobody is paid: the first one's loss is the same at every incentive.
    np.testing.assert_array_equal(game.transfers(np.zeros(2)), np.zeros(2))
    assert surplus[0] < -1.0


def test_the_published_rule_does_not_balance_for_an_asymmetric_competition(make_game):
    game = make_game(2, incentive=0.4)
    g = np.random.default_rng(2).uniform(0.0, 400.0, game.size)
    scores = game.redistribution.scores(game.family.segments.effect(*game.family.locate(g)).score_input)
    rho = game.competition.matrix
    published = 0.4 * np.array([sum(rho[n] * (scores[n] - scores)) for n in range(game.size)])
    assert abs(published.sum()) > 1e-2 * np.abs(published).max()
    assert abs(game.transfers(g).sum()) < 1e-12 * np.abs(published).max()
    symmetric = 0.5 * (rho + rho.T)
    balanced = 0.4 * np.array([sum(symmetric[n] * (scores[n] - scores)) for n in range(game.size)])
    np.testing.assert_allclose(game.transfers(g), balanced, rtol=1e-9)


def _with_marginal_scores(game: CoopetitionGame, incentive: float):
    """Payoffs and the formal potential when the score is the marginal contribution P(Ω) − P(Ω − q_n)."""
    plain = game.with_redistribution(Redistribution.none(game.size))
    rule = Redistribution(game.competition.scaled(incentive), 1.0, 0.0)

    def marginal(g: np.ndarray) -> np.ndarray:
        q = game.effective_samples(g)
        return game.accuracy.value(q.sum()) - game.accuracy.value(q.sum() - q)

    def payoffs(g: np.ndarray) -> np.ndarray:
        return plain.payoffs(g) + rule.transfers(marginal(g))

    def potential(g: np.ndarray) -> float:
        return plain.potential(g) + float((rule.marginal_rates() * marginal(g) / game.potential_weights).sum())

    return payoffs, potential


def _cycle_ratio(payoffs, corners, third: float) -> float:
    """Gains of organization 0 over gains of organization 1 around the rectangle of their amounts with these corners."""
    (a0, b0), (a1, b1) = corners
    u = [payoffs(np.array([a, b, third])) for a, b in ((a0, b0), (a1, b0), (a1, b1), (a0, b1))]
    first = (u[1] - u[0])[0] + (u[3] - u[2])[0]
    second = (u[2] - u[1])[1] + (u[0] - u[3])[1]
    return float(first / second)


def test_a_marginal_contribution_inside_the_redistribution_destroys_the_potential(make_game):
    """Weights z with a potential exist only if all four-cycles have the ratio −z_0 / z_1 (Monderer and Shapley).

    It takes three organizations: between two, marginal contributions differ by P(q_0) − P(q_1), which is separable.
    """
    game = make_game(11, size=3)
    cycles = [
        (((0.0, 0.0), (400.0, 400.0)), 0.0),
        (((0.0, 50.0), (60.0, 400.0)), 0.0),
        (((0.0, 0.0), (400.0, 9.0)), 400.0),
    ]
    expected = -game.potential_weights[0] / game.potential_weights[1]
    affine = [_cycle_ratio(game.payoffs, *cycle) for cycle in cycles]
    np.testing.assert_allclose(affine, expected, rtol=1e-6)
    payoffs, potential = _with_marginal_scores(game, 1000.0)
    marginal = [_cycle_ratio(payoffs, *cycle) for cycle in cycles]
    assert max(marginal) - min(marginal) > 0.01 * abs(expected)

    g, moved = np.zeros(3), np.array([400.0, 0.0, 0.0])
    gain = (payoffs(moved) - payoffs(g))[0]
    predicted = game.potential_weights[0] * (potential(moved) - potential(g))
    assert abs(gain - predicted) > 0.5
