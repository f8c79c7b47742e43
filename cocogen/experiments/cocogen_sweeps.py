"""CoCoGen+'s claims about competition, heterogeneity and cost, on random markets with stated parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cocogen.experiments.claims import Claim, kendall_trends, positive
from cocogen.experiments.cocogen_plus import MARKET, incentive_grid, tuned_incentive, welfare_at
from cocogen.experiments.dilution import DilutedPowerLaw
from cocogen.experiments.figures import curves, heat_map, legend_below, single
from cocogen.experiments.markets import CoCoGenMarket, cocogen_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.table import Row, Table
from cocogen.game.accuracy import AccuracyFunction, PowerLaw, mean_heterogeneity
from cocogen.game.arrays import Array
from cocogen.mechanisms import build_game
from cocogen.solvers.fixed_point import bracketing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMPETITION", "COMPETITION_MAP", "COST_MAP", "HETEROGENEITY"]

_RATIOS = (0.0, 0.5, 1.0, 2.0, 4.0)
_PRIVATE_GAIN = 0.05


def _unit_incentive(market: CoCoGenMarket) -> float:
    """p̄ P'(Ω) at the equilibrium without competition: the incentive at which its effect should change sign [ours]."""
    game = build_game(market.market(0.0, competition=np.zeros((market.size, market.size))))
    omega = game.effective_samples(bracketing(game).strategies).sum()
    return float(market.profitability.mean() * game.accuracy.derivative(omega))


def _competition(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    unit = _unit_incentive(market)
    rows: list[Row] = []
    for share in np.linspace(0.0, 0.95, max(5, points // 2)):
        competition = market.competition_at(float(share))
        settings = {f"incentive {ratio:g} p P'": (ratio * unit, 1.0, 0.0) for ratio in _RATIOS}
        settings["relative standing"] = (0.0, 0.0, _PRIVATE_GAIN)
        for label, (incentive, damage, private_gain) in settings.items():
            game = build_game(
                market.market(incentive, competition=competition, damage=damage, private_gain=private_gain)
            )
            rows.append((label, round(float(share), 6), incentive, float(bracketing(game).strategies.sum())))
    return rows


def _judge_competition(table: Table) -> list[Claim]:
    claims = []
    for label in table.distinct("setting"):
        shares, generated = table.where(setting=label).pivot("competition_share", "generated")
        words = (
            f"relative standing (damage 0, private gain {_PRIVATE_GAIN:g}), incentive 0"
            if label == "relative standing"
            else f"damage 1, incentive {str(label).split()[1]} times p P' at the equilibrium without competition"
        )
        claims.append(
            Claim(
                "generation-grows-with-competition",
                "stronger competition raises generation",
                "CoCoGen+",
                "sign only",
                f"{MARKET}, competition 0 to 0.95 of the largest admissible, {words}",
                "Kendall's tau",
                positive(kendall_trends(np.array(shares, dtype=np.float64), generated)),
            )
        )
    return claims


def _draw_competition(table: Table) -> Figure:
    figure, axes = single(
        "Generation against competition",
        "competition (share of the largest admissible)",
        "generated (% of the mean without competition)",
        size=(6.4, 4.6),
    )
    series = {}
    grid: list[float] = []
    for label in table.distinct("setting"):
        shares, generated = table.where(setting=label).pivot("competition_share", "generated")
        grid = [float(share) for share in shares]
        series[str(label).replace("p P'", "p̄P′")] = 100.0 * generated / generated[:, 0].mean()
    curves(axes, grid, series)
    legend_below(axes)
    return figure


COMPETITION = Experiment(
    "generation-by-competition",
    "Generation against competition",
    ("setting", "competition_share", "incentive", "generated"),
    _competition,
    _judge_competition,
    _draw_competition,
)


def _heterogeneity(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    local = market.local
    laws: dict[str, AccuracyFunction] = {
        "fixed": PowerLaw(1.0, 4.0, 0.5),
        "diluted": DilutedPowerLaw(PowerLaw(1.0, 4.0, 0.5), half_dose=float(local.sum())),
    }
    tuned = tuned_incentive(market)
    rows: list[Row] = []
    for model, law in laws.items():
        for setting, incentive in (("zero", 0.0), ("tuned", tuned)):
            for factor in np.linspace(0.0, 3.0, max(5, points // 2)):
                heterogeneity = float(factor) * market.heterogeneity
                game = build_game(market.market(incentive, heterogeneity=heterogeneity, accuracy=law))
                mean = mean_heterogeneity(heterogeneity, local)
                generated = float(bracketing(game).strategies.sum())
                rows.append((model, setting, round(float(factor), 6), mean, incentive, generated))
    return rows


_MODELS = {
    "fixed": "power law times (1 - mean heterogeneity)",
    "diluted": "label-balancing dilution, half dose = all local samples",
}


def _judge_heterogeneity(table: Table) -> list[Claim]:
    claims = []
    for model in table.distinct("model"):
        for setting, words in (
            ("zero", "incentive 0"),
            ("tuned", "incentive tuned to each market's own heterogeneity"),
        ):
            factors, generated = table.where(model=model, setting=setting).pivot("factor", "generated")
            claims.append(
                Claim(
                    "generation-grows-as-heterogeneity-falls",
                    "milder heterogeneity raises generation",
                    "CoCoGen+",
                    "sign only",
                    f"{MARKET}, {_MODELS[str(model)]}, {words}, heterogeneity times 0 to 3",
                    "minus Kendall's tau",
                    positive(-kendall_trends(np.array(factors, dtype=np.float64), generated)),
                )
            )
    return claims


def _draw_heterogeneity(table: Table) -> Figure:
    figure, axes = single(
        "Generation against heterogeneity",
        "heterogeneity (factor on every organization's)",
        "generated (% of the mean without heterogeneity)",
    )
    labels = {"fixed": "unaffected by generation", "diluted": "diluted by generation"}
    series = {}
    grid: list[float] = []
    for model in table.distinct("model"):
        for setting, words in (("zero", "incentive 0"), ("tuned", "tuned incentive")):
            factors, generated = table.where(model=model, setting=setting).pivot("factor", "generated")
            grid = [float(factor) for factor in factors]
            series[f"{labels[str(model)]}, {words}"] = 100.0 * generated / generated[:, 0].mean()
    curves(axes, grid, series)
    legend_below(axes, 2)
    return figure


HETEROGENEITY = Experiment(
    "generation-by-heterogeneity",
    "Generation against heterogeneity",
    ("model", "setting", "factor", "mean_heterogeneity", "incentive", "generated"),
    _heterogeneity,
    _judge_heterogeneity,
    _draw_heterogeneity,
)


def _competition_map(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    rows: list[Row] = []
    for share in np.linspace(0.1, 0.95, max(5, points // 2)):
        competition = market.competition_at(float(share))
        for incentive in incentive_grid(points):
            welfare = welfare_at(market, float(incentive), competition=competition)
            rows.append((round(float(share), 6), float(incentive), welfare))
    return rows


def _cost_map(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    rows: list[Row] = []
    for factor in np.geomspace(0.25, 4.0, max(5, points // 2)):
        for incentive in incentive_grid(points):
            rows.append((float(factor), float(incentive), welfare_at(market, float(incentive), cost_factor=factor)))
    return rows


def _judge_map(table: Table, by: str, sign: float, name: str, statement: str, parameters: str) -> list[Claim]:
    values = np.array(table.distinct(by), dtype=np.float64)
    best = []
    for value in table.distinct(by):
        incentives, welfare = table.where(**{by: value}).pivot("incentive", "welfare")
        best.append(np.array(incentives, dtype=np.float64)[np.argmax(welfare, axis=1)])
    trends = kendall_trends(values, np.stack(best, axis=1))
    unit = "Kendall's tau" if sign > 0.0 else "minus Kendall's tau"
    return [Claim(name, statement, "ours", "none", parameters, unit, positive(sign * trends))]


def _judge_competition_map(table: Table) -> list[Claim]:
    return _judge_map(
        table,
        "competition_share",
        -1.0,
        "best-incentive-falls-with-competition",
        "the welfare-maximising incentive falls as competition grows, as rates are incentive times competition",
        f"{MARKET}, competition 0.1 to 0.95 of the largest admissible",
    )


def _judge_cost_map(table: Table) -> list[Claim]:
    return _judge_map(
        table,
        "cost_factor",
        1.0,
        "best-incentive-grows-with-cost",
        "the welfare-maximising incentive grows with generation costs",
        f"{MARKET}, both generation costs times 0.25 to 4",
    )


def _map(table: Table, by: str, y_label: str) -> Figure:
    figure, axes = single("Welfare above incentive 0", "incentive (currency per effective sample)", y_label)
    rows: list[Array] = []
    grid: list[float] = []
    for value in table.distinct(by):
        incentives, welfare = table.where(**{by: value}).pivot("incentive", "welfare")
        grid = [float(incentive) for incentive in incentives][1:]
        rows.append((100.0 * (welfare[:, 1:] - welfare[:, :1]) / welfare[:, :1]).mean(axis=0))
    y = [float(value) for value in table.distinct(by)]
    heat_map(axes, grid, y, np.array(rows), "welfare (%), mean over markets")
    best = [grid[int(np.argmax(row))] for row in rows]
    axes.plot(best, y, color="#000000", marker="o", markersize=3.5, linewidth=1.0, label="best incentive")
    axes.set_xscale("log")
    legend_below(axes, 1)
    return figure


def _draw_competition_map(table: Table) -> Figure:
    return _map(table, "competition_share", "competition (share of the largest admissible)")


def _draw_cost_map(table: Table) -> Figure:
    figure = _map(table, "cost_factor", "factor on generation costs")
    axes = figure.axes[0]
    axes.set_yscale("log")
    axes.set_yticks([0.25, 0.5, 1.0, 2.0, 4.0], ["0.25", "0.5", "1", "2", "4"])
    axes.minorticks_off()
    return figure


COMPETITION_MAP = Experiment(
    "incentive-competition-map",
    "Welfare over incentive and competition",
    ("competition_share", "incentive", "welfare"),
    _competition_map,
    _judge_competition_map,
    _draw_competition_map,
)

COST_MAP = Experiment(
    "incentive-cost-map",
    "Welfare over incentive and generation cost",
    ("cost_factor", "incentive", "welfare"),
    _cost_map,
    _judge_cost_map,
    _draw_cost_map,
)
