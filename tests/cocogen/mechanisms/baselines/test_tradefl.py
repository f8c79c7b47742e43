"""WPR, GCA and TOS by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import SolverError
from cocogen.experiments.markets import tradefl_market
from cocogen.game.data_fractions import DataFractions
from cocogen.mechanisms.baselines.tradefl import (
    full_contribution,
    proportional_compute,
    proportional_segments,
    without_redistribution,
)
from cocogen.solvers import certify


@pytest.fixture
def game():
    return tradefl_market(np.random.default_rng(4), size=4).game(5e-9)


def _family(deadline: float, levels=(1.0, 2.0, 4.0)) -> DataFractions:
    """One organization of 8 cycles and 100 samples a whole data set."""
    return DataFractions(8.0, [100.0], levels, 1.0, deadline, minimum_fraction=0.1)


def test_wpr_is_an_equilibrium_of_the_market_without_transfers(game):
    outcome = without_redistribution(game)
    assert outcome.certificate.epsilon <= 1e-9
    assert outcome.welfare == pytest.approx(game.welfare(outcome.strategies))
    unpaid = game.payoffs(outcome.strategies) - game.transfers(outcome.strategies)
    np.testing.assert_allclose(outcome.payoffs, unpaid, rtol=1e-12)


def test_gca_needs_a_level_in_proportion_to_the_data():
    segments = proportional_segments(_family(deadline=100.0))
    np.testing.assert_allclose(segments.lower[0], [0.1, 0.25, 0.5])
    np.testing.assert_allclose(segments.upper[0], [0.25, 0.5, 1.0])
    assert segments.feasible.all()


def test_gca_computes_faster_where_the_deadline_asks_for_it():
    # 8 d / f ≤ 10 / 3: a level f carries d = 5 f / 12, which binds at no level; at 4 / 3 it carries f / 6, which does.
    loose = proportional_segments(_family(deadline=10.0 / 3.0))
    np.testing.assert_allclose(loose.upper[0], [0.25, 0.5, 1.0])
    tight = proportional_segments(_family(deadline=4.0 / 3.0))
    np.testing.assert_allclose(tight.lower[0], [0.1, 1.0 / 6.0, 1.0 / 3.0])
    np.testing.assert_allclose(tight.upper[0], [1.0 / 6.0, 1.0 / 3.0, 2.0 / 3.0])


def test_gca_leaves_out_levels_that_miss_the_deadline_or_serve_no_fraction():
    segments = proportional_segments(_family(deadline=0.5))
    np.testing.assert_array_equal(segments.feasible, [[False, True, True]])
    slow = proportional_segments(_family(deadline=100.0, levels=(0.2, 2.0, 4.0)))
    np.testing.assert_array_equal(slow.feasible, [[False, True, True]])
    assert slow.lower[0, 1] == 0.1


def test_gca_is_stable_under_its_rule_and_judged_in_the_true_market(game):
    outcome = proportional_compute(game)
    fraction, compute = outcome.strategies.T
    share = fraction * game.family.compute_levels[:, -1]
    assert (compute >= share * (1.0 - 1e-12)).all()
    assert outcome.in_time.all()
    np.testing.assert_array_equal(outcome.payoffs, game.payoffs(outcome.strategies))
    assert outcome.certificate.epsilon == certify(game, outcome.strategies).epsilon
    assert outcome.accuracy == pytest.approx(float(game.accuracy.value((fraction * game.family.samples).sum())))
    _assert_no_better_fraction(game, outcome)


def _assert_no_better_fraction(game, outcome):
    """Nobody gains by another fraction at the smallest level that the rule asks for, on a grid."""
    family, deviations = game.family, game.deviations(outcome.strategies)
    for fraction in np.linspace(family.minimum_fraction, 1.0, 400):
        cycles = family.cycles_per_bit * family.bits * fraction
        needed = np.maximum(
            fraction * family.compute_levels[:, -1], cycles / (family.deadline - family.communication_time)
        )
        can = needed <= family.compute_levels[:, -1]
        level = np.minimum((family.compute_levels < needed[:, None]).sum(axis=1), family.compute_levels.shape[1] - 1)
        payoffs = deviations.payoffs(np.full(game.size, fraction), level)
        assert (payoffs[can] <= outcome.payoffs[can] + 1e-7).all()


def test_tos_ignores_the_deadline_and_says_who_is_late(game):
    outcome = full_contribution(game)
    np.testing.assert_array_equal(outcome.strategies[:, 0], np.ones(4))
    np.testing.assert_array_equal(outcome.strategies[:, 1], np.full(4, 5e9))
    family = game.family
    late = family.communication_time + family.cycles_per_bit * family.bits / 5e9 > family.deadline
    assert late.any()
    np.testing.assert_array_equal(outcome.in_time, ~late)
    assert outcome.certificate is None
    cost = family.overhead_weight * (
        family.capacitance * 5e9**2 * family.cycles_per_bit * family.bits + family.communication_energy
    )
    shared = game.accuracy.value(family.samples.sum())
    lost = shared - game.accuracy.value(family.samples.sum() - family.samples)
    np.testing.assert_allclose(outcome.payoffs, game.profitability * shared - cost - game.damage_weights * lost)


def test_tos_has_a_certificate_where_everybody_is_in_time():
    from dataclasses import replace

    market = replace(tradefl_market(np.random.default_rng(4), size=4), deadline=60.0)
    outcome = full_contribution(market.game(5e-9))
    assert outcome.in_time.all()
    assert outcome.certificate.epsilon > 0.0


@pytest.mark.parametrize("scheme", [without_redistribution, proportional_compute, full_contribution])
def test_schemes_refuse_another_strategy_family(make_game, scheme):
    with pytest.raises(SolverError, match="GenerationAmounts"):
        scheme(make_game(0))


def test_wpr_says_when_its_solver_gave_up(game, monkeypatch):
    from cocogen.mechanisms.baselines import tradefl as tradefl_schemes
    from cocogen.solvers import solve

    def impatient(game, method):
        return solve(game, "best-response", maximum_sweeps=1)

    monkeypatch.setattr(tradefl_schemes, "solve", impatient)
    with pytest.raises(SolverError, match="wpr"):
        without_redistribution(game)
