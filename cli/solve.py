"""``cocogen solve``: one round's equilibrium, by a chosen algorithm, with its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, progress, table

if TYPE_CHECKING:
    from cli.output import Progress
    from cli.session import Request
    from cocogen.consortium import Consortium
    from cocogen.ledger import Ledger
    from cocogen.resolved import ResolvedTerms

__all__ = ["solve"]


@click.command(short_help="Compute and certify one round's equilibrium.")
@click.option(
    "--method",
    type=click.Choice(["fixed-point", "damped", "best-response", "planner"]),
    default="fixed-point",
    show_default=True,
    help="Algorithm; the planner's optimum is what maximises welfare, not an equilibrium.",
)
@common(config_argument=True)
def solve(request: Request, method: str) -> int:
    """Compute what every organization of CONFIG contributes in the first round, on the terms that a ledger would hold.

    Uses the resolved terms of the workspace if CONFIG is deployed there, and measures them anew otherwise.
    Exit code 1: the result is not certified as an equilibrium (epsilon above 1e-6).
    """
    import numpy as np

    from cocogen.errors import ConfigurationError
    from cocogen.ledger import Contribution
    from cocogen.mechanisms import build_game
    from cocogen.mechanisms.planning import TOLERANCE
    from cocogen.registration import market
    from cocogen.solvers import solve as run_solver

    rule = request.consortium().consortium.mechanism
    if rule != "cocogen+":
        raise ConfigurationError(
            f"{rule} is a rule to compare with and has no equilibrium to solve for",
            hint='set consortium.mechanism = "cocogen+", or see what the rule does with `cocogen run`',
        )
    with progress() as bars:
        resolved, ledger = _resolved(request, bars)
    quality = np.array([organization.quality for organization in resolved.organization])
    state = market(resolved, ledger.decoded, quality)
    game = build_game(state)
    result = run_solver(game, method)
    profile = state.resources.integers(result.strategies, state.participants)
    evidence = b"\x01" * 32
    wei = ledger.predict(
        [Contribution(int(d), int(g), 0, evidence) for d, g in zip(profile.data, profile.generated, strict=True)]
    )
    planner = run_solver(game, "planner")
    names = resolved.names
    payoffs, transfers = game.payoffs(result.strategies), game.transfers(result.strategies)
    welfare, best = game.welfare(result.strategies), game.welfare(planner.strategies)

    def by_name(values: Any) -> dict[str, float]:
        return {name: float(value) for name, value in zip(names, values, strict=True)}

    data = {
        "method": method,
        "incentive": resolved.incentive,
        "strategies": by_name(result.strategies),
        "epsilon": result.epsilon,
        "potential": result.potential,
        "upper_bound": result.upper_bound,
        "gap": result.gap,
        "iterations": result.iterations,
        "converged": result.converged,
        "seconds": result.seconds,
        "welfare": welfare,
        "efficiency": welfare / best if best > 0 else None,
        "payoffs": by_name(payoffs),
        "transfers": by_name(transfers),
        "transfers_wei": {name: str(amount) for name, amount in zip(names, wei, strict=True)},
    }

    def text() -> None:
        rows = [
            [name, f"{g:,.2f}", f"{transfer:+,.4f}", str(amount), f"{payoff:,.2f}"]
            for name, g, transfer, amount, payoff in zip(names, result.strategies, transfers, wei, payoffs, strict=True)
        ]
        table(
            f"{resolved.consortium.name}: {method}",
            ["organization", "generates", "transfer", "in wei, as integers", "payoff"],
            rows,
            caption=f"epsilon {result.epsilon:.1e} after {result.iterations} iterations in {result.seconds:.3f} s; "
            f"incentive {resolved.incentive:.4g}; welfare {welfare:,.2f}, planner {best:,.2f}",
        )

    emit(data, text, as_json=request.as_json)
    return 0 if method == "planner" or result.epsilon <= TOLERANCE else 1


def _resolved(request: Request, bars: Progress) -> tuple[ResolvedTerms, Ledger]:
    from chain.memory import MemoryProvider
    from cli.session import load_resolved

    consortium: Consortium = request.consortium()
    provider = MemoryProvider(consortium.consortium.seed)
    workspace = request.new_workspace(consortium)
    if workspace.resolved.exists():
        resolved = load_resolved(workspace)
        if not resolved.disagreements(consortium):
            return resolved, provider.deploy(resolved.settlement_terms())
    from cocogen.learning.task import LearningTask
    from cocogen.registration import register

    task = LearningTask(
        consortium.learning, consortium.generation, consortium.names, consortium.consortium.seed, split=0
    )
    resolved = register(consortium, provider, task, progress=bars).resolved
    return resolved, provider.deploy(resolved.settlement_terms())
