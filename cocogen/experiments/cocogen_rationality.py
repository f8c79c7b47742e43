"""Does taking part pay for everyone? Individual rationality under the uniform rule and under optimal redistribution.

The published redistribution promises that it sustains participation, and nothing in it guarantees that. What decides is
above all how unequal the organizations' label distributions are: one whose labels are close to the consortium's learns
well alone, and shares everyone's heterogeneity once it joins. So the spread of heterogeneity is swept at a constant
middle.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cocogen.errors import NoRationalIncentive, NoRationalSharing
from cocogen.experiments.claims import Claim, cocogen_says, positive
from cocogen.experiments.cocogen_plus import MARKET, tuned_incentive
from cocogen.experiments.figures import Figure, curves, legend_below, single
from cocogen.experiments.markets import CoCoGenMarket, cocogen_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.table import Row, Table
from cocogen.game.rationality import outside_options
from cocogen.mechanisms import automatic_incentive, build_game
from cocogen.mechanisms.redistribution.optimal import optimal_redistribution
from cocogen.solvers.fixed_point import bracketing

__all__ = ["RATIONALITY"]

_SPREADS = (0.0, 0.1, 0.2, 0.3, 0.4)
_MIDDLE, _DRAWN = 0.2, 0.2  # of the market's own heterogeneity, U[0.1, 0.3]
_PAYS = cocogen_says(
    "taking-part-pays", "at the welfare-maximising incentive everyone earns more than alone", "currency, least surplus"
)


def _measure(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    drawn = cocogen_market(rng)
    rows: list[Row] = []
    for spread in _SPREADS:
        market = replace(drawn, heterogeneity=_MIDDLE + (drawn.heterogeneity - _MIDDLE) * spread / _DRAWN)
        game = build_game(market.market(tuned_incentive(market)))
        uniform = float((game.payoffs(bracketing(game).strategies) - outside_options(game)).min())
        try:
            optimal = float(optimal_redistribution(game).surplus.min())
        except NoRationalSharing:
            optimal = float("nan")
        rows.append((spread, uniform, int(_has_rational_incentive(market)), optimal))
    return rows


def _has_rational_incentive(market: CoCoGenMarket) -> bool:
    try:
        automatic_incentive(market.market(), market.decode())
    except NoRationalIncentive:
        return False
    return True


def _judge(table: Table) -> list[Claim]:
    claims = []
    for spread in table.distinct("spread"):
        one = table.where(spread=spread)
        rational, shared = one.numbers("rational_incentive"), np.isfinite(one.numbers("optimal"))
        low, high = _MIDDLE - 0.5 * float(spread), _MIDDLE + 0.5 * float(spread)
        remark = (
            f"some uniform incentive is rational in {int(rational.sum())} of {rational.size} markets, optimal "
            f"redistribution in {int(shared.sum())}"
        )
        parameters = f"{MARKET}, heterogeneity from {low:g} to {high:g}"
        claims.append(_PAYS.judged(parameters, positive(one.numbers("uniform")), remark))
    return claims


def _draw(table: Table) -> Figure:
    figure, axes = single(
        "Least surplus over the outside option",
        "spread of heterogeneity (width of its range)",
        "least surplus (currency)",
    )
    spreads = [float(spread) for spread in table.distinct("spread")]
    labels = {"uniform": "uniform rule, tuned incentive", "optimal": "optimal redistribution, equal surplus"}
    curves(axes, spreads, {label: table.pivot("spread", column)[1] for column, label in labels.items()})
    axes.axhline(0.0, color="#000000", linewidth=0.8)
    legend_below(axes, 2)
    return figure


RATIONALITY = Experiment(
    "individual-rationality",
    "Does taking part pay for everyone?",
    ("spread", "uniform", "rational_incentive", "optimal"),
    _measure,
    _judge,
    _draw,
)
