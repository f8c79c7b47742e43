"""TradeFL's claims about its algorithms on Table II markets: the potential under DBR, FIP and CGBD, payoffs under DBR.

Comparisons with other schemes are in ``tradefl_comparison``, sweeps over parameters in ``tradefl_sweeps``.
"""

from __future__ import annotations

import numpy as np

from cocogen.experiments.claims import Claim, Statement, at_most, not_below, positive, tradefl_says
from cocogen.experiments.figures import Figure
from cocogen.experiments.markets import TradeFLMarket, tradefl_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.table import Row, Table
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.report.style import colour, marker, new_figure
from cocogen.solvers import Equilibrium, solve

__all__ = [
    "ALGORITHMS",
    "PAPER_INCENTIVE",
    "PAYOFF_DYNAMICS",
    "POTENTIAL_DYNAMICS",
    "TABLE_II",
    "equilibrium",
    "incentive_grid",
    "tuned_incentive",
]

PAPER_INCENTIVE = 5.12e-9
"""The welfare-maximising incentive that the paper reports, currency per bit."""

ALGORITHMS = {"benders": "CGBD", "best-response": "DBR", "improvement": "FIP"}
"""Our solvers and what the paper calls them."""

TABLE_II = "Table II, N = 10, overhead weight 0.1, deadline 5 s"

_SETTLES = Statement("dbr-settles", "DBR settles within 25 updates", "updates", "TradeFL", "about 25 updates")
_MEET = Statement("cgbd-bounds-meet", "CGBD's bounds on the potential meet", "accuracy", "TradeFL", "converges")
_NOT_BELOW = Statement(
    "cgbd-not-below-dbr", "CGBD reaches at least the potential of DBR", "accuracy", "TradeFL", "slightly above"
)
_RISE = tradefl_says(
    "payoffs-rise-under-dbr",
    "the payoffs together end higher than at the smallest data fractions, where DBR starts",
    "currency",
)
_SETTLED = 1e-6
_DYNAMIC_INCENTIVES = (0.0, 1e-9, PAPER_INCENTIVE)
_COLOURS = 7


def equilibrium(game: CoopetitionGame) -> Equilibrium:
    """The maximiser of the potential, by generalized Benders decomposition."""
    return solve(game, "benders")


def incentive_grid(points: int) -> Array:
    """0, then ``points`` − 1 incentives spread evenly over the decades from 1e-11 to 1e-7, currency per bit."""
    return np.concatenate([[0.0], np.geomspace(1e-11, 1e-7, points - 1)])


def tuned_incentive(market: TradeFLMarket, points: int) -> float:
    """The incentive of the grid whose equilibrium has the largest welfare."""
    grid = incentive_grid(points)
    games = [market.game(float(incentive)) for incentive in grid]
    return float(grid[int(np.argmax([game.welfare(equilibrium(game).strategies) for game in games]))])


def _dynamics(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = tradefl_market(rng)
    rows: list[Row] = []
    for incentive in _DYNAMIC_INCENTIVES:
        game = market.game(incentive)
        for method, label in ALGORITHMS.items():
            trace = solve(game, method).trace
            if method == "benders":
                bounds = zip(trace.lower_bound, trace.upper_bound, strict=True)
                steps = [(step, float(low), float(high)) for step, (low, high) in enumerate(bounds, start=1)]
            else:
                nothing = float("nan")
                pairs = zip(trace.updates, trace.potential, strict=True)
                steps = [(int(update), float(potential), nothing) for update, potential in pairs]
            rows += [(incentive, label, *step) for step in steps]
    return rows


def _settling(table: Table) -> Array:
    """For each seed, after how many of DBR's updates the potential stays within 1e-6 of its last value (relative)."""
    found = []
    for seed in table.distinct("seed"):
        one = table.where(seed=seed, algorithm="DBR")
        potential, step = one.numbers("potential"), one.numbers("step")
        off = np.abs(potential - potential[-1]) > _SETTLED * abs(potential[-1])
        found.append(step[int(np.flatnonzero(off)[-1]) + 1] if off.any() else step[0])
    return np.array(found)


def _final(table: Table, algorithm: str, column: str) -> Array:
    return np.array([table.where(seed=s, algorithm=algorithm).numbers(column)[-1] for s in table.distinct("seed")])


def _judge_dynamics(table: Table) -> list[Claim]:
    claims = []
    for incentive in table.distinct("incentive"):
        one = table.where(incentive=incentive)
        parameters = f"{TABLE_II}, incentive {incentive:g}"
        best, played = _final(one, "CGBD", "potential"), _final(one, "DBR", "potential")
        iterations = _final(one, "CGBD", "step")
        claims += [
            _SETTLES.judged(
                parameters,
                at_most(_settling(one), 25.0),
                "an update is a changed strategy; settled: potential within 1e-6 of its last value",
            ),
            _MEET.judged(
                parameters,
                at_most(_final(one, "CGBD", "upper_bound") - best, 1e-9),
                f"after {iterations.min():.0f} to {iterations.max():.0f} iterations",
            ),
            _NOT_BELOW.judged(
                parameters,
                not_below(best - played, 1e-9),
                f"strictly above in {int((best - played > 1e-9).sum())} of {best.size} markets",
            ),
        ]
    return claims


def _draw_dynamics(table: Table) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(2, 2, size=(9.2, 7.0))
    for panel, incentive in zip(axes, table.distinct("incentive"), strict=False):
        one = table.where(incentive=incentive)
        panel.set(title=f"Incentive {incentive:g}", xlabel="updates", ylabel="below CGBD (accuracy)")
        best = _final(one, "CGBD", "potential")
        for index, (algorithm, line) in enumerate((("DBR", "-"), ("FIP", "--"))):
            longest = int(max(one.where(algorithm=algorithm).numbers("step")))
            paths = []
            for reference, seed in zip(best, one.distinct("seed"), strict=True):
                below = reference - one.where(seed=seed, algorithm=algorithm).numbers("potential")
                paths.append(np.concatenate([below, np.full(longest + 1 - below.size, below[-1])]))
            middle, low, high = (np.maximum(np.quantile(paths, level, axis=0), 1e-12) for level in (0.5, 0.0, 1.0))
            steps = np.arange(longest + 1)
            panel.step(steps, middle, where="post", color=colour(index), linestyle=line, label=algorithm)
            panel.fill_between(steps, low, high, step="post", color=colour(index), alpha=0.12, linewidth=0.0)
        panel.set_yscale("log")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend(loc="lower left")
    last = axes[3]
    last.set(title="CGBD", xlabel="iterations", ylabel="gap of the bounds (accuracy)", yscale="log")
    for index, incentive in enumerate(table.distinct("incentive")):
        for number, seed in enumerate(table.distinct("seed")):
            one = table.where(seed=seed, incentive=incentive, algorithm="CGBD")
            gap = np.maximum(one.numbers("upper_bound") - one.numbers("potential"), 1e-16)
            label = f"incentive {incentive:g}" if number == 0 else None
            last.plot(one.numbers("step"), gap, color=colour(index), marker=marker(index), alpha=0.6, label=label)
    last.xaxis.set_major_locator(MaxNLocator(integer=True))
    last.legend(loc="center left")
    figure.supxlabel("DBR and FIP: median and range over markets; CGBD: one line each market", fontsize=8.0)
    return figure


POTENTIAL_DYNAMICS = Experiment(
    "potential-dynamics",
    "The potential under DBR, FIP and CGBD",
    ("incentive", "algorithm", "step", "potential", "upper_bound"),
    _dynamics,
    _judge_dynamics,
    _draw_dynamics,
)


def _payoffs(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = tradefl_market(rng)
    rows: list[Row] = []
    for incentive in (0.0, PAPER_INCENTIVE):
        trace = solve(market.game(incentive), "best-response").trace
        for update, payoffs in zip(trace.updates, trace.payoffs, strict=True):
            rows += [(incentive, int(update), n, float(payoff)) for n, payoff in enumerate(payoffs)]
    return rows


def _judge_payoffs(table: Table) -> list[Claim]:
    claims = []
    for incentive in table.distinct("incentive"):
        changes = []
        for seed in table.distinct("seed"):
            one = table.where(seed=seed, incentive=incentive)
            update, payoff = one.numbers("update"), one.numbers("payoff")
            changes.append(payoff[update == update.max()].sum() - payoff[update == 0].sum())
        claims.append(_RISE.judged(f"{TABLE_II}, incentive {incentive:g}", positive(changes)))
    return claims


def _draw_payoffs(table: Table) -> Figure:
    figure, axes = new_figure(1, 2, size=(9.8, 4.0), sharey=True)
    for panel, incentive in zip(axes, table.distinct("incentive"), strict=True):
        panel.set(title=f"First market, incentive {incentive:g}", xlabel="updates")
        first = table.where(seed=0, incentive=incentive)
        for n in first.distinct("organization"):
            one = first.where(organization=n)
            payoff = one.numbers("payoff")
            line = "-" if int(n) < _COLOURS else "--"
            change = 100.0 * (payoff / payoff[0] - 1.0)
            panel.step(one.numbers("update"), change, where="post", color=colour(int(n)), linestyle=line, label=f"{n}")
    axes[0].set_ylabel("payoff against the start (%)")
    axes[1].legend(title="organization", loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


PAYOFF_DYNAMICS = Experiment(
    "payoffs-under-dbr",
    "Payoffs while organizations respond in turn",
    ("incentive", "update", "organization", "payoff"),
    _payoffs,
    _judge_payoffs,
    _draw_payoffs,
)
