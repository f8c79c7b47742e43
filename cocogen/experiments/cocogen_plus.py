"""CoCoGen+'s claims about schemes and the incentive, on random markets with stated parameters.

Dynamics, welfare by scheme, welfare against the incentive, and the best incentive against task difficulty. Sweeps over
competition, heterogeneity and cost are in ``cocogen_sweeps``.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np

from cocogen.errors import NoRationalIncentive
from cocogen.experiments.claims import (
    Claim,
    cocogen_says,
    interior_peak,
    kendall_trends,
    not_below,
    positive,
)
from cocogen.experiments.figures import Figure, bars, curves, peak_panels
from cocogen.experiments.markets import CoCoGenMarket, cocogen_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import above_first, sweep
from cocogen.experiments.table import Row, Table
from cocogen.game.accuracy import PowerLaw
from cocogen.game.arrays import Array
from cocogen.mechanisms import automatic_incentive, build_game, mechanism
from cocogen.report.style import colour, new_figure
from cocogen.solvers import solve
from cocogen.solvers.fixed_point import bracketing

__all__ = [
    "DIFFICULTY",
    "DYNAMICS",
    "INCENTIVE_SWEEP",
    "MARKET",
    "SCHEMES",
    "incentive_grid",
    "tuned_incentive",
    "welfare_at",
]

MARKET = "N = 8, mean competition 0.03, power law A0 = 1, a = 4, b = 0.5"

_RISES = cocogen_says("potential-never-falls", "the potential rises with every best response", "accuracy")
_RISES_AND_FALLS = cocogen_says(
    "welfare-non-monotone-in-incentive", "welfare rises, then falls with the incentive", "% of welfare"
)
_BEST_GROWS = cocogen_says(
    "best-incentive-grows-with-difficulty",
    "the welfare-maximising incentive grows with task difficulty",
    "Kendall's tau",
)

_LEAST, _MOST = 1e-3, 10.0
_SCAN = 33


def incentive_grid(points: int, most: float = 3.0) -> Array:
    """0, then ``points`` − 1 incentives spread evenly over the decades up to ``most``, currency per sample."""
    return np.concatenate([[0.0], np.geomspace(_LEAST, most, points - 1)])


def welfare_at(market: CoCoGenMarket, incentive: float, **changes: Any) -> float:
    """Welfare of the equilibrium at an incentive; ``changes`` as in :meth:`CoCoGenMarket.market`."""
    game = build_game(market.market(incentive, **changes))
    return game.welfare(bracketing(game).strategies)


def tuned_incentive(market: CoCoGenMarket, **changes: Any) -> float:
    """The incentive from 1e-3 to 10 with the largest welfare, rational or not: a scan, then a bounded scalar search."""
    from scipy.optimize import minimize_scalar

    grid = np.geomspace(_LEAST, _MOST, _SCAN)
    best = int(np.argmax([welfare_at(market, float(incentive), **changes) for incentive in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, _SCAN - 1)])
    found = minimize_scalar(lambda x: -welfare_at(market, float(x), **changes), bounds=bounds, method="bounded")
    return float(found.x)


def _dynamics(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = cocogen_market(rng)
    game = build_game(market.market(tuned_incentive(market)))
    rows: list[Row] = []
    played = solve(game, "best-response")
    for update, potential in zip(played.trace.updates, played.trace.potential, strict=True):
        rows.append(("best-response", int(update), played.upper_bound - float(potential)))
    iterated = solve(game, "damped")
    for step, residual in enumerate(iterated.trace.residual):
        rows.append(("damped", step, float(residual)))
    return rows


def _judge_dynamics(table: Table) -> list[Claim]:
    smallest = []
    for seed in table.distinct("seed"):
        below = table.where(seed=seed, algorithm="best-response").numbers("distance")
        smallest.append(float((below[:-1] - below[1:]).min()))
    return [_RISES.judged(f"{MARKET}, tuned incentive", not_below(smallest, 1e-12), "smallest step of each market")]


def _draw_dynamics(table: Table) -> Figure:
    figure, axes = new_figure(1, 2, size=(9.2, 3.8))
    panels = (
        ("best-response", "Best responses in turn", "updates", "potential below its bound (accuracy)"),
        ("damped", "Damped iteration", "iterations", "relative residual of the aggregate"),
    )
    for index, (panel, (algorithm, title, x_label, y_label)) in enumerate(zip(axes, panels, strict=True)):
        panel.set(title=title, xlabel=x_label, ylabel=y_label, yscale="log")
        for seed in table.distinct("seed"):
            one = table.where(seed=seed, algorithm=algorithm)
            panel.plot(one.numbers("step"), np.maximum(one.numbers("distance"), 1e-16), color=colour(index), alpha=0.5)
    figure.supxlabel("one line each market", fontsize=8.0)
    return figure


DYNAMICS = Experiment(
    "potential-dynamics",
    "How the algorithms approach the equilibrium",
    ("algorithm", "step", "distance"),
    _dynamics,
    _judge_dynamics,
    _draw_dynamics,
)

_MAXIMA = (100.0, 400.0)


def _schemes(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = cocogen_market(rng)
    rows: list[Row] = []
    for maximum in _MAXIMA:
        limited = replace(market, maximum=maximum)
        settings: dict[str, float] = {"zero": 0.0, "tuned": tuned_incentive(limited)}
        with contextlib.suppress(NoRationalIncentive):
            settings["automatic"] = automatic_incentive(limited.market(), limited.decode()).incentive
        plans = {name: mechanism("cocogen+").plan(limited.market(value), rng) for name, value in settings.items()}
        schemes = {f"CoCoGen+ {name}": (settings[name], plan) for name, plan in plans.items()}
        for name in ("wco", "radg", "vcfl"):
            schemes[name.upper()] = (0.0, mechanism(name).plan(limited.market(), rng))
        for scheme, (incentive, plan) in schemes.items():
            share = plan.welfare / plan.planner_welfare
            generated, least = float(plan.strategies.sum()), float(plan.surplus.min())
            rows.append((maximum, scheme, incentive, plan.welfare, share, generated, plan.epsilon, least))
    return rows


def _judge_schemes(table: Table) -> list[Claim]:
    claims = []
    for maximum in _MAXIMA:
        names, welfare = table.where(maximum=maximum).pivot("scheme", "welfare")
        for setting, words in (("zero", "incentive 0"), ("tuned", "welfare-maximising incentive of each market")):
            ours = welfare[:, names.index(f"CoCoGen+ {setting}")]
            parameters = f"{MARKET}, at most {maximum:g} samples, {words}"
            for scheme, label in (("WCO", "WCO"), ("RADG", "RaDG"), ("VCFL", "VCFL")):
                other, sentence = welfare[:, names.index(scheme)], f"welfare of CoCoGen+ above {label}"
                above = cocogen_says(f"welfare-above-{scheme.lower()}", sentence, "%")
                claims.append(above.judged(parameters, positive(100.0 * (ours - other) / np.abs(other))))
    return claims


def _draw_schemes(table: Table) -> Figure:
    figure, axes = new_figure(1, 2, size=(9.2, 3.6), sharey=True)
    shown = ("CoCoGen+ tuned", "CoCoGen+ automatic", "CoCoGen+ zero", "WCO", "RADG", "VCFL")
    labels = ("CoCoGen+, tuned", "CoCoGen+, automatic", "CoCoGen+, incentive 0", "WCO", "RaDG", "VCFL")
    for panel, maximum in zip(axes, _MAXIMA, strict=True):
        one = table.where(maximum=maximum)
        names, share = one.pivot("scheme", "efficiency")
        present = [(name, label) for name, label in zip(shown, labels, strict=True) if name in names]
        lost = 100.0 * (share[:, [names.index(name) for name, _ in present]] - 1.0)
        bars(panel, [label for _, label in present], lost)
        panel.set(title=f"At most {maximum:g} samples each", xlabel="welfare against the planner's optimum (%)")
    return figure


SCHEMES = Experiment(
    "welfare-by-scheme",
    "Social welfare of every scheme",
    ("maximum", "scheme", "incentive", "welfare", "efficiency", "generated", "epsilon", "least_surplus"),
    _schemes,
    _judge_schemes,
    _draw_schemes,
)

_SCALES = (1.0, 2.0, 4.0, 8.0)
_EXPONENTS = (0.7, 0.6, 0.5, 0.4)


def _incentive(rng: np.random.Generator, points: int) -> list[Row]:
    market = cocogen_market(rng)
    rows: list[Row] = []
    for scale in _SCALES:
        law = PowerLaw(1.0, scale, 0.5)
        for incentive in incentive_grid(points):
            game = build_game(market.market(float(incentive), accuracy=law))
            strategies = bracketing(game).strategies
            rows.append((scale, float(incentive), game.welfare(strategies), float(strategies.sum())))
    return rows


def _judge_incentive(table: Table) -> list[Claim]:
    words = "N = 8, mean competition 0.03, b = 0.5, a = {:g}, incentive 0 and 1e-3 to 3"
    _, welfare = sweep(table, "incentive", "welfare", "scale")
    return [_RISES_AND_FALLS.judged(words.format(a), interior_peak(above_first(w))) for a, w in welfare.items()]


def _draw_incentive(table: Table) -> Figure:
    grid, welfare = sweep(table, "incentive", "welfare", "scale")
    series = {f"{scale:g}": above_first(values) for scale, values in welfare.items()}
    labels = ("incentive (currency per effective sample)", "welfare above incentive 0 (%)")
    return peak_panels("Difficulty a = ", grid, *labels, series, _LEAST)


INCENTIVE_SWEEP = Experiment(
    "incentive-sweep",
    "Welfare against the incentive",
    ("scale", "incentive", "welfare", "generated"),
    _incentive,
    _judge_incentive,
    _draw_incentive,
)


def _difficulty(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = cocogen_market(rng)
    registered = float(market.local.sum())
    rows: list[Row] = []
    for kind, laws in (
        ("scale", [(a, PowerLaw(1.0, a, 0.5)) for a in _SCALES]),
        ("exponent", [(b, PowerLaw(1.0, 4.0, b)) for b in _EXPONENTS]),
    ):
        for value, law in laws:
            missing = float(1.0 - law.value(registered))
            rows.append((kind, value, missing, tuned_incentive(market, accuracy=law)))
    return rows


def _judge_difficulty(table: Table) -> list[Claim]:
    claims = []
    for kind, sign, words in (("scale", 1.0, "a = 1 to 8, b = 0.5"), ("exponent", -1.0, "a = 4, b = 0.7 down to 0.4")):
        values, best = table.where(kind=kind).pivot("value", "best_incentive")
        trends = kendall_trends(np.array(values, dtype=np.float64), best)
        claims.append(_BEST_GROWS.judged(f"N = 8, mean competition 0.03, {words}", positive(sign * trends)))
    return claims


def _draw_difficulty(table: Table) -> Figure:
    figure, axes = new_figure(1, 2, size=(9.2, 3.6))
    panels = (("scale", "Harder to the right: scale", "power law's scale a"),
              ("exponent", "Harder to the right: exponent", "power law's exponent b"))  # fmt: skip
    for panel, (kind, title, x_label) in zip(axes, panels, strict=True):
        values, best = table.where(kind=kind).pivot("value", "best_incentive")
        curves(panel, [float(value) for value in values], {"best incentive": best})
        panel.set(title=title, xlabel=x_label, ylabel="best incentive (currency per sample)")
    axes[1].invert_xaxis()
    return figure


DIFFICULTY = Experiment(
    "incentive-by-difficulty",
    "The best incentive against task difficulty",
    ("kind", "value", "missing_accuracy", "best_incentive"),
    _difficulty,
    _judge_difficulty,
    _draw_difficulty,
)
