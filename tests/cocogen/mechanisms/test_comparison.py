"""Every scheme is judged by the same yardsticks, in the market as the ledger would settle it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.game.rationality import outside_options
from cocogen.mechanisms import build_game
from cocogen.mechanisms.comparison import compare_schemes
from cocogen.mechanisms.redistribution.agreement import Encoding
from cocogen.report.comparison import draw_comparison
from cocogen.report.style import save_figure
from cocogen.solvers import solve
from cocogen.systems.cocogen import COCOGEN
from cocogen.systems.tradefl import TRADEFL
from cocogen.terms.sections import Incentive
from cocogen.terms.tradefl import load_data_market

EXAMPLE = Path(__file__).parents[3] / "examples" / "tradefl.toml"


def _encoding(golden) -> Encoding:
    market = golden.market

    def decode(incentive, weights, offsets):
        sigma = 0.5 * (market.competition + market.competition.T)
        return replace(market.decoded, rates=incentive * sigma, score_weights=weights, score_offsets=offsets)

    resources = market.resources
    return Encoding(
        decode=decode,
        market=lambda decoded: replace(market, decoded=decoded),
        published_offsets=-resources.registered,
        largest_inputs=resources.registered + resources.generated_cap,
    )


@pytest.fixture(scope="module")
def generation(golden_games):
    encoding = _encoding(golden_games[0])
    return golden_games[0].market, compare_schemes(encoding, encoding, COCOGEN.game.schemes, np.random.default_rng(3))


@pytest.fixture(scope="module")
def fractions():
    terms, ledger = load_data_market(EXAMPLE), MemoryProvider(7)
    uniform, optimal = (
        terms.with_incentive(Incentive(redistribution=kind)).encoding(ledger.account, ledger.decode)
        for kind in ("uniform", "optimal")
    )
    return terms, compare_schemes(uniform, optimal, TRADEFL.game.schemes, np.random.default_rng(3))


def test_generation_markets_are_compared_with_their_baselines(generation):
    _, found = generation
    names = [row.name for row in found.rows]
    assert names[0] == "cocogen+"
    assert names[-5:] == ["cocogen", "vcfl", "wco", "radg", "planner"]


def test_tradefl_markets_are_compared_with_their_baselines(fractions):
    _, found = fractions
    assert [row.name for row in found.rows][-4:] == ["wpr", "gca", "tos", "planner"]


def test_no_scheme_beats_the_planner_and_the_optimal_rule_reaches_it(generation, fractions):
    for _, found in (generation, fractions):
        assert max(row.welfare for row in found.rows if row.name != "tos") <= found.planner_welfare * (1 + 1e-12)
        for row in found.rows:
            assert row.efficiency == pytest.approx(row.welfare / found.planner_welfare)
            if row.rule.startswith("optimal"):
                assert row.improvement >= 1 - 1e-4
                assert row.surplus.min() >= -1e-9


def test_transfers_balance_and_only_redistributing_schemes_have_any(generation, fractions):
    for _, found in (generation, fractions):
        for row in found.rows:
            assert row.transfers.sum() == pytest.approx(0.0, abs=1e-9)
            assert row.transfers.any() == bool(row.rule)


def test_the_equilibrium_without_redistribution_is_the_reference_of_the_improvement(generation):
    market, found = generation
    game = build_game(market, redistributed=False)
    without = next(row for row in found.rows if row.name == "cocogen")
    np.testing.assert_allclose(without.strategies, solve(game).strategies)
    assert without.improvement == 0.0
    assert found.price_of_anarchy == pytest.approx(found.planner_welfare / without.welfare)
    np.testing.assert_allclose(found.outside_options, outside_options(game))


def test_a_market_without_a_rational_strength_says_so(generation):
    _, found = generation
    assert found.scan.rational == ()
    assert "no strength" in found.missing["cocogen+ (uniform, rational)"]


def test_a_tuned_strength_has_the_largest_welfare_of_the_scan(generation, fractions):
    for _, found in (generation, fractions):
        tuned = next(row for row in found.rows if row.rule.startswith("uniform, tuned"))
        assert tuned.incentive == found.scan.tuned
        assert tuned.welfare >= found.scan.welfares.max() * (1 - 1e-9)


def test_a_scheme_that_misses_the_deadline_has_no_epsilon_but_a_note(fractions):
    _, found = fractions
    everything = next(row for row in found.rows if row.name == "tos")
    assert everything.epsilon is None
    assert "miss the deadline" in everything.note


def test_a_market_that_nobody_should_join_has_no_optimal_rule_and_says_why(golden_games):
    market = golden_games[0].market
    split = replace(market, heterogeneity=np.full(market.size, 0.0), accuracy=market.accuracy)
    encoding = _encoding(replace(golden_games[0], market=split))
    poisoned = replace(
        encoding,
        market=lambda decoded: replace(split, decoded=decoded, damage=0.0, private_gain=1.0, private_base=10.0),
    )
    found = compare_schemes(poisoned, poisoned, COCOGEN.game.schemes, np.random.default_rng(0))
    assert set(found.missing) >= {"cocogen+ (optimal, equal-surplus)", "cocogen+ (optimal, min-bond)"}
    assert found.optimal is None


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_figure_is_drawn(generation, tmp_path, suffix):
    market, found = generation
    path = save_figure(draw_comparison(found, market.names, "market"), tmp_path / f"compared.{suffix}")
    assert path.stat().st_size > 10_000
