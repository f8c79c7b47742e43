"""The golden games: computed by an independent reference, played here on the decoded terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cocogen.errors import CertificateError, ConfigurationError, GameError, SolverError
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.effective import effective_samples
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.mechanisms import build_game, mechanism
from cocogen.mechanisms import planning as planning
from cocogen.solvers import certify, solve

RNG = np.random.default_rng(0)


def _close(found, expected):
    assert (np.abs(np.asarray(found) - expected) <= 1e-6 * np.maximum(1.0, np.abs(expected))).all()


def test_the_plan_is_the_golden_equilibrium(golden):
    plan, expected = mechanism("cocogen+").plan(golden.market, RNG), golden.expected
    _close(plan.strategies, expected["equilibrium"])
    assert plan.epsilon < 1e-9
    assert plan.equilibrium.converged
    assert plan.potential == pytest.approx(expected["potential"], rel=1e-9)
    assert plan.welfare == pytest.approx(expected["welfare"], rel=1e-9)
    assert plan.planner_welfare == pytest.approx(expected["planner_welfare"], rel=1e-9)
    assert plan.efficiency == pytest.approx(expected["efficiency"], rel=1e-9)
    np.testing.assert_allclose(plan.payoffs, expected["payoffs"], rtol=1e-9)
    np.testing.assert_allclose(plan.transfers, expected["transfers"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(plan.outside_options, expected["outside"], rtol=1e-9)
    np.testing.assert_allclose(plan.planner_strategies, expected["planner"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(plan.surplus, np.array(expected["payoffs"]) - expected["outside"], atol=1e-6)


@pytest.mark.parametrize("method", ["fixed-point", "damped", "best-response"])
def test_every_solver_finds_the_golden_equilibrium(golden, method):
    game = build_game(golden.market)
    equilibrium = solve(game, method)
    _close(equilibrium.strategies, golden.expected["equilibrium"])
    assert game.effective_samples(equilibrium.strategies).sum() == pytest.approx(golden.expected["omega"], rel=1e-9)
    np.testing.assert_allclose(game.potential_weights, golden.expected["potential_weights"], rtol=1e-12)


def test_payoffs_and_outside_options_are_golden_at_the_given_profile(golden):
    game, expected = build_game(golden.market), golden.expected
    g = np.array(expected["equilibrium"])
    np.testing.assert_allclose(game.payoffs(g), expected["payoffs"], rtol=1e-9)
    np.testing.assert_allclose(outside_options(game), expected["outside"], rtol=1e-9)
    assert game.welfare(np.array(expected["planner"])) == pytest.approx(expected["planner_welfare"], rel=1e-9)
    assert certify(game, g).epsilon < 1e-9


def test_the_integer_profile_is_the_golden_contribution(golden):
    plan = mechanism("cocogen+").plan(golden.market, RNG)
    profile = plan.profile
    contributions = np.stack([profile.data, profile.generated, profile.compute], axis=1)
    np.testing.assert_array_equal(contributions, golden.contributions)
    assert profile.raw.dtype == np.int64
    for raw, generated, quality in zip(profile.raw, profile.generated, golden.market.resources.quality, strict=True):
        assert effective_samples(int(raw), float(quality)) == generated
    assert (profile.raw <= golden.market.resources.maximum).all()
    assert plan.epsilon < plan.epsilon_executed < 1e-4


def test_optimal_weights_make_the_equilibrium_efficient_with_equal_surplus(golden_games):
    optimal = [game for game in golden_games if game.redistribution == "optimal"]
    assert len(optimal) == 6
    for game in optimal:
        plan = mechanism("cocogen+").plan(game.market, RNG)
        assert plan.efficiency == pytest.approx(1.0, abs=1e-9)
        np.testing.assert_allclose(plan.surplus, plan.surplus.mean(), rtol=1e-6)
        assert plan.surplus.min() > 0.0


def test_surplus_when_idle_is_below_that_of_the_plan(golden):
    plan = mechanism("cocogen+").plan(golden.market, RNG)
    assert (plan.surplus_idle <= plan.surplus + 1e-9).all()
    game = build_game(golden.market)
    idle = plan.strategies.copy()
    idle[1] = 0.0
    assert plan.surplus_idle[1] == pytest.approx(game.payoffs(idle)[1] - plan.outside_options[1], rel=1e-9)


def test_absent_organizations_hold_zeros_and_the_rest_play_among_themselves(golden_games):
    market = golden_games[2].market
    here = np.arange(market.size) != 3
    plan = mechanism("cocogen+").plan(replace(market, participants=here), RNG)
    everyone = mechanism("cocogen+").plan(market, RNG)
    for values in (plan.strategies, plan.payoffs, plan.transfers, plan.outside_options, plan.surplus):
        assert values.shape == (market.size,)
        assert values[3] == 0.0
    for counts in (plan.profile.data, plan.profile.generated, plan.profile.raw):
        assert counts[3] == 0
    assert not np.allclose(plan.strategies[here], everyone.strategies[here], atol=1e-3)
    assert abs(plan.transfers.sum()) < 1e-9
    assert plan.equilibrium.strategies.shape == (market.size - 1,)
    assert plan.epsilon < 1e-9


def test_the_ledgers_cap_on_effective_samples_limits_the_plan(golden_games):
    market = golden_games[0].market
    capped = replace(market, resources=replace(market.resources, generated_cap=np.full(market.size, 20)))
    plan = mechanism("cocogen+").plan(capped, RNG)
    assert (plan.profile.generated <= 20).all()
    assert plan.profile.generated.max() == 20
    np.testing.assert_array_less(capped.resources.quality * plan.strategies, 20.0 + 1e-9)
    assert plan.epsilon < 1e-9


def test_every_parameter_of_the_market_reaches_the_game(golden_games):
    market = golden_games[0].market
    rho = np.triu(market.competition)  # asymmetric: who comes later in the terms is not harmed
    market = replace(market, competition=rho, damage=0.4, private_gain=0.05, private_base=150.0)
    here = np.arange(market.size) != 1
    decoded = market.decoded
    local = market.resources.local[here].astype(float)
    delta = market.heterogeneity[here]
    expected = CoopetitionGame(
        market.profitability[here],
        rho[here][:, here],
        market.accuracy.with_heterogeneity(float(delta @ local / local.sum())),
        GenerationAmounts(
            local,
            market.resources.quality[here],
            market.resources.cost_linear[here],
            market.resources.cost_quadratic[here],
            market.resources.maximum[here],
        ),
        Redistribution(
            DenseCompetition(decoded.rates[here][:, here]), decoded.score_weights[here], decoded.score_offsets[here]
        ),
        delta,
        damage=0.4,
        private_gain=0.05,
        private_base=150.0,
    )
    plan = mechanism("cocogen+").plan(replace(market, participants=here), RNG)
    np.testing.assert_allclose(plan.payoffs[here], expected.payoffs(plan.strategies[here]), rtol=1e-13)
    np.testing.assert_allclose(plan.outside_options[here], outside_options(expected), rtol=1e-13)
    assert certify(expected, plan.strategies[here]).epsilon < 1e-12


def test_too_few_participants_are_no_round(golden_games):
    market = golden_games[0].market
    alone = replace(market, participants=np.arange(market.size) == 0)
    with pytest.raises(GameError, match="1 organizations take part"):
        mechanism("cocogen+").plan(alone, RNG)


def test_messages_name_the_organization_of_the_terms(golden_games):
    market = golden_games[0].market
    poor = replace(market, profitability=np.where(np.arange(market.size) == 4, 1.0, market.profitability))
    with pytest.raises(GameError, match="organization 'o4'"):
        build_game(poor)


def test_a_market_whose_arrays_disagree_is_refused(golden_games):
    market = golden_games[0].market
    with pytest.raises(ConfigurationError, match="heterogeneity") as caught:
        replace(market, heterogeneity=market.heterogeneity[:-1], competition=market.competition[:-1])
    assert len(caught.value.problems) == 2


def test_decoded_terms_of_another_consortium_are_refused(golden_games):
    with pytest.raises(ConfigurationError, match=r"decoded\.rates"):
        replace(golden_games[0].market, decoded=golden_games[1].market.decoded)


def test_local_samples_above_their_cap_are_refused(golden_games):
    market = golden_games[0].market
    with pytest.raises(ConfigurationError, match=r"local\[0\]"):
        replace(market.resources, data_cap=market.resources.local - 1)


def test_resources_whose_arrays_disagree_are_refused(golden_games):
    with pytest.raises(ConfigurationError, match="quality"):
        replace(golden_games[0].market.resources, quality=np.ones(2))


def test_no_plan_leaves_without_a_passing_certificate(golden_games, monkeypatch):
    monkeypatch.setattr(planning, "TOLERANCE", -1.0)
    with pytest.raises(CertificateError, match=r"cocogen\+ is not an equilibrium"):
        mechanism("cocogen+").plan(golden_games[0].market, RNG)


def test_a_fixed_point_that_did_not_converge_is_an_error(golden_games, monkeypatch):
    monkeypatch.setattr(planning, "solve", lambda game, method: replace(solve(game, method), converged=False))
    with pytest.raises(SolverError, match=r"cocogen\+: fixed-point stopped"):
        mechanism("cocogen+").plan(golden_games[0].market, RNG)


def test_efficiency_is_left_out_where_the_planner_earns_nothing(golden_games):
    market = golden_games[0].market
    dear = replace(market, resources=replace(market.resources, cost_fixed=np.full(market.size, 1e5)))
    assert mechanism("cocogen+").plan(dear, RNG).efficiency is None


def test_the_same_market_gives_the_same_plan(golden_games):
    first, second = (mechanism("cocogen+").plan(golden_games[4].market, RNG) for _ in range(2))
    np.testing.assert_array_equal(first.strategies, second.strategies)
    np.testing.assert_array_equal(first.payoffs, second.payoffs)
