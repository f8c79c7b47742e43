"""Sampled values lie where their standard errors say, and truncation does what its papers say."""

from __future__ import annotations

import numpy as np
import pytest

from cocogen.contribution import (
    EXACT_UP_TO,
    Antithetic,
    Budget,
    Coalitions,
    Guided,
    StandardError,
    Uniform,
    exact_shapley,
    guided_truncated,
    sampled_shapley,
    shapley,
    truncated_monte_carlo,
)
from cocogen.errors import ConfigurationError

SAMPLERS = (
    *(Uniform(), Guided()),
    *(pytest.param(sampler, marks=pytest.mark.slow) for sampler in (Antithetic(), Guided(3))),
)


def known(oracle) -> Coalitions:
    """The oracle's game with every coalition evaluated: a budget then counts permutations alone."""
    game = oracle.game()
    exact_shapley(game)
    return game


def within(valuation, values, errors: float = 3.0) -> np.ndarray:
    """Which values are within ``errors`` standard errors, rounding apart."""
    return np.abs(valuation.values - values) <= errors * valuation.standard_errors + 1e-12


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_sampled_values_are_within_three_standard_errors_of_the_literature(oracle, sampler) -> None:
    """Of ten seeds: of independent normal errors 0.3 % would be beyond."""
    game, inside = known(oracle), []
    for seed in range(10):
        valuation = sampled_shapley(game, sampler, Budget(600), np.random.default_rng(seed))
        assert valuation.values.sum() == pytest.approx(sum(oracle.values), abs=1e-9)
        assert (valuation.exact, valuation.truncated) == (False, 0)
        assert 600 <= valuation.permutations < 600 + oracle.players
        # An elected member of the security council decides one vote in 500: mostly not seen here, see docs.
        inside.append(within(valuation, oracle.values)[[not 0 < value < 0.01 for value in oracle.values]])
    assert np.mean(inside) >= 0.97


@pytest.mark.parametrize("tolerance", [pytest.param(0.0, marks=pytest.mark.slow), 0.05])
@pytest.mark.parametrize("method", [truncated_monte_carlo, guided_truncated])
def test_tmc_and_gtg_values_lie_within_three_standard_errors_too(oracle, method, tolerance: float) -> None:
    """With truncation as without: what is skipped is in the standard error."""
    game, inside = known(oracle), []
    for seed in range(10):
        skipped = tolerance * abs(oracle.utility(tuple(range(oracle.players))))
        valuation = method(game, Budget(600), np.random.default_rng(seed), tolerance=skipped)
        assert tolerance or not valuation.truncated
        inside.append(within(valuation, oracle.values)[[not 0 < value < 0.01 for value in oracle.values]])
    assert np.mean(inside) >= 0.97


@pytest.mark.parametrize("method", [truncated_monte_carlo, guided_truncated])
@pytest.mark.parametrize("seed", range(3))
def test_a_prefix_that_happens_to_reach_the_whole_is_not_an_end(method, seed: int) -> None:
    """The first is worth as much as all three; the others are worth something nevertheless."""
    worths = np.array([1.0, 0.3, -0.3])
    game = Coalitions(3, lambda s: float(worths[list(s)].sum()))
    valuation = method(game, Budget(300), np.random.default_rng(seed), tolerance=0.01)
    np.testing.assert_allclose(valuation.values, worths, rtol=1e-12)
    assert valuation.standard_errors.max() < 1e-12


@pytest.mark.parametrize("method", [truncated_monte_carlo, guided_truncated])
@pytest.mark.parametrize("shape", ["normal", "mostly small"])
def test_additive_games_of_thirteen_come_out_right(method, shape: str) -> None:
    """Values are the worths, to 0.01 % of the gain and within their standard errors, in every one of 25 games."""
    truncated = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        worths = rng.normal(size=13) * (1.0 if shape == "normal" else 10.0 ** rng.uniform(-4, 0, 13))
        game = Coalitions(13, lambda s, worths=worths: float(worths[list(s)].sum()))
        valuation = method(game, Budget(600), rng, tolerance=0.01 * abs(game.total))
        assert np.abs(valuation.values - worths).max() < 1e-4 * abs(game.total)
        assert within(valuation, worths).all()
        truncated += valuation.truncated
    assert bool(truncated) == (shape == "mostly small")


@pytest.mark.parametrize("method", [truncated_monte_carlo, guided_truncated])
def test_what_is_skipped_biases_nothing_and_is_in_the_standard_error(method) -> None:
    """A game whose last marginal contributions are small, and differ from order to order."""
    shares = np.array([0.5, 0.3, 0.6, 0.2, 0.4, 0.55])
    game = Coalitions(6, lambda s: float(1.0 - np.prod(1.0 - shares[list(s)])))
    exact = exact_shapley(game).values
    found = [method(game, Budget(180), np.random.default_rng(seed), tolerance=0.15) for seed in range(120)]
    values, stated = np.array([v.values for v in found]), np.array([v.standard_errors for v in found])
    assert np.mean([v.truncated / v.permutations for v in found]) > 0.8
    assert (np.abs(values.mean(axis=0) - exact) < 4.0 * values.std(axis=0) / np.sqrt(len(found))).all()
    assert np.mean(np.abs(values - exact) <= 2.0 * stated) > 0.92
    np.testing.assert_allclose(stated.mean(axis=0), values.std(axis=0), rtol=0.25)


def test_a_spoiler_that_comes_late_is_not_missed() -> None:
    """Whoever leads reaches the whole; only the last two to join together spoil it, and one in ten orders is looked
    at to its end even if nobody has been seen to spoil anything before."""

    def utility(coalition) -> float:
        return float(bool(coalition)) - 0.5 * ({10, 11} <= set(coalition)) + 0.5 * (len(coalition) == 12)

    game = Coalitions(12, utility)
    exact = exact_shapley(game).values
    found = [
        truncated_monte_carlo(game, Budget(240), np.random.default_rng(seed), tolerance=0.01) for seed in range(20)
    ]
    assert np.mean([within(valuation, exact) for valuation in found]) >= 0.97


def test_equal_seeds_give_equal_valuations(random_game) -> None:
    first, same, other = (
        guided_truncated(random_game(8, 1).game(), Budget(400), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.values.tolist() == same.values.tolist()
    assert first.standard_errors.tolist() == same.standard_errors.tolist()
    assert first.values.tolist() != other.values.tolist()


@pytest.mark.parametrize("sampler", [Guided(), Antithetic()], ids=repr)
def test_dependence_within_blocks_pays(airport_game, sampler) -> None:
    """At the same number of permutations the error against the known values is smaller than that of uniform orders."""
    oracle = airport_game((1.0, 1.0, 2.0, 4.5, 4.5, 7.0, 12.0))
    game = known(oracle)

    def error(chosen) -> float:
        found = [sampled_shapley(game, chosen, Budget(140), np.random.default_rng(seed)) for seed in range(40)]
        assert {v.permutations for v in found} == {140}
        return float(np.mean([np.square(v.values - oracle.values).mean() for v in found]))

    assert error(sampler) < 0.75 * error(Uniform())


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_standard_errors_are_calibrated(random_game, sampler) -> None:
    """95 % intervals cover the known value in about 95 % of 400 repetitions."""
    oracle = random_game(6, 5, terms=20)
    game = known(oracle)
    covered, spread, stated = [], [], []
    for seed in range(400):
        size = len(sampler.block(6, np.random.default_rng(0)))
        valuation = sampled_shapley(game, sampler, Budget(60 * size), np.random.default_rng(seed))
        assert valuation.permutations == 60 * size
        # 2.0010: the 97.5 % point of Student's t with 59 degrees of freedom.
        covered.append(np.abs(valuation.values - oracle.values) <= 2.0010 * valuation.standard_errors)
        spread.append(valuation.values - oracle.values)
        stated.append(valuation.standard_errors)
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(stated, axis=0) == pytest.approx(np.std(spread, axis=0), rel=0.15)


def test_truncation_spares_evaluations_and_is_reported() -> None:
    def saturating(coalition) -> float:
        return 1.0 - 0.3 ** len(coalition)

    whole = truncated_monte_carlo(Coalitions(10, saturating), Budget(500), np.random.default_rng(1))
    cut = truncated_monte_carlo(Coalitions(10, saturating), Budget(500), np.random.default_rng(1), tolerance=0.01)
    assert whole.truncated == 0
    assert 0.5 * cut.permutations < cut.truncated / 6 < 0.9 * cut.permutations  # the first ones, and one in ten, not
    assert cut.evaluations / cut.permutations < 0.85 * whole.evaluations / whole.permutations
    assert cut.values.sum() == pytest.approx(cut.total, abs=1e-3)
    assert within(cut, cut.total / 10).all()


def test_without_tolerance_a_tie_with_the_whole_is_not_an_end() -> None:
    """The first organization reaches the value of all, the second spoils it, the third repairs it."""
    values = {(): 0.0, (0,): 1.0, (1,): 0.0, (2,): 0.0, (0, 1): -1.0, (0, 2): 1.0, (1, 2): 0.0, (0, 1, 2): 1.0}
    valuation = truncated_monte_carlo(Coalitions(3, values.__getitem__), Budget(600), np.random.default_rng(1))
    assert valuation.truncated == 0
    assert within(valuation, exact_shapley(Coalitions(3, values.__getitem__)).values).all()


def test_a_negligible_round_gives_everybody_nothing_to_the_bound() -> None:
    game = Coalitions(30, lambda s: 0.01 * len(s) / 30)
    valuation = guided_truncated(game, Budget(100), np.random.default_rng(1), negligible=0.02)
    assert not valuation.values.any()
    assert valuation.standard_errors.tolist() == [0.02] * 30
    assert valuation.evaluations == 62
    assert valuation.truncated == 30
    assert not valuation.exact
    assert valuation.total == pytest.approx(0.01)


def test_a_round_in_which_gains_and_losses_cancel_is_not_negligible() -> None:
    worths = np.array([1.0, 0.3, -1.3])
    game = Coalitions(3, lambda s: float(worths[list(s)].sum()))
    valuation = guided_truncated(game, Budget(100), np.random.default_rng(1), negligible=0.02)
    np.testing.assert_allclose(valuation.values, worths, rtol=1e-12)


def test_the_leading_places_of_the_guided_method_can_be_chosen(random_game) -> None:
    oracle = random_game(6, 1)
    one, three = (
        guided_truncated(oracle.game(), Budget(60), np.random.default_rng(1), leading=leading) for leading in (1, 3)
    )
    assert one.values.tolist() != three.values.tolist()
    assert within(three, oracle.values).all()


def test_a_game_of_constants_ends_although_no_coalition_is_new() -> None:
    valuation = truncated_monte_carlo(Coalitions(20, lambda _: 1.0), Budget(50), np.random.default_rng(1), tolerance=1)
    assert not valuation.values.any()
    assert 50 <= max(valuation.evaluations, valuation.permutations) < 50 + 20


def test_one_organization_can_be_sampled_too() -> None:
    game = Coalitions(1, lambda s: 0.75 if s else 0.25)
    for method in (truncated_monte_carlo, guided_truncated):
        valuation = method(game, Budget(5), np.random.default_rng(1))
        assert valuation.values.tolist() == [0.5]
        assert valuation.standard_errors.tolist() == [0.0]


def test_shapley_is_exact_as_long_as_that_can_be_afforded(glove_game) -> None:
    few = shapley(glove_game(EXACT_UP_TO // 2, EXACT_UP_TO // 2).game(), Budget(1), np.random.default_rng(1))
    assert few.exact
    assert few.evaluations == 2**EXACT_UP_TO
    oracle = glove_game(1, EXACT_UP_TO)
    many = shapley(oracle.game(), Budget(3000), np.random.default_rng(1))
    assert not many.exact
    assert many.method == "guided truncated"
    assert within(many, oracle.values).all()


def test_the_wanted_standard_error_is_reached(random_game) -> None:
    oracle = random_game(8, 3)
    valuation = sampled_shapley(oracle.game(), Guided(), StandardError(0.02), np.random.default_rng(3))
    assert 0.01 < valuation.standard_errors.max() <= 0.02
    assert within(valuation, oracle.values).all()


def test_the_budget_is_exceeded_by_one_block_at_most(random_game) -> None:
    oracle = random_game(20, 3, terms=60)
    valuation = sampled_shapley(oracle.game(), Uniform(), Budget(500), np.random.default_rng(3))
    assert 500 <= valuation.evaluations < 500 + 19


def test_progress_is_reported_in_per_cent(random_game) -> None:
    calls = []
    guided_truncated(
        random_game(6, 1).game(), Budget(60), np.random.default_rng(1), progress=lambda *call: calls.append(call)
    )
    assert calls[-1] == ("sampling coalitions (per cent)", 100, 100)
    assert [call[1] for call in calls] == sorted(call[1] for call in calls)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_tolerances_are_finite_and_not_negative(value: float, random_game) -> None:
    game = random_game(4, 1).game()
    for name in ("tolerance", "negligible"):
        with pytest.raises(ConfigurationError, match=name):
            guided_truncated(game, Budget(10), np.random.default_rng(1), **{name: value})
