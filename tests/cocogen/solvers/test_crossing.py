from __future__ import annotations

import numpy as np
import pytest

from cocogen.game.accuracy import PowerLaw
from cocogen.solvers.crossing import crossing, reachable

P = PowerLaw(1.0, 4.0, 0.5)


def test_a_smooth_supply_is_met():
    found = crossing(P, lambda price: 100.0 + 1e5 * price, 100.0, 1000.0)
    assert 100.0 + 1e5 * float(P.derivative(found.omega)) == pytest.approx(found.omega, rel=1e-13)
    assert found.prices[0] == pytest.approx(found.prices[1], rel=1e-14)


def test_at_a_jump_the_mixture_adds_up():
    threshold = float(P.derivative(300.0))

    def supply(price):
        return 500.0 if price >= threshold else 100.0

    found = crossing(P, supply, 100.0, 500.0)
    assert found.omega == pytest.approx(300.0, rel=1e-14)
    assert supply(found.prices[0]) == 500.0
    assert supply(found.prices[1]) == 100.0
    assert found.mix(lambda price: np.array([supply(price)])) == pytest.approx(300.0, rel=1e-14)


@pytest.mark.parametrize(("level", "omega"), [(100.0, 100.0), (500.0, 500.0)])
def test_a_supply_at_an_end_of_its_range_stays_there(level, omega):
    found = crossing(P, lambda price: level, 100.0, 500.0)
    assert found.omega == omega
    assert found.share == 1.0
    assert len(found.visited) <= 2


def test_infeasible_segments_are_out_of_reach(make_segments):
    game = make_segments(1, size=5, levels=4)
    segments = game.family.segments
    ends = [segments.samples_base + segments.samples_slope * end for end in (segments.lower, segments.upper)]
    least = sum(min(row[f]) for row, f in zip(ends[0], segments.feasible, strict=True))
    most = sum(max(row[f]) for row, f in zip(ends[1], segments.feasible, strict=True))
    assert reachable(segments) == pytest.approx((least, most))
