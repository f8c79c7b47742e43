from __future__ import annotations

import numpy as np
import pytest

from cocogen.solvers.price_response import PriceResponse

PRICES = [0.0, 1e-5, 1e-4, 1e-3]


@pytest.mark.parametrize("private_gain", [0.0, 0.02])
@pytest.mark.parametrize("price", PRICES)
def test_no_position_of_a_fine_grid_is_worth_more(make_segments, private_gain, price):
    for seed in range(5):
        game = make_segments(seed, private_gain=private_gain, damage=0.5)
        respond, segments = PriceResponse.of(game), game.family.segments
        positions, worth = respond(price), respond.worth(price)
        assert ((positions >= segments.lower) & (positions <= segments.upper)).all()
        for share in np.linspace(0.0, 1.0, 101):
            t = segments.lower + share * (segments.upper - segments.lower)
            q = segments.samples_base + segments.samples_slope * t
            x = segments.score_base + segments.score_slope * t
            cost = segments.cost_base + segments.cost_slope * t + 0.5 * segments.cost_curvature * t**2
            gain = game.private_weights[:, None] * game.private_gains(q)
            value = game.potential_weights[:, None] * price * q + game.score_rates[:, None] * x - cost + gain
            assert (value <= worth + 1e-9).all()


def test_nobody_answers_with_a_segment_it_may_not_play(make_segments):
    for seed in range(5):
        game = make_segments(seed, size=6, levels=4)
        respond, feasible = PriceResponse.of(game), game.family.segments.feasible
        for price in PRICES:
            best = np.where(feasible, respond.worth(price), -np.inf).argmax(axis=1)
            expected = respond.samples(respond(price))[np.arange(6), best]
            np.testing.assert_array_equal(respond.best_samples(price), expected)


def test_prices_may_differ_between_organizations(make_segments):
    game = make_segments(1)
    respond, prices = PriceResponse.of(game), np.array(PRICES)
    together = respond(prices[:, None])
    for n, price in enumerate(PRICES):
        np.testing.assert_array_equal(together[n], respond(price)[n])
