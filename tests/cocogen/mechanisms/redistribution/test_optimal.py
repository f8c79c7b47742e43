"""Optimal redistribution: efficient, individually rational and balanced at once, or a named error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import IsolatedOrganization, NegativeScoreWeight, NoImplementingWeight, NoRationalSharing
from cocogen.game.accuracy import PowerLaw, SquareRootBound
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.ledger import Contribution, Member, SettlementTerms
from cocogen.mechanisms import build_game
from cocogen.mechanisms.redistribution.optimal import optimal_redistribution
from cocogen.mechanisms.redistribution.sharing import bonds, components
from cocogen.solvers import certify, solve
from tests.examples import seeds

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "cocogen_plus.json").read_text())
LEDGER = MemoryProvider(7)


def _terms(game, caps, incentive=0.0, weights=None, offsets=None, compute_weight=0.0):
    """Settlement terms of a game; caps are (data, generated, compute) per organization."""
    count = game.size
    weights = np.ones(count) if weights is None else weights
    offsets = np.zeros(count) if offsets is None else offsets
    return SettlementTerms(
        members=tuple(
            Member(f"o{n}", LEDGER.account(f"o{n}"), *map(int, caps[n]), float(weights[n]), float(offsets[n]))
            for n in range(count)
        ),
        competition=tuple(tuple(map(float, row)) for row in game.competition.matrix),
        incentive=incentive,
        wei_per_unit=10**18,
        attester=LEDGER.account("attester"),
        arbiter=LEDGER.account("arbiter"),
        document_hash=b"\x01" * 32,
        compute_weight=compute_weight,
    )


def _decode(game, caps):
    return lambda incentive, weights, offsets: Redistribution.from_decoded(
        LEDGER.decode(_terms(game, caps, incentive, weights, offsets))
    )


def _generation_game(seed, *, size=None, density=1.0, damage=1.0, private_gain=0.0, maximum=400.0):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 9)) if size is None else size
    competition = rng.uniform(0.002, 0.19 / (size - 1), (size, size)) * (rng.uniform(size=(size, size)) < density)
    path = np.arange(size - 1)
    competition[path, path + 1] = 0.19 / (size - 1) / 2  # connected whatever the density
    np.fill_diagonal(competition, 0.0)
    local = rng.integers(50, 600, size).astype(float)
    family = GenerationAmounts(
        local,
        rng.uniform(0.3, 1.0, size),
        rng.uniform(0.005, 0.05, size),
        rng.uniform(3e-4, 3e-3, size),
        maximum,
        rng.uniform(0.0, 2.0, size),
    )
    return CoopetitionGame(
        rng.uniform(500.0, 2500.0, size),
        competition,
        PowerLaw(1.0, 4.0, 0.5, heterogeneity=0.2),
        family,
        heterogeneity=rng.uniform(0.0, 0.5, size),
        damage=damage,
        private_gain=private_gain,
        private_base=200.0,
    )


def _caps(game):
    return np.stack([game.family.local, np.ceil(game.family.maximum), np.zeros(game.size)], axis=1)


@pytest.mark.parametrize("golden_game", [g for g in GOLDEN if g["redistribution"] == "optimal"], ids=lambda g: g["id"])
def test_the_golden_rules_follow_from_the_bare_terms(golden_game, golden_games):
    market = golden_games[golden_game["id"]].market
    game = build_game(market, redistributed=False)
    resources = market.resources
    caps = np.stack([resources.data_cap, resources.generated_cap, np.zeros(game.size)], axis=1)
    found = optimal_redistribution(game, decode=_decode(game, caps))
    organizations = golden_game["terms"]["organizations"]
    # The reference took other incentives before rounding, so that weights agree to its sixth digit only.
    np.testing.assert_allclose(found.incentive, golden_game["terms"]["incentive"], rtol=1e-5)
    np.testing.assert_allclose(found.weights, [o["score_weight"] for o in organizations], rtol=2e-5)
    np.testing.assert_allclose(found.offsets, [o["score_offset"] for o in organizations], rtol=1e-4, atol=0.02)
    expected = golden_game["expected"]
    np.testing.assert_allclose(found.strategies, expected["equilibrium"], atol=1e-3)
    np.testing.assert_allclose(found.certificate.payoffs, expected["payoffs"], rtol=1e-6)
    np.testing.assert_allclose(found.surplus, found.surplus.mean(), rtol=1e-9)


@pytest.mark.parametrize("seed", seeds(24, 100))
def test_the_decoded_rule_is_efficient_rational_and_balanced(seed):
    game = _generation_game(seed, density=[1.0, 0.4][seed % 2])
    if game.welfare(solve(game, "planner").strategies) < outside_options(game).sum():
        with pytest.raises(NoRationalSharing, match="below what they earn alone"):
            optimal_redistribution(game, decode=_decode(game, _caps(game)))
        return
    found = optimal_redistribution(game, decode=_decode(game, _caps(game)))
    decoded = game.with_redistribution(found.redistribution)
    assert found.certificate.epsilon <= 1e-9
    assert certify(decoded, solve(decoded).strategies).epsilon <= 1e-9
    np.testing.assert_allclose(solve(decoded).strategies, found.planner, atol=1e-3)
    assert found.efficiency >= 1.0 - 1e-4
    outside = outside_options(game)
    total = (decoded.payoffs(found.strategies) - outside).sum()
    assert (found.surplus >= 0.0).all()
    np.testing.assert_allclose(found.surplus, total / game.size, rtol=1e-9)
    terms = _terms(game, _caps(game), found.incentive, found.weights, found.offsets)
    generated = np.floor(game.family.quality * found.strategies).astype(int)
    wei = LEDGER.deploy(terms).predict(
        [Contribution(int(d), int(g), 0, b"\x01" * 32) for d, g in zip(game.family.local, generated, strict=True)]
    )
    assert sum(wei) == 0
    predicted = found.redistribution.transfers(game.family.local + generated)
    np.testing.assert_allclose([w / 1e18 for w in wei], predicted, rtol=1e-9, atol=1e-12)


def test_a_consortium_worth_less_than_its_parts_has_no_rational_sharing():
    game = _generation_game(3, size=4)
    harmless = CoopetitionGame(
        game.profitability, game.competition, PowerLaw(1.0, 4.0, 0.5, heterogeneity=0.9), game.family
    )
    # Alone nobody suffers from the labels of the others: their heterogeneity takes nearly all accuracy away.
    with pytest.raises(NoRationalSharing, match="below what they earn alone"):
        optimal_redistribution(harmless)


def test_disconnected_groups_share_each_its_own_surplus():
    game = _generation_game(5, size=6)
    competition = game.competition.matrix.copy()
    competition[:3, 3:] = competition[3:, :3] = 0.0
    split = CoopetitionGame(game.profitability, competition, game.accuracy, game.family, heterogeneity=0.4)
    found = optimal_redistribution(split, decode=_decode(split, _caps(split)))
    member = components(competition + competition.T)
    assert member.tolist() == [0, 0, 0, 1, 1, 1]
    transfers = split.with_redistribution(found.redistribution).transfers(found.strategies)
    for group in (slice(0, 3), slice(3, 6)):
        assert transfers[group].sum() == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(found.surplus[group], found.surplus[group].mean(), rtol=1e-9)
        scores = found.redistribution.score_offsets + found.redistribution.score_weights * split.family.local
        assert scores[group].sum() == pytest.approx(0.0, abs=1e-6)
    assert found.surplus[0] != pytest.approx(found.surplus[3], rel=1e-3)
    assert found.efficiency >= 1 - 1e-4


def test_an_organization_without_rivals_that_would_leave_the_optimum_is_named():
    game = _generation_game(5, size=4)
    competition = game.competition.matrix.copy()
    competition[2, :] = competition[:, 2] = 0.0
    alone = CoopetitionGame(
        game.profitability, competition, game.accuracy, game.family, names=["north", "harbor", "lake", "hill"]
    )
    with pytest.raises(IsolatedOrganization, match="'lake' competes with nobody"):
        optimal_redistribution(alone)


def test_an_organization_without_rivals_that_follows_the_optimum_anyway_is_left_alone():
    game = _generation_game(5, size=4)
    competition = game.competition.matrix.copy()
    competition[2, :] = competition[:, 2] = 0.0
    family = game.family
    maximum = np.where(np.arange(4) == 2, 1e-3, family.maximum)
    capped = GenerationAmounts(
        family.local, family.quality, family.cost_linear, family.cost_quadratic, maximum, family.cost_fixed
    )
    found = optimal_redistribution(CoopetitionGame(game.profitability, competition, PowerLaw(), capped))
    assert found.weights[2] == 0.0
    assert found.strategies[2] == 1e-3
    assert found.redistribution.transfers(np.arange(4.0))[2] == 0.0


def test_no_competition_at_all_needs_no_money_or_has_none():
    game = _generation_game(5, size=3)
    family = game.family
    full = GenerationAmounts(family.local, family.quality, 0.0, 1e-9, 1.0)
    found = optimal_redistribution(CoopetitionGame(game.profitability, np.zeros((3, 3)), PowerLaw(), full))
    assert found.incentive == 0.0
    assert (found.bonds == 0.0).all()
    assert found.efficiency == pytest.approx(1.0)
    with pytest.raises(IsolatedOrganization):
        optimal_redistribution(CoopetitionGame(game.profitability, np.zeros((3, 3)), game.accuracy, family))


def test_a_rat_race_needs_a_negative_weight_and_says_so():
    game = _generation_game(11, size=4, damage=0.0, private_gain=0.02)
    assert (game.welfare_weights >= 0.0).all()
    with pytest.raises(NegativeScoreWeight, match="rat race"):
        optimal_redistribution(
            CoopetitionGame(
                game.profitability,
                3.0 * game.competition.matrix,
                PowerLaw(1.0, 0.01, 0.5),
                game.family,
                damage=0.0,
                private_gain=0.05,
                private_base=200.0,
            )
        )


def test_private_gain_with_enough_shared_accuracy_is_still_optimal():
    game = _generation_game(11, size=4, damage=0.5, private_gain=0.005)
    found = optimal_redistribution(game)
    assert found.efficiency == pytest.approx(1.0, abs=1e-9)
    assert found.certificate.epsilon <= 1e-9


def test_welfare_that_is_not_concave_has_no_rational_sharing():
    profitability = np.array([2500.0, 300.0, 300.0])
    competition = np.zeros((3, 3))
    competition[1:, 0] = 0.6  # the two small ones feel the large one's standing
    game = CoopetitionGame(
        profitability,
        competition,
        PowerLaw(),
        _generation_game(0, size=3).family,
        damage=0.0,
        private_gain=0.1,
        private_base=100.0,
    )
    assert game.welfare_weights.min() < 0.0
    with pytest.raises(NoRationalSharing, match="not concave"):
        optimal_redistribution(game)


@pytest.mark.parametrize("seed", range(12))
def test_the_least_bonds_are_least_and_leave_nobody_worse_off(seed):
    game = _generation_game(seed, size=3 + seed % 4)
    caps = _caps(game)
    largest = caps.sum(axis=1)
    equal = optimal_redistribution(game, decode=_decode(game, caps), largest_inputs=largest)
    least = optimal_redistribution(game, decode=_decode(game, caps), largest_inputs=largest, offsets="min-bond")
    assert least.surplus.min() >= -1e-9
    assert least.surplus.sum() == pytest.approx(equal.surplus.sum(), rel=1e-9)
    assert least.bonds.sum() <= equal.bonds.sum() * (1 + 1e-9)
    np.testing.assert_array_equal(least.weights, equal.weights)
    rng = np.random.default_rng(seed)
    rule = least.redistribution
    for scale in (1e-3, 1e-1, 1.0, 30.0):
        moved = rule.score_offsets + scale * rng.normal(size=game.size)
        other = Redistribution(rule.rates, rule.score_weights, moved)
        payoffs = game.with_redistribution(other).payoffs(least.strategies)
        if (payoffs >= least.outside_options).all():
            assert bonds(other, largest).sum() >= least.bonds.sum() * (1 - 1e-9)


@pytest.mark.parametrize("offsets", ["equal-surplus", "min-bond"])
def test_the_bonds_are_the_ledgers_liabilities(offsets):
    game = _generation_game(2, size=5)
    caps = _caps(game)
    found = optimal_redistribution(game, decode=_decode(game, caps), largest_inputs=caps.sum(axis=1), offsets=offsets)
    decoded = LEDGER.decode(_terms(game, caps, found.incentive, found.weights, found.offsets))
    np.testing.assert_allclose([wei / 1e18 for wei in decoded.liabilities], found.bonds, rtol=1e-12, atol=1e-12)


def test_property_the_rule_does_not_depend_on_the_games_own_redistribution():
    game = _generation_game(4)
    paid = game.with_redistribution(Redistribution.uniform(game.competition, 3.0, game.family.local))
    np.testing.assert_array_equal(optimal_redistribution(game).weights, optimal_redistribution(paid).weights)


def _tradefl_game(seed, *, binding):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 6))
    mean = rng.uniform(0.01, 0.05)
    competition = np.clip(rng.normal(mean, mean / 5, (size, size)), 0.0, 1.0)
    np.fill_diagonal(competition, 0.0)
    bits = rng.uniform(15e9, 25e9, size)
    levels = np.sort(rng.uniform(3e9, 5e9, (size, 4)), axis=1)
    # Between a tenth and nine tenths of the time that the slowest level needs for all data.
    needed = (rng.uniform(0.8, 1.2, size) * bits / levels[:, 0]).min()
    deadline = float(rng.uniform(0.1, 0.9) * needed) if binding else 1e3
    family = DataFractions(
        bits,
        rng.integers(1000, 2001, size).astype(float),
        levels,
        1.0,
        deadline,
        overhead_weight=float(10 ** rng.uniform(-2.0, 0.5)),
        compute_weight=0.0,
    )
    return CoopetitionGame(rng.uniform(500.0, 2500.0, size), competition, SquareRootBound(1.0, 20.0), family)


@pytest.mark.parametrize("seed", seeds(24, 100))
def test_tradefl_is_certified_at_the_planners_optimum(seed):
    game = _tradefl_game(seed, binding=seed % 2 == 0)
    segments = game.family.segments
    if seed % 2 == 0:
        assert (segments.upper < 1.0).any()
    caps = np.stack([np.ceil(game.family.bits), np.zeros(game.size), game.family.compute_levels[:, -1]], axis=1)
    found = optimal_redistribution(game, decode=_decode(game, caps))
    np.testing.assert_allclose(found.strategies, found.planner)
    assert found.certificate.epsilon <= 1e-6
    assert found.efficiency == pytest.approx(1.0, abs=1e-9)
    assert (found.surplus >= -1e-9).all()
    np.testing.assert_allclose(found.surplus, found.surplus.mean(), rtol=1e-6)


def test_an_optimum_below_the_concave_hull_of_the_levels_has_no_implementing_weight():
    # Two levels far apart: the planner pays for the fast one, but any weight at which that is worth it to the
    # organization makes the slow one, or even more data, better still.
    rng = np.random.default_rng(266)
    size = int(rng.integers(2, 5))
    bits, deadline = rng.uniform(15e9, 25e9, size), 25.0 * rng.uniform(0.05, 0.9)
    family = DataFractions(
        bits,
        rng.integers(10, 2001, size).astype(float),
        [1e9, 5e9],
        1.0,
        deadline,
        overhead_weight=float(10 ** rng.uniform(-3, 1)),
        compute_weight=0.0,
    )
    competition = 0.02 * (1.0 - np.eye(size))
    profitability = rng.uniform(500, 2500, size)
    game = CoopetitionGame(profitability, competition, SquareRootBound(1.0, float(rng.uniform(1, 20))), family)
    with pytest.raises(NoImplementingWeight, match=r"organization 1 choose the planner's strategy .* is empty"):
        optimal_redistribution(game)
    planner = solve(game, "planner").strategies
    for rate in np.geomspace(1e-12, 1e-3, 400):
        rates = np.where(np.arange(size) == 1, rate, 0.0)
        assert certify(game.with_score_rates(rates), planner).gains[1] > 0.0
