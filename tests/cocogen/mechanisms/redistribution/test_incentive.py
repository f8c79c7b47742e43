from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cocogen.errors import NoRationalIncentive
from cocogen.game.accuracy import PowerLaw
from cocogen.game.rationality import outside_options
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms import Market, automatic_incentive, build_game
from cocogen.mechanisms.redistribution.incentive import _intervals, _Point
from cocogen.mechanisms.resources import GenerationResources
from cocogen.solvers import solve


def _market(competition: float = 0.03, heterogeneity=0.3, profitability=(1500.0, 1100.0, 800.0, 500.0)) -> Market:
    size = len(profitability)
    rho = competition * (1.0 - np.eye(size))
    local = np.linspace(500, 200, size).astype(np.int64)
    decoded = DecodedTerms(np.zeros((size, size)), np.ones(size), -local.astype(float), 1.0, 0.0, 10**15, (), bytes(32))
    return Market(
        names=tuple("abcdefgh"[:size]),
        profitability=np.array(profitability),
        competition=rho,
        accuracy=PowerLaw(1.0, 4.0, 0.5),
        heterogeneity=np.broadcast_to(heterogeneity, size),
        resources=GenerationResources(
            local=local,
            quality=np.linspace(0.9, 0.5, size),
            cost_linear=np.full(size, 0.02),
            cost_quadratic=np.linspace(5e-4, 2e-3, size),
            cost_fixed=np.zeros(size),
            maximum=np.full(size, 400.0),
            data_cap=local,
            generated_cap=np.full(size, 400),
        ),
        decoded=decoded,
        participants=np.ones(size, dtype=bool),
    )


def _decoder(market: Market, rounding: float = 0.0):
    """The ledger's decoding: 16-bit pair weights are exact here, and the incentive is off by ``rounding``."""
    return lambda incentive: replace(market.decoded, rates=incentive * (1.0 + rounding) * market.competition)


def _played(market: Market, incentive: float) -> tuple[float, float]:
    game = build_game(replace(market, decoded=_decoder(market)(incentive)))
    payoffs = game.payoffs(solve(game).strategies)
    return payoffs.sum(), (payoffs - outside_options(game)).min()


def test_no_rational_incentive_on_a_fine_grid_has_a_larger_welfare():
    market = _market()
    report = automatic_incentive(market, _decoder(market))
    assert report.incentive > 0.0
    assert report.least_surplus >= 0.0
    assert report.epsilon < 1e-9
    assert report.welfare > report.welfare_without
    welfare, least = _played(market, report.incentive)
    assert report.welfare == pytest.approx(welfare, rel=1e-12)
    assert report.least_surplus == pytest.approx(least, rel=1e-9)
    for incentive in np.linspace(0.0, report.scan.incentives[-1], 200):
        welfare, least = _played(market, float(incentive))
        assert least < 0.0 or welfare <= report.welfare * (1 + 1e-12)


def test_welfare_falls_on_both_sides_of_an_unconstrained_choice():
    market = _market()
    report = automatic_incentive(market, _decoder(market))
    assert all(low < report.incentive < high for low, high in report.scan.rational)
    for factor in (0.98, 0.998, 1.002, 1.02):
        assert _played(market, factor * report.incentive)[0] < report.welfare


def test_the_reported_intervals_are_where_everyone_gains():
    market = _market()
    report = automatic_incentive(market, _decoder(market))
    for low, high in report.scan.rational:
        for incentive, inside in ((low, True), (high, True), (high * 1.001, False)):
            if incentive <= report.scan.incentives[-1]:
                assert (_played(market, incentive)[1] >= 0.0) == inside
    assert any(low <= report.incentive <= high for low, high in report.scan.rational)


@pytest.mark.parametrize(
    ("competition", "own", "edge"), [(0.03, (0.3, 0.3, 0.3, 0.11), 1), (0.05, (0.2, 0.3, 0.3, 0.3), 0)]
)
def test_a_choice_at_an_edge_that_rounding_would_push_over_retreats_inside(competition, own, edge):
    # A small δ_n of its own makes an organization's outside option good, until the rational set stops (starts) where
    # welfare still rises (already falls).
    market = _market(competition, heterogeneity=np.array(own))
    exact = automatic_incentive(market, _decoder(market))
    assert len(exact.scan.rational) == 1
    assert exact.incentive == exact.scan.rational[0][edge] > 0.0
    pushed = automatic_incentive(market, _decoder(market, rounding=1e-4 if edge else -1e-4))
    assert pushed.least_surplus >= 0.0
    assert (pushed.incentive < exact.incentive) if edge else (pushed.incentive > exact.incentive)
    assert pushed.welfare == pytest.approx(exact.welfare, rel=1e-4)


def test_the_rational_set_need_not_contain_zero():
    market = _market(0.05, heterogeneity=np.array([0.2, 0.3, 0.3, 0.3]))
    low = automatic_incentive(market, _decoder(market)).scan.rational[0][0]
    assert _played(market, 0.0)[1] < 0.0
    assert _played(market, 0.999 * low)[1] < 0.0 <= _played(market, low)[1]


def test_no_rational_incentive_names_who_loses_most_and_how_much():
    market = _market(heterogeneity=np.array([0.5, 0.5, 0.5, 0.0]))
    with pytest.raises(NoRationalIncentive, match="organization 'd' loses most") as caught:
        automatic_incentive(market, _decoder(market))
    loss = float(str(caught.value).split("loses most: ")[1].split()[0])
    best = max(_played(market, incentive)[1] for incentive in np.linspace(0.0, 2.0, 80))
    assert loss == pytest.approx(-best, rel=0.02)


def test_without_competition_there_is_nothing_to_pay_for():
    market = _market(competition=0.0)
    report = automatic_incentive(market, _decoder(market))
    assert report.incentive == 0.0
    assert report.scan.rational == ((0.0, 0.0),)
    assert report.scan.incentives.tolist() == [0.0]


def test_decoding_that_ruins_every_rational_incentive_is_an_error():
    market = _market()
    with pytest.raises(NoRationalIncentive, match="lost when encoded"):
        automatic_incentive(market, lambda incentive: _decoder(market)(1e4 + incentive))


def test_a_rational_set_that_is_no_interval_is_reported_in_parts():
    class Search:
        def at(self, incentive):
            least = 1.0 if incentive <= 1.25 or 2.5 <= incentive <= 3.75 else -1.0
            return _Point(incentive, np.zeros(2), 0.0, least, 0)

    search = Search()
    points = [search.at(float(incentive)) for incentive in range(6)]
    rational = np.array([point.rational for point in points])
    intervals = _intervals(search, points, rational)
    np.testing.assert_allclose(intervals, [(0.0, 1.25), (2.5, 3.75)], rtol=1e-8)


def test_the_search_is_deterministic():
    market = _market()
    first, second = (automatic_incentive(market, _decoder(market)) for _ in range(2))
    assert first.incentive == second.incentive
    assert first.scan.rational == second.scan.rational
