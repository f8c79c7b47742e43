"""TradeFL's claims about parameters: the incentive, the overhead weight ϖ, and competition, on Table II markets."""

from __future__ import annotations

import numpy as np

from cocogen.experiments.claims import Claim, Statement, contains, interior_peak, kendall_trends, positive, tradefl_says
from cocogen.experiments.figures import Figure, curves, legend_below, peak_panels, single
from cocogen.experiments.markets import tradefl_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import above_first, peaks, peaks_by, sweep, welfare_map
from cocogen.experiments.table import Row, Table
from cocogen.experiments.tradefl import PAPER_INCENTIVE, TABLE_II, equilibrium, incentive_grid
from cocogen.game.coopetition import CoopetitionGame

__all__ = ["COMPETITION_MAP", "INCENTIVE_SWEEP", "OVERHEAD_MAP", "OVERHEAD_SWEEP"]

ROUNDING = 1e-9
"""Welfare that is not above incentive 0 by more, relative, is not above it."""

_FEWEST = 2  # markets with a peak, below which there is no interval
_OVERHEADS = (0.01, 0.1, 0.3, 1.0)
_RISES_AND_FALLS = tradefl_says("welfare-inverted-u", "welfare rises, then falls with the incentive", "% of welfare")
_PEAK = Statement("welfare-peak", "welfare is largest at incentive 5.12e-9", "currency per bit", "TradeFL", "5.12e-9")
_FALLS = tradefl_says("welfare-falls-with-overhead", "welfare falls with the overhead weight", "minus Kendall's tau")
_BEST_FALLS = Statement(
    "best-incentive-falls-with-competition",
    "the welfare-maximising incentive falls as competition grows, as rates are incentive times competition",
    "minus Kendall's tau",
)
_BEST_GROWS = Statement(
    "best-incentive-grows-with-overhead",
    "the welfare-maximising incentive grows with the overhead weight",
    "Kendall's tau",
)


def _played(game: CoopetitionGame) -> tuple[float, float, float]:
    """Welfare, mean data fraction and certificate of the equilibrium."""
    found = equilibrium(game)
    return game.welfare(found.strategies), float(found.strategies[:, 0].mean()), found.epsilon


def _sweep(rng: np.random.Generator, points: int) -> list[Row]:
    market, grid = tradefl_market(rng), incentive_grid(points).tolist()
    return [(w, x, *_played(market.game(x, overhead_weight=w))) for w in _OVERHEADS for x in grid]


def _judge_sweep(table: Table) -> list[Claim]:
    claims = []
    for overhead, welfare in sweep(table, "incentive", "welfare", "overhead")[1].items():
        parameters = f"Table II, N = 10, deadline 5 s, overhead weight {overhead:g}, incentive 0 and 1e-11 to 1e-7"
        claims.append(_RISES_AND_FALLS.judged(parameters, interior_peak(above_first(welfare))))
        places = peaks(table.where(overhead=overhead), ROUNDING)
        found = int(np.isfinite(places).sum())
        if found >= _FEWEST:
            remark = f"some incentive beats none in {found} of {places.size} markets"
            claims.append(_PEAK.judged(parameters, contains(places, PAPER_INCENTIVE, logarithmic=True), remark))
    return claims


def _draw_sweep(table: Table) -> Figure:
    grid, welfare = sweep(table, "incentive", "welfare", "overhead")
    series = {f"{overhead:g}": above_first(values) for overhead, values in welfare.items()}
    figure = peak_panels(
        "Overhead weight ", grid, "incentive (currency per bit)", "welfare above incentive 0 (%)", series, 1e-11
    )
    for panel in figure.axes:
        panel.axvline(PAPER_INCENTIVE, color="#000000", linestyle=":", label="paper: 5.12e-9")
        panel.legend(handles=[panel.get_lines()[-1]], loc="lower left")
    return figure


INCENTIVE_SWEEP = Experiment(
    "incentive-sweep",
    "Welfare against the incentive",
    ("overhead", "incentive", "welfare", "data_fraction", "epsilon"),
    _sweep,
    _judge_sweep,
    _draw_sweep,
)


def _overhead(rng: np.random.Generator, points: int) -> list[Row]:
    market, weights = tradefl_market(rng), np.geomspace(1e-3, 1.0, points).tolist()
    incentives = (0.0, 1e-9, PAPER_INCENTIVE)
    return [(x, w, *_played(market.game(x, overhead_weight=w))) for x in incentives for w in weights]


def _judge_overhead(table: Table) -> list[Claim]:
    overheads, welfare = sweep(table, "overhead", "welfare", "incentive")
    words = "Table II, N = 10, deadline 5 s, incentive {:g}, overhead weight 1e-3 to 1"
    return [_FALLS.judged(words.format(x), positive(-kendall_trends(overheads, w))) for x, w in welfare.items()]


def _draw_overhead(table: Table) -> Figure:
    figure, axes = single(
        "Welfare against the overhead weight", "overhead weight (currency per joule)", "welfare (% of the first point)"
    )
    grid, welfare = sweep(table, "overhead", "welfare", "incentive")
    curves(axes, grid, {f"incentive {x:g}": 100.0 * values / values[:, :1] for x, values in welfare.items()})
    axes.set_xscale("log")
    legend_below(axes)
    return figure


OVERHEAD_SWEEP = Experiment(
    "overhead-sweep",
    "Welfare against the overhead weight",
    ("incentive", "overhead", "welfare", "data_fraction", "epsilon"),
    _overhead,
    _judge_overhead,
    _draw_overhead,
)


def _map_grid(points: int) -> list[float]:
    return [0.0, *np.geomspace(1e-10, 1e-7, max(4, points // 2)).tolist()]


def _competition_map(rng: np.random.Generator, points: int) -> list[Row]:
    market = tradefl_market(rng)
    rows: list[Row] = []
    for share in np.linspace(0.1, 0.95, max(5, points // 2)).tolist():
        competition = market.competition_at(share)
        for incentive in _map_grid(points):
            welfare, _, _ = _played(market.game(incentive, competition=competition))
            rows.append((round(share, 6), float(competition.max()), incentive, welfare))
    return rows


def _overhead_map(rng: np.random.Generator, points: int) -> list[Row]:
    market, weights = tradefl_market(rng), np.geomspace(1e-3, 1.0, max(5, points // 2)).tolist()
    return [(w, x, _played(market.game(x, overhead_weight=w))[0]) for w in weights for x in _map_grid(points)]


def _judge_competition_map(table: Table) -> list[Claim]:
    shares, best = peaks_by(table, "competition_share", ROUNDING)
    parameters = f"{TABLE_II}, competition 0.1 to 0.95 of the largest admissible"
    return [_BEST_FALLS.judged(parameters, positive(-kendall_trends(shares, best)))]


def _judge_overhead_map(table: Table) -> list[Claim]:
    overheads, best = peaks_by(table, "overhead", ROUNDING)
    middle = np.median(best, axis=0)
    spread = ", ".join(f"{value:.2g} at {overhead:.2g}" for overhead, value in zip(overheads, middle, strict=True))
    parameters = "Table II, N = 10, deadline 5 s, overhead weight 1e-3 to 1"
    return [_BEST_GROWS.judged(parameters, positive(kendall_trends(overheads, best)), f"medians: {spread}")]


def _map(table: Table, by: str, y_label: str) -> Figure:
    figure = welfare_map(table, by, "incentive (currency per bit)", y_label, ROUNDING)
    axes = figure.axes[0]
    axes.axvline(PAPER_INCENTIVE, color="#000000", linestyle=":", label="paper: 5.12e-9")
    legend_below(axes, 2)
    return figure


def _draw_competition_map(table: Table) -> Figure:
    return _map(table, "competition_share", "competition (share of the largest admissible)")


def _draw_overhead_map(table: Table) -> Figure:
    figure = _map(table, "overhead", "overhead weight (currency per joule)")
    figure.axes[0].set_yscale("log")
    return figure


COMPETITION_MAP = Experiment(
    "incentive-competition-map",
    "Welfare over incentive and competition",
    ("competition_share", "largest_competition", "incentive", "welfare"),
    _competition_map,
    _judge_competition_map,
    _draw_competition_map,
)

OVERHEAD_MAP = Experiment(
    "incentive-overhead-map",
    "Welfare over incentive and overhead weight",
    ("overhead", "incentive", "welfare"),
    _overhead_map,
    _judge_overhead_map,
    _draw_overhead_map,
)
