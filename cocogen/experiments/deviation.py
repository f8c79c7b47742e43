"""What an organization, or a pair, gains by contributing less or more than planned, under each mechanism [ours].

All others keep the plan, and everything that is contributed is credited: on a ledger, the attester credits no more than
the plan, so what overcontributing earns here bounds what it earns there. Amounts are the planned one times a factor, or
the most that the organization can do; below the least strategy (0 samples, D_min) they are cut off. A pair applies one
factor together and is judged by its joint payoff; besides, the best joint deviation on a grid is looked for.
"""

from __future__ import annotations

import itertools

import numpy as np

from cocogen.errors import GameError
from cocogen.experiments.claims import Claim, Interval, Statement, not_below, positive
from cocogen.experiments.cocogen_plus import tuned_incentive
from cocogen.experiments.figures import Figure, curves, legend_below
from cocogen.experiments.markets import cocogen_market, tradefl_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import largest
from cocogen.experiments.table import Row, Table
from cocogen.experiments.tradefl import equilibrium as tradefl_equilibrium
from cocogen.experiments.tradefl import tuned_incentive as tuned_tradefl_incentive
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.mechanisms import build_game
from cocogen.mechanisms.redistribution.optimal import optimal_redistribution
from cocogen.report.style import new_figure
from cocogen.solvers.fixed_point import bracketing

__all__ = ["DEVIATION", "FACTORS", "MECHANISM_LABELS", "deviate", "gains", "planned_games"]

FACTORS = (0.0, 0.5, 0.9, 1.1, 1.5)
"""Multiples of the planned contribution; "cap" stands for the largest possible one."""

_NONE_PAYS = Statement(
    "no-deviation-pays",
    "no organization gains by contributing less or more than planned",
    "% of payoff lost by the best deviation",
)
_PAIR_GAINS = Statement("some-pair-gains", "some pair gains by deviating together", "% of joint payoff")
_NOTHING_COSTS = Statement(
    "contributing-nothing-costs", "an organization that contributes as little as it can loses", "% of payoff"
)
_CAP = "cap"
_FEWEST = 2  # markets that admit a mechanism, below which there is no interval
_SMALL = 0.01  # per cent of the payoff, from which the figure is logarithmic
MECHANISM_LABELS = {
    "none": "CoCoGen+ market, nothing redistributed",
    "uniform": "CoCoGen+ market, uniform rule, tuned incentive",
    "optimal": "CoCoGen+ market, optimal redistribution",
    "tradefl": "TradeFL market, uniform rule, tuned incentive",
}


def deviate(game: CoopetitionGame, strategies: Array, who: tuple[int, ...], factor: float | str) -> Array:
    """The profile in which ``who`` contribute ``factor`` times their position, or the most they can ("cap").

    The position stays on its level and is cut off at that level's ends; the cap is the largest position on any
    feasible level.
    """
    located = game.family.locate(strategies)
    position, level = located[0].copy(), located[1].copy()
    segments = game.family.segments
    for n in who:
        if factor == _CAP:
            level[n] = _largest_level(game, n)
            position[n] = segments.upper[n, level[n]]
        else:
            moved = float(factor) * position[n]
            position[n] = min(max(moved, segments.lower[n, level[n]]), segments.upper[n, level[n]])
    return game.family.assemble(position, level)


def gains(game: CoopetitionGame, strategies: Array, who: tuple[int, ...], factor: float | str) -> tuple[float, float]:
    """Joint gain of a deviation: in currency, and relative to the members' planned joint payoff."""
    members = list(who)
    planned = float(game.payoffs(strategies)[members].sum())
    gain = float(game.payoffs(deviate(game, strategies, who, factor))[members].sum()) - planned
    return gain, gain / max(1.0, abs(planned))


def _largest_level(game: CoopetitionGame, n: int) -> int:
    segments = game.family.segments
    return int(np.argmax(np.where(segments.feasible[n], segments.upper[n], -np.inf)))


def _best_joint(game: CoopetitionGame, strategies: Array, who: tuple[int, int], points: int) -> tuple[float, float]:
    """The largest joint gain over a grid of both members' positions on their planned levels."""
    segments = game.family.segments
    position, level = game.family.locate(strategies)
    grids = [np.linspace(segments.lower[n, level[n]], segments.upper[n, level[n]], points) for n in who]
    planned = float(game.payoffs(strategies)[list(who)].sum())
    best = 0.0
    for pair in itertools.product(*grids):
        moved = position.copy()
        moved[list(who)] = pair
        best = max(best, float(game.payoffs(game.family.assemble(moved, level))[list(who)].sum()) - planned)
    return best, best / max(1.0, abs(planned))


def planned_games(rng: np.random.Generator, points: int) -> dict[str, tuple[CoopetitionGame, Array]]:
    """Each mechanism's game with its plan; a mechanism that a market does not admit is left out."""
    market = cocogen_market(rng)
    unpaid = build_game(market.market(0.0))
    uniform = build_game(market.market(tuned_incentive(market)))
    plans = {"none": (unpaid, bracketing(unpaid).strategies), "uniform": (uniform, bracketing(uniform).strategies)}
    try:
        optimal = optimal_redistribution(unpaid)
    except GameError:
        pass
    else:
        plans["optimal"] = (unpaid.with_redistribution(optimal.redistribution), optimal.strategies)
    other = tradefl_market(rng)
    game = other.game(tuned_tradefl_incentive(other, points))
    plans["tradefl"] = (game, tradefl_equilibrium(game).strategies)
    return plans


def _measure(rng: np.random.Generator, points: int) -> list[Row]:
    rows: list[Row] = []
    for mechanism, (game, strategies) in planned_games(rng, points).items():
        groups: list[tuple[int, ...]] = [(n,) for n in range(game.size)]
        groups += list(itertools.combinations(range(game.size), 2))
        for who in groups:
            kind, members = ("one", "pair")[len(who) - 1], "+".join(map(str, who))
            for factor in (*FACTORS, _CAP):
                rows.append((mechanism, kind, members, str(factor), *gains(game, strategies, who, factor)))
            if len(who) == 2:
                found = _best_joint(game, strategies, (who[0], who[1]), max(5, points // 3))
                rows.append((mechanism, kind, members, "best", *found))
    return rows


def _judge(table: Table) -> list[Claim]:
    claims = []
    for mechanism in table.distinct("mechanism"):
        one, label = table.where(mechanism=mechanism), MECHANISM_LABELS[str(mechanism)]
        if len(one.distinct("seed")) < _FEWEST:
            continue
        factors = "factors 0, 0.5, 0.9, 1.1, 1.5 and the largest strategy"
        alone, paired = (100.0 * largest(one.where(kind=kind), "relative") for kind in ("one", "pair"))
        idle = one.where(kind="one", factor="0.0")
        claims += [
            _NONE_PAYS.judged(
                f"{label}, {factors}",
                not_below(-alone, 1e-6),
                f"largest gain over markets and organizations {alone.max():.3g} %",
            ),
            _PAIR_GAINS.judged(
                f"{label}, best on a grid of both positions, and {factors}",
                positive(paired),
                f"largest gain over markets and pairs {paired.max():.3g} %",
            ),
            _NOTHING_COSTS.judged(
                f"{label}, mean over organizations", positive(-100.0 * idle.per_seed("relative")), _currency(idle)
            ),
        ]
    return claims


def _currency(table: Table) -> str:
    lost = Interval.of(-table.per_seed("gain"))
    return f"in currency {lost.mean:.3g} ({lost.low:.3g} to {lost.high:.3g})"


def _draw(table: Table) -> Figure:
    figure, axes = new_figure(2, 2, size=(9.2, 6.6))
    ticks = [*(f"×{factor:g}" for factor in FACTORS), "largest"]
    for panel, mechanism in zip(axes, MECHANISM_LABELS, strict=True):
        market, _, rule = MECHANISM_LABELS[mechanism].partition(", ")
        panel.set(title=f"{market}:\n{rule}", ylabel="gain (% of planned payoff)")
        panel.set_xticks(range(len(ticks)), ticks)
        panel.axhline(0.0, color="#000000", linewidth=0.8)
        if mechanism not in table.distinct("mechanism"):
            continue
        series = {}
        for kind, words in (("one", "alone"), ("pair", "two together")):
            one = table.where(mechanism=mechanism, kind=kind)
            factors, relative = one.pivot("factor", "relative")
            order = [factors.index(str(factor)) for factor in (*FACTORS, _CAP)]
            series[words] = 100.0 * relative[:, order]
        curves(panel, np.arange(len(ticks)), series)
        panel.set_yscale("symlog", linthresh=_SMALL)
        panel.set_ylim(top=10.0 * _SMALL)
    for panel in axes[2:]:
        panel.set_xlabel("contribution (times the planned one)")
    legend_below(axes[2], 2)
    legend_below(axes[3], 2)
    return figure


DEVIATION = Experiment(
    "deviation",
    "Gain from contributing less or more than planned",
    ("mechanism", "kind", "organizations", "factor", "gain", "relative"),
    _measure,
    _judge,
    _draw,
)
