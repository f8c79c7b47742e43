"""What an organization gains by misreporting itself before the terms are agreed [ours].

Profitability, generation cost and competition are taken as agreed. Here one organization multiplies one of them by a
factor; the mechanism is computed on the reported values, everyone follows the resulting plan, and payoffs are evaluated
with the true values. Where the mechanism refuses the reported market (no rational incentive, no surplus to share, an
unstable market), no consortium comes about and the organization earns its true outside option. Afterwards the
misreporter might also leave the plan: the best it could add by that is a column of its own.

No truthfulness is claimed: the question is how much a lie pays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cocogen.errors import GameError
from cocogen.experiments.claims import Claim, Statement, not_below, positive
from cocogen.experiments.figures import Figure, curves, legend_below
from cocogen.experiments.markets import CoCoGenMarket, cocogen_market
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import largest
from cocogen.experiments.table import Row, Table
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.game.redistribution import Redistribution
from cocogen.mechanisms import automatic_incentive, build_game
from cocogen.mechanisms.redistribution.optimal import optimal_redistribution
from cocogen.report.style import new_figure
from cocogen.solvers import certify
from cocogen.solvers.fixed_point import bracketing

__all__ = ["FACTORS", "MISREPORT", "misreported"]

FACTORS = (0.5, 0.8, 1.25, 2.0)
"""Reported over true value."""

_FIELDS = ("profitability", "cost", "competition")
_SIZE = 6
_COSTS = Statement(
    "misreporting-costs-on-average", "a misreport drawn at random from the grid does not pay", "% of payoff"
)


def misreported(market: CoCoGenMarket, field: str, organization: int, factor: float) -> CoCoGenMarket:
    """The market as it looks when one organization reports ``factor`` times its true value.

    "cost" scales both generation costs; "competition" scales how much it says to suffer from the others (its row of ρ,
    cut off at 1).
    """
    values: dict[str, Any] = {}
    for name in {"cost": ("cost_linear", "cost_quadratic")}.get(field, (field,)):
        changed = np.array(getattr(market, name))
        changed[organization] = np.minimum(factor * changed[organization], 1.0 if field == "competition" else np.inf)
        values[name] = changed
    return replace(market, **values)


def _uniform(market: CoCoGenMarket) -> tuple[Redistribution, Array]:
    incentive = automatic_incentive(market.market(), market.decode()).incentive
    game = build_game(market.market(incentive))
    return game.redistribution, bracketing(game).strategies


def _optimal(market: CoCoGenMarket) -> tuple[Redistribution, Array]:
    found = optimal_redistribution(build_game(market.market(0.0)), offsets="equal-surplus")
    return found.redistribution, found.strategies


_RULES: dict[str, Callable[[CoCoGenMarket], tuple[Redistribution, Array]]] = {"uniform": _uniform, "optimal": _optimal}


def _measure(rng: np.random.Generator, points: int) -> list[Row]:
    del points
    market = cocogen_market(rng, size=_SIZE)
    true = build_game(market.market(0.0))
    outside = outside_options(true)
    order = np.argsort(market.profitability)
    liars = {"least profitable": order[0], "median": order[_SIZE // 2], "most profitable": order[-1]}
    rows: list[Row] = []
    for rule, compute in _RULES.items():
        honest = _settled(compute, market, true, outside)
        for field in _FIELDS:
            for who, n in liars.items():
                for factor in FACTORS:
                    lie = misreported(market, field, int(n), factor)
                    payoffs, more, agreed = _settled(compute, lie, true, outside)
                    gain = float(payoffs[n] - honest[0][n])
                    relative = gain / max(1.0, abs(float(honest[0][n])))
                    rows.append((rule, field, who, factor, gain, relative, float(more[n]), agreed))
    return rows


def _settled(
    compute: Callable[[CoCoGenMarket], tuple[Redistribution, Array]],
    reported: CoCoGenMarket,
    true: CoopetitionGame,
    outside: Array,
) -> tuple[Array, Array, int]:
    """True payoffs of the plan computed on a report, what leaving it could add, and whether terms were agreed."""
    try:
        redistribution, strategies = compute(reported)
    except GameError:
        return outside, np.zeros_like(outside), 0
    certificate = certify(true.with_redistribution(redistribution), strategies)
    return certificate.payoffs, certificate.gains, 1


def _judge(table: Table) -> list[Claim]:
    claims = []
    for rule, words in _RULE_WORDS.items():
        reports = table.where(rule=rule)
        for field in _FIELDS:
            one = reports.where(field=field)
            best = 100.0 * largest(one, "relative")
            refused = int((one.numbers("agreed") == 0.0).sum())
            pays = Statement(
                f"misreporting-{field}-pays", f"some organization gains by misreporting its {field}", "% of payoff"
            )
            remark = (
                f"best lie of each market; largest {best.max():.3g} %; no agreement after {refused} of "
                f"{len(one.rows)} reports"
            )
            parameters = f"{words}, N = {_SIZE}, factors 0.5 to 2, three organizations a market"
            claims.append(pays.judged(parameters, positive(best), remark))
        mean = [reports.where(seed=seed).numbers("relative").mean() for seed in table.distinct("seed")]
        gaining = 100.0 * float((reports.numbers("relative") > 1e-9).mean())
        claims.append(
            _COSTS.judged(
                f"{words}, N = {_SIZE}, mean over fields, factors and organizations",
                not_below(-100.0 * np.array(mean), 0.0),
                f"{gaining:.0f} % of the misreports pay; minus the gain is shown",
            )
        )
    return claims


_RULE_WORDS = {
    "uniform": "uniform rule with automatic incentive",
    "optimal": "optimal redistribution, equal surplus",
}


def _draw(table: Table) -> Figure:
    figure, axes = new_figure(len(_RULES), len(_FIELDS), size=(10.5, 6.2), sharex=True)
    cells = [(rule, field) for rule in _RULES for field in _FIELDS]
    for panel, (rule, field) in zip(axes, cells, strict=True):
        series = {}
        for who in table.distinct("organization"):
            factors, relative = table.where(rule=rule, field=field, organization=who).pivot("factor", "relative")
            places = [float(factor) for factor in factors]
            series[str(who)] = 100.0 * relative
            before = sum(place < 1.0 for place in places)
            series[str(who)] = np.insert(series[str(who)], before, 0.0, axis=1)
            grid = np.insert(places, before, 1.0)
        curves(panel, grid, series)
        panel.axhline(0.0, color="#000000", linewidth=0.8)
        panel.set(title=f"{field}:\n{_RULE_WORDS[rule]}", xscale="log")
        panel.set_xticks([0.5, 0.8, 1.0, 1.25, 2.0], ["0.5", "0.8", "1", "1.25", "2"])
        panel.minorticks_off()
    for panel in axes[-len(_FIELDS) :]:
        panel.set_xlabel("reported over true value")
    for panel in axes[:: len(_FIELDS)]:
        panel.set_ylabel("gain (% of honest payoff)")
    legend_below(axes[-1 - len(_FIELDS) // 2])
    return figure


MISREPORT = Experiment(
    "misreport",
    "Gain from a misreport before the terms are agreed",
    ("rule", "field", "organization", "factor", "gain", "relative", "more_by_leaving_the_plan", "agreed"),
    _measure,
    _judge,
    _draw,
)
