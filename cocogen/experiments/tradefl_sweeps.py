"""TradeFL's claims about parameters: the incentive, the overhead weight ϖ, and competition, on Table II markets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cocogen.experiments.claims import Claim, contains, interior_peak, kendall_trends, positive
from cocogen.experiments.figures import curves, heat_map, legend_below, peak_panels, single
from cocogen.experiments.markets import tradefl_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.table import Row, Table
from cocogen.experiments.tradefl import PAPER_INCENTIVE, TABLE_II, equilibrium, incentive_grid
from cocogen.game.arrays import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMPETITION_MAP", "INCENTIVE_SWEEP", "OVERHEAD_MAP", "OVERHEAD_SWEEP", "peaks"]

_ROUNDING = 1e-9
_FEWEST = 2  # markets with a peak, below which there is no interval
_OVERHEADS = (0.01, 0.1, 0.3, 1.0)


def peaks(table: Table) -> Array:
    """The incentive with the largest welfare, for each seed, shape (S,); NaN where no incentive beats none."""
    incentives, welfare = table.pivot("incentive", "welfare")
    best = np.argmax(welfare, axis=1)
    better = welfare.max(axis=1) > welfare[:, 0] * (1.0 + _ROUNDING)
    return np.where(better, np.array(incentives, dtype=np.float64)[best], np.nan)


def _gain(table: Table) -> tuple[list[float], Array]:
    """Welfare above incentive 0 in percent, shape (S, K)."""
    incentives, welfare = table.pivot("incentive", "welfare")
    return [float(value) for value in incentives], 100.0 * (welfare - welfare[:, :1]) / welfare[:, :1]


def _sweep(rng: np.random.Generator, points: int) -> list[Row]:
    market = tradefl_market(rng)
    rows: list[Row] = []
    for overhead in _OVERHEADS:
        for incentive in incentive_grid(points):
            game = market.game(float(incentive), overhead_weight=overhead)
            found = equilibrium(game)
            fraction = float(found.strategies[:, 0].mean())
            rows.append((overhead, float(incentive), game.welfare(found.strategies), fraction, found.epsilon))
    return rows


def _judge_sweep(table: Table) -> list[Claim]:
    claims = []
    for overhead in table.distinct("overhead"):
        one = table.where(overhead=overhead)
        parameters = f"Table II, N = 10, deadline 5 s, overhead weight {overhead:g}, incentive 0 and 1e-11 to 1e-7"
        claims.append(
            Claim(
                "welfare-inverted-u",
                "welfare rises, then falls with the incentive",
                "TradeFL",
                "sign only",
                parameters,
                "% of welfare",
                interior_peak(_gain(one)[1]),
            )
        )
        places = peaks(one)
        found = int(np.isfinite(places).sum())
        if found < _FEWEST:
            continue
        claims.append(
            Claim(
                "welfare-peak",
                "welfare is largest at incentive 5.12e-9",
                "TradeFL",
                "5.12e-9",
                parameters,
                "currency per bit",
                contains(places, PAPER_INCENTIVE, logarithmic=True),
                f"some incentive beats none in {found} of {places.size} markets",
            )
        )
    return claims


def _draw_sweep(table: Table) -> Figure:
    series = {}
    grid: list[float] = []
    for overhead in table.distinct("overhead"):
        grid, series[f"{overhead:g}"] = _gain(table.where(overhead=overhead))
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
    market = tradefl_market(rng)
    rows: list[Row] = []
    for incentive in (0.0, 1e-9, PAPER_INCENTIVE):
        for overhead in np.geomspace(1e-3, 1.0, points):
            game = market.game(incentive, overhead_weight=float(overhead))
            found = equilibrium(game)
            fraction = float(found.strategies[:, 0].mean())
            rows.append((incentive, float(overhead), game.welfare(found.strategies), fraction, found.epsilon))
    return rows


def _judge_overhead(table: Table) -> list[Claim]:
    claims = []
    for incentive in table.distinct("incentive"):
        overheads, welfare = table.where(incentive=incentive).pivot("overhead", "welfare")
        trends = kendall_trends(np.array(overheads, dtype=np.float64), welfare)
        claims.append(
            Claim(
                "welfare-falls-with-overhead",
                "welfare falls with the overhead weight",
                "TradeFL",
                "sign only",
                f"Table II, N = 10, deadline 5 s, incentive {incentive:g}, overhead weight 1e-3 to 1",
                "minus Kendall's tau",
                positive(-trends),
            )
        )
    return claims


def _draw_overhead(table: Table) -> Figure:
    figure, axes = single(
        "Welfare against the overhead weight", "overhead weight (currency per joule)", "welfare (% of the first point)"
    )
    series = {}
    grid: list[float] = []
    for incentive in table.distinct("incentive"):
        overheads, welfare = table.where(incentive=incentive).pivot("overhead", "welfare")
        grid = [float(value) for value in overheads]
        series[f"incentive {incentive:g}"] = 100.0 * welfare / welfare[:, :1]
    curves(axes, grid, series)
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


def _map_grid(points: int) -> Array:
    return np.concatenate([[0.0], np.geomspace(1e-10, 1e-7, max(4, points // 2))])


def _competition_map(rng: np.random.Generator, points: int) -> list[Row]:
    market = tradefl_market(rng)
    rows: list[Row] = []
    for share in np.linspace(0.1, 0.95, max(5, points // 2)):
        competition = market.competition_at(float(share))
        for incentive in _map_grid(points):
            game = market.game(float(incentive), competition=competition)
            welfare = game.welfare(equilibrium(game).strategies)
            rows.append((round(float(share), 6), float(competition.max()), float(incentive), welfare))
    return rows


def _overhead_map(rng: np.random.Generator, points: int) -> list[Row]:
    market = tradefl_market(rng)
    rows: list[Row] = []
    for overhead in np.geomspace(1e-3, 1.0, max(5, points // 2)):
        for incentive in _map_grid(points):
            game = market.game(float(incentive), overhead_weight=float(overhead))
            rows.append((float(overhead), float(incentive), game.welfare(equilibrium(game).strategies)))
    return rows


def _peak_trend(table: Table, by: str) -> tuple[Array, Array]:
    """The K values of ``by``, and the best incentives, shape (S, K); 0 where no incentive beats none."""
    values = np.array(table.distinct(by), dtype=np.float64)
    best = np.stack([peaks(table.where(**{by: value})) for value in table.distinct(by)], axis=1)
    return values, np.nan_to_num(best, nan=0.0)


def _judge_competition_map(table: Table) -> list[Claim]:
    shares, best = _peak_trend(table, "competition_share")
    return [
        Claim(
            "best-incentive-falls-with-competition",
            "the welfare-maximising incentive falls as competition grows, as rates are incentive times competition",
            "ours",
            "none",
            f"{TABLE_II}, competition 0.1 to 0.95 of the largest admissible",
            "minus Kendall's tau",
            positive(-kendall_trends(shares, best)),
        )
    ]


def _judge_overhead_map(table: Table) -> list[Claim]:
    overheads, best = _peak_trend(table, "overhead")
    middle = np.median(best, axis=0)
    spread = ", ".join(f"{value:.2g} at {overhead:.2g}" for overhead, value in zip(overheads, middle, strict=True))
    return [
        Claim(
            "best-incentive-grows-with-overhead",
            "the welfare-maximising incentive grows with the overhead weight",
            "ours",
            "none",
            "Table II, N = 10, deadline 5 s, overhead weight 1e-3 to 1",
            "Kendall's tau",
            positive(kendall_trends(overheads, best)),
            f"medians: {spread}",
        )
    ]


def _map(table: Table, by: str, y_label: str) -> Figure:
    figure, axes = single("Welfare above incentive 0", "incentive (currency per bit)", y_label)
    rows, grid = [], [0.0]
    for value in table.distinct(by):
        grid, gain = _gain(table.where(**{by: value}))
        rows.append(gain.mean(axis=0)[1:])
    y = [float(value) for value in table.distinct(by)]
    heat_map(axes, grid[1:], y, np.array(rows), "welfare (%), mean over markets")
    best = np.array([grid[1:][int(np.argmax(row))] if row.max() > _ROUNDING else np.nan for row in rows])
    axes.plot(best, y, color="#000000", marker="o", markersize=3.5, linewidth=1.0, label="best incentive")
    axes.axvline(PAPER_INCENTIVE, color="#000000", linestyle=":", label="paper: 5.12e-9")
    axes.set_xscale("log")
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
