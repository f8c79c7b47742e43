"""``cocogen compare``: every mechanism and baseline in one market, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, note, progress, say, table

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.mechanisms.comparison import Comparison, SchemeRow
    from cocogen.operations.market import OpenMarket

__all__ = ["compare"]


@click.command(short_help="All mechanisms and baselines of one market, side by side.")
@click.option("--figure", type=click.Path(dir_okay=False), metavar="FILE", help="Draw it too: .png, .svg or .pdf.")
@common(config_argument=True)
def compare(request: Request, figure: str | None) -> None:
    """Play every mechanism and baseline in the market of CONFIG, and show what each is worth and who gains or loses.

    CONFIG is a consortium's terms file, or a TradeFL market (mechanism = "tradefl"). Money is shared as a ledger would:
    on the terms decoded from its integers.
    """
    import numpy as np

    from cli.market import asked_market
    from cocogen.mechanisms.comparison import compare_schemes
    from cocogen.report.style import figure_format

    if figure is not None:
        figure_format(figure)
    with progress() as bars:
        opened = asked_market(request, bars)
        rng = np.random.default_rng([opened.terms.consortium.seed, 0, 1])
        schemes = opened.game.schemes
        result = compare_schemes(opened.uniform, opened.optimal, schemes, rng, bars, stated=opened.stated)
    data = _data(opened, result)
    if figure is not None:
        from cocogen.report.comparison import draw_comparison
        from cocogen.report.style import save_figure

        data["figure"] = str(save_figure(draw_comparison(result, opened.market.names, opened.name), figure))
        note(f"figure written to {data['figure']}")
    emit(data, lambda: _print(opened, result), as_json=request.as_json)


def _label(row: SchemeRow) -> str:
    return f"{row.name} ({row.rule})" if row.rule else row.name


def _data(opened: OpenMarket, result: Comparison) -> dict[str, Any]:
    names = opened.market.names
    optimal = result.optimal
    return {
        "consortium": opened.name,
        "planner_welfare": result.planner_welfare,
        "price_of_anarchy": result.price_of_anarchy,
        "rational_incentives": [list(interval) for interval in result.scan.rational],
        "tuned_incentive": result.scan.tuned,
        "outside_options": dict(zip(names, result.outside_options.tolist(), strict=True)),
        "bond_to_payoff": None if optimal is None else dict(zip(names, optimal.bond_ratio.tolist(), strict=True)),
        "missing": result.missing,
        "schemes": [
            {
                "name": row.name,
                "rule": row.rule,
                "incentive": row.incentive,
                "welfare": row.welfare,
                "efficiency": row.efficiency,
                "improvement": row.improvement,
                "contributed": row.contributed,
                "epsilon": row.epsilon,
                "gains": int((row.surplus >= -1e-9).sum()),
                "loses": [name for name, surplus in zip(names, row.surplus, strict=True) if surplus < -1e-9],
                "strategies": {name: opened.game.plain(row.strategies, n) for n, name in enumerate(names)},
                "payoffs": dict(zip(names, row.payoffs.tolist(), strict=True)),
                "transfers": dict(zip(names, row.transfers.tolist(), strict=True)),
                "surplus": dict(zip(names, row.surplus.tolist(), strict=True)),
                "note": row.note,
            }
            for row in result.rows
        ],
    }


def _print(opened: OpenMarket, result: Comparison) -> None:
    schemes = opened.game.schemes
    table(
        f"{opened.name}: one round under every scheme",
        ["scheme", "welfare", "of best", "of gain", schemes.counted, "lose", "epsilon"],
        [
            [
                _label(row).replace(" (", "\n  (").split("\n"),
                f"{row.welfare:,.2f}",
                "-" if row.efficiency is None else f"{row.efficiency:.2%}",
                "-" if row.improvement is None else f"{row.improvement:.1%}",
                f"{row.contributed:,.0f}",
                str(int((row.surplus < -1e-9).sum())),
                "-" if row.epsilon is None else f"{row.epsilon:.0e}",
            ]
            for row in result.rows
        ],
        caption="of best: welfare over the planner's; of gain: share of what the planner adds to the "
        "equilibrium without redistribution; lose: organizations below going alone; epsilon: share of its "
        "payoff that somebody gains by leaving",
    )
    names = opened.market.names
    shown = [row for row in result.rows if row.name in (schemes.published, schemes.unpaid)]
    table(
        "surplus over going alone, currency a round",
        ["organization", "alone", *(_label(row).replace(" (", "\n(").replace(", ", ",\n") for row in shown)],
        [
            [name, f"{result.outside_options[n]:,.2f}", *(f"{row.surplus[n]:+,.2f}" for row in shown)]
            for n, name in enumerate(names)
        ],
    )
    intervals = " and ".join(f"[{low:.4g}, {high:.4g}]" for low, high in result.scan.rational)
    say(f"rational strengths of the published rule: {intervals or 'none'}; best for welfare: {result.scan.tuned:.4g}")
    if result.price_of_anarchy is not None:
        say(f"price of anarchy (planner over the equilibrium without redistribution): {result.price_of_anarchy:.4f}")
    for row in result.rows:
        if row.note:
            say(f"{_label(row)}: {row.note}")
    for name, reason in result.missing.items():
        say(f"{name}: {reason}")
