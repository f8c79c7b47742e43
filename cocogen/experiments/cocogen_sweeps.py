"""CoCoGen+'s claims about competition, heterogeneity and cost, on random markets with stated parameters."""

from __future__ import annotations

import numpy as np

from cocogen.experiments.claims import Claim, Statement, cocogen_says, kendall_trends, positive
from cocogen.experiments.cocogen_plus import MARKET, incentive_grid, tuned_incentive, welfare_at
from cocogen.experiments.dilution import DilutedPowerLaw
from cocogen.experiments.figures import Figure, curves, legend_below, single
from cocogen.experiments.markets import CoCoGenMarket, cocogen_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import peaks_by, sweep, welfare_map
from cocogen.experiments.table import Row, Table
from cocogen.game.accuracy import AccuracyFunction, PowerLaw, mean_heterogeneity
from cocogen.mechanisms import build_game
from cocogen.solvers.fixed_point import bracketing

__all__ = ["COMPETITION", "COMPETITION_MAP", "COST_MAP", "HETEROGENEITY"]

_RATIOS = (0.0, 0.5, 1.0, 2.0, 4.0)
_PRIVATE_GAIN = 0.05
_GROWS = cocogen_says("generation-grows-with-competition", "stronger competition raises generation", "Kendall's tau")
_GROWS_AS_LABELS_EVEN_OUT = cocogen_says(
    "generation-grows-as-heterogeneity-falls", "milder heterogeneity raises generation", "minus Kendall's tau"
)
_BEST_FALLS = Statement(
    "best-incentive-falls-with-competition",
    "the welfare-maximising incentive falls as competition grows, as rates are incentive times competition",
    "minus Kendall's tau",
)
_BEST_GROWS = Statement(
    "best-incentive-grows-with-cost",
    "the welfare-maximising incentive grows with generation costs",
    "Kendall's tau",
)


def _unit_incentive(market: CoCoGenMarket) -> float:
    """p̄ P'(Ω) at the equilibrium without competition: the incentive at which its effect should change sign [ours]."""
    game = build_game(market.market(0.0, competition=np.zeros((market.size, market.size))))
    omega = game.effective_samples(bracketing(game).strategies).sum()
    return float(market.profitability.mean() * game.accuracy.derivative(omega))


def _competition(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    unit = _unit_incentive(market)
    rows: list[Row] = []
    for share in np.linspace(0.0, 0.95, max(5, points // 2)).tolist():
        competition = market.competition_at(share)
        settings = {f"incentive {ratio:g} p P'": (ratio * unit, 1.0, 0.0) for ratio in _RATIOS}
        settings["relative standing"] = (0.0, 0.0, _PRIVATE_GAIN)
        for label, (incentive, damage, private_gain) in settings.items():
            game = build_game(
                market.market(incentive, competition=competition, damage=damage, private_gain=private_gain)
            )
            rows.append((label, round(share, 6), incentive, float(bracketing(game).strategies.sum())))
    return rows


def _judge_competition(table: Table) -> list[Claim]:
    claims = []
    shares, generated = sweep(table, "competition_share", "generated", "setting")
    for label, values in generated.items():
        words = (
            f"relative standing (damage 0, private gain {_PRIVATE_GAIN:g}), incentive 0"
            if label == "relative standing"
            else f"damage 1, incentive {str(label).split()[1]} times p P' at the equilibrium without competition"
        )
        parameters = f"{MARKET}, competition 0 to 0.95 of the largest admissible, {words}"
        claims.append(_GROWS.judged(parameters, positive(kendall_trends(shares, values))))
    return claims


def _draw_competition(table: Table) -> Figure:
    figure, axes = single(
        "Generation against competition",
        "competition (share of the largest admissible)",
        "generated (% of the mean without competition)",
        size=(6.4, 4.6),
    )
    grid, generated = sweep(table, "competition_share", "generated", "setting")
    labels = {label: str(label).replace("p P'", "p̄P′") for label in generated}
    curves(axes, grid, {labels[label]: 100.0 * values / values[:, 0].mean() for label, values in generated.items()})
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
    words = {"zero": "incentive 0", "tuned": "incentive tuned to each market's own heterogeneity"}
    for model in table.distinct("model"):
        factors, generated = sweep(table.where(model=model), "factor", "generated", "setting")
        for setting, values in generated.items():
            parameters = f"{MARKET}, {_MODELS[str(model)]}, {words[str(setting)]}, heterogeneity times 0 to 3"
            claims.append(_GROWS_AS_LABELS_EVEN_OUT.judged(parameters, positive(-kendall_trends(factors, values))))
    return claims


def _draw_heterogeneity(table: Table) -> Figure:
    figure, axes = single(
        "Generation against heterogeneity",
        "heterogeneity (factor on every organization's)",
        "generated (% of the mean without heterogeneity)",
    )
    series = {}
    for model, label in (("fixed", "unaffected by generation"), ("diluted", "diluted by generation")):
        grid, generated = sweep(table.where(model=model), "factor", "generated", "setting")
        for setting, words in (("zero", "incentive 0"), ("tuned", "tuned incentive")):
            series[f"{label}, {words}"] = 100.0 * generated[setting] / generated[setting][:, 0].mean()
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
    for share in np.linspace(0.1, 0.95, max(5, points // 2)).tolist():
        competition, grid = market.competition_at(share), incentive_grid(points).tolist()
        rows += [(round(share, 6), x, welfare_at(market, x, competition=competition)) for x in grid]
    return rows


def _cost_map(rng: np.random.Generator, points: int) -> list[Row]:
    market, factors = cocogen_market(rng), np.geomspace(0.25, 4.0, max(5, points // 2)).tolist()
    grid = incentive_grid(points).tolist()
    return [(factor, x, welfare_at(market, x, cost_factor=factor)) for factor in factors for x in grid]


def _judge_competition_map(table: Table) -> list[Claim]:
    parameters = f"{MARKET}, competition 0.1 to 0.95 of the largest admissible"
    return [_BEST_FALLS.judged(parameters, positive(-kendall_trends(*peaks_by(table, "competition_share"))))]


def _judge_cost_map(table: Table) -> list[Claim]:
    parameters = f"{MARKET}, both generation costs times 0.25 to 4"
    return [_BEST_GROWS.judged(parameters, positive(kendall_trends(*peaks_by(table, "cost_factor"))))]


def _map(table: Table, by: str, y_label: str) -> Figure:
    figure = welfare_map(table, by, "incentive (currency per effective sample)", y_label)
    legend_below(figure.axes[0], 1)
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
