"""``cocogen solve``: one round's equilibrium, by a chosen algorithm, with its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, note, progress, table, units

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.operations.market import OpenMarket

__all__ = ["solve"]

_METHODS = (
    "plan",
    "fixed-point",
    "damped",
    "best-response",
    "benders",
    "improvement",
    "enumeration",
    "planner",
)


@click.command(short_help="Compute and certify one round's equilibrium.")
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="plan",
    show_default=True,
    help="Algorithm; `plan` takes the exact one for the market, as rounds do. The planner's optimum is what maximises "
    "welfare, which is an equilibrium only under the optimal redistribution.",
)
@common(config_argument=True)
def solve(request: Request, method: str) -> int:
    """Compute what every organization of CONFIG contributes in the first round, on the terms that a ledger would hold.

    CONFIG is a consortium's terms file, or a TradeFL market (mechanism = "tradefl"). Uses the resolved terms of the
    workspace if CONFIG is deployed there, and measures them anew otherwise.
    Exit code 1: the result is not certified as an equilibrium (epsilon above 1e-6).
    """
    from cli.market import asked_market
    from cocogen.errors import ConfigurationError
    from cocogen.mechanisms import build_game
    from cocogen.mechanisms.planning import TOLERANCE, solve_certified
    from cocogen.solvers import solve as run_solver

    with progress() as bars:
        opened = asked_market(request, bars)
    if opened.mechanism in opened.system.baselines:
        raise ConfigurationError(
            f"{opened.mechanism} is a rule to compare with and has no equilibrium to solve for",
            hint='set consortium.mechanism = "cocogen+", or see what the rule does with `cocogen compare`',
        )
    game = build_game(opened.market)
    result = solve_certified(game, opened.mechanism) if method == "plan" else run_solver(game, method)
    data = _data(opened, game, result, method)
    emit(data, lambda: _print(opened, data), as_json=request.as_json)
    if method == "planner" or result.certificate.holds(TOLERANCE):
        return 0
    if result.epsilon <= TOLERANCE:
        note("not certified: payoffs overflow or jump, so that not every change could be looked at")
        return 1
    note(
        f"not certified: somebody gains {result.epsilon:.2g} of its payoff by leaving (allowed: {TOLERANCE:g})"
        + ("; improvement searches a grid only" if method == "improvement" else "")
    )
    return 1


def _data(opened: OpenMarket, game: Any, result: Any, method: str) -> dict[str, Any]:
    from cocogen.game.rationality import outside_options
    from cocogen.ledger import Contribution
    from cocogen.solvers import solve as run_solver

    profile = opened.market.resources.integers(result.strategies, opened.market.participants)
    evidence = b"\x01" * 32
    counts = zip(profile.data.tolist(), profile.generated.tolist(), profile.compute.tolist(), strict=True)
    wei = opened.ledger.predict([Contribution(d, g, c, evidence) for d, g, c in counts])
    best = game.welfare(run_solver(game, "planner").strategies)
    welfare, payoffs, outside = game.welfare(result.strategies), game.payoffs(result.strategies), outside_options(game)
    names = opened.market.names

    def by_name(values: Any) -> dict[str, float]:
        return {name: float(value) for name, value in zip(names, values, strict=True)}

    return {
        "method": result.method if method == "plan" else method,
        "incentive": opened.ledger.terms.incentive,
        "strategies": {name: opened.game.plain(result.strategies, n) for n, name in enumerate(names)},
        "epsilon": result.epsilon,
        "potential": result.potential,
        "upper_bound": result.upper_bound,
        "gap": result.gap,
        "iterations": result.iterations,
        "converged": result.converged,
        "seconds": result.seconds,
        "welfare": welfare,
        "efficiency": welfare / best if best > 0 else None,
        "planner_welfare": best,
        "payoffs": by_name(payoffs),
        "transfers": by_name(game.transfers(result.strategies)),
        "transfers_wei": {name: str(amount) for name, amount in zip(names, wei, strict=True)},
        "outside_options": by_name(outside),
        "surplus": by_name(payoffs - outside),
        "liabilities": {
            name: str(amount) for name, amount in zip(names, opened.ledger.decoded.liabilities, strict=True)
        },
    }


def _print(opened: OpenMarket, data: dict[str, Any]) -> None:
    unit = opened.ledger.terms.wei_per_unit
    rows = [
        [
            name,
            *opened.game.cells(strategy),
            units(int(data["transfers_wei"][name]), unit),
            f"{data['payoffs'][name]:,.2f}",
            f"{data['surplus'][name]:+,.2f}",
            units(int(data["liabilities"][name]), unit),
        ]
        for name, strategy in data["strategies"].items()
    ]
    strategy_columns = [column.title for column in opened.game.columns]
    table(
        f"{opened.name}: one round, by {data['method']}",
        ["organization", *strategy_columns, "transfer", "payoff", "over alone", "bond needed"],
        rows,
        caption=f"epsilon {data['epsilon']:.1e} after {data['iterations']} iterations in {data['seconds']:.3f} s; "
        f"potential {data['potential']:.9g}, at most {data['upper_bound']:.9g}; incentive {data['incentive']:.4g}; "
        f"welfare {data['welfare']:,.2f}, planner {data['planner_welfare']:,.2f}. "
        "Transfers are those of the integers that a ledger settles.",
    )
