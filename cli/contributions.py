"""``cocogen contributions``: what each organization was worth in a finished round, by several measures at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from cli.options import common
from cli.output import emit, progress, say, table, units

if TYPE_CHECKING:
    import numpy as np

    from cli.request import Request
    from cocogen.contribution import Valuation
    from cocogen.contribution.coalitions import Coalitions
    from cocogen.operations.session import Session
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.recorded import RecordedRound

__all__ = ["contributions"]

_PAID = ("calculated", "settled")


@click.command(short_help="What each organization was worth in a finished round.")
@click.option(
    "--round", "number", type=click.IntRange(1), metavar="N", help="Round to look at.  [default: the last attested]"
)
@click.option(
    "--score",
    type=click.Choice(["loss", "accuracy"]),
    default="loss",
    show_default=True,
    help="What a coalition's aggregate is worth on the attester's data: minus its loss in nats, or its accuracy.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "guided", "monte-carlo"]),
    default="auto",
    show_default=True,
    help="Shapley values: exactly up to 12 organizations and by guided truncated sampling (GTG-Shapley) above; or by "
    "one of these, or by truncated Monte Carlo (TMC-Shapley).",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Most coalitions to evaluate when sampling.",
)
@click.option(
    "--standard-error",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Stop sampling as soon as every value is known to this standard error.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="When sampling, an order may be left where it is this close to the value of all, as a share of the round's "
    "gain, and nobody still missing has mattered more there; 0 looks at everything.",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the sampling.  [default: that of the terms]")
@common(config_argument=True)
def contributions(
    request: Request,
    number: int | None,
    score: Literal["loss", "accuracy"],
    method: str,
    evaluations: int,
    standard_error: float | None,
    tolerance: float,
    seed: int | None,
) -> None:
    """Compare, in a finished round of CONFIG, what every organization put in with what the result owes to it.

    The resources are those that the ledger recorded, and the transfers rest on them alone. Leave-one-out and Shapley
    values measure the round's updates, aggregated again without some of them, on the attester's own data.
    """
    from cocogen.contribution import leave_one_out, resources
    from cocogen.rounds.recorded import recorded_round

    with progress() as bars, request.opened() as session:
        session.progress = bars
        bars("reading evidence", 0, 1)
        played = recorded_round(session.loop.history, session.loop.attester, number, score)
        bars("reading evidence", 1, 1)
        decoded = session.ledger.decoded
        counted = resources(
            [played.contributions[n] for n in played.players],
            generated_weight=decoded.generated_weight,
            compute_weight=decoded.compute_weight,
        )
        alone = leave_one_out(played.game)
        shared = _shapley(
            played.game,
            method,
            evaluations,
            standard_error,
            tolerance,
            [session.resolved.consortium.seed if seed is None else seed, played.number],
            bars,
        )
        data = _data(session, played, score, counted, alone, shared)
    emit(data, lambda: _print(data), as_json=request.as_json)


def _shapley(
    game: Coalitions,
    method: str,
    evaluations: int,
    standard_error: float | None,
    tolerance: float,
    seed: list[int],
    bars: Progress,
) -> Valuation:
    import numpy as np

    from cocogen.contribution import (
        EXACT_UP_TO,
        Budget,
        Either,
        StandardError,
        StoppingRule,
        exact_shapley,
        guided_truncated,
        truncated_monte_carlo,
    )

    if method == "exact" or (method == "auto" and game.players <= EXACT_UP_TO):
        return exact_shapley(game, bars)
    stop: StoppingRule = Budget(evaluations)
    if standard_error is not None:
        stop = Either(stop, StandardError(standard_error))
    sample = truncated_monte_carlo if method == "monte-carlo" else guided_truncated
    return sample(game, stop, np.random.default_rng(seed), tolerance=tolerance * abs(game.total), progress=bars)


def _data(
    session: Session, played: RecordedRound, score: str, counted: Valuation, alone: Valuation, shared: Valuation
) -> dict[str, Any]:
    resolved, outcome = session.resolved, played.outcome

    rejected = session.loop.history.attested(played.number).rejected

    def entry(n: int, name: str) -> dict[str, Any]:
        paid = str(outcome.transfers[n]) if outcome.status in _PAID else None
        if n not in played.players:
            return {"contributed": False, "reason": rejected.get(name), "transfer": paid}
        player, given = played.players.index(n), played.contributions[n]
        return {
            "contributed": True,
            "data": given.data if given else 0,
            "generated": given.generated if given else 0,
            "compute": given.compute if given else 0,
            "resources": float(counted.values[player]),
            "resource_share": _share(counted.shares, player),
            "leave_one_out": float(alone.values[player]),
            "shapley": float(shared.values[player]),
            "standard_error": float(shared.standard_errors[player]),
            "shapley_share": _share(shared.shares, player),
            "transfer": paid,
        }

    return {
        "consortium": resolved.consortium.name,
        "round": played.number,
        "status": outcome.status,
        "score": score,
        "samples": played.samples,
        "value_of_none": played.game(()),
        "value_of_all": played.game(range(played.game.players)),
        "method": shared.method,
        "exact": shared.exact,
        "evaluations": played.game.evaluations,
        "permutations": shared.permutations,
        "truncated": shared.truncated,
        "wei_per_unit": str(resolved.settlement.wei_per_unit),
        "organizations": {name: entry(n, name) for n, name in enumerate(resolved.names)},
    }


def _share(shares: np.ndarray[Any, Any] | None, player: int) -> float | None:
    return None if shares is None else float(shares[player])


def _print(data: dict[str, Any]) -> None:
    unit = int(data["wei_per_unit"])
    rows = []
    for name, entry in data["organizations"].items():
        transfer = "-" if entry["transfer"] is None else units(int(entry["transfer"]), unit)
        if not entry["contributed"]:
            rows.append([name, *["-"] * 6, transfer])
            if entry["reason"]:
                say(f"{name} was left out: {entry['reason']}")
            continue
        share = entry["resource_share"]
        rows.append(
            [
                name,
                f"{entry['data']:,}",
                f"{entry['generated']:,}",
                "-" if share is None else f"{share:.1%}",
                f"{entry['leave_one_out']:+.4f}",
                f"{entry['shapley']:+.4f}",
                "exact" if data["exact"] else f"{entry['standard_error']:.4f}",
                transfer,
            ]
        )
    kind = "minus the loss in nats" if data["score"] == "loss" else "accuracy"
    table(
        f"{data['consortium']}: what round {data['round']} owes to whom ({data['method']})",
        ["organization", "real", "synthetic", "of resources", "leave-one-out", "Shapley", "±", "transfer"],
        rows,
        caption=f"Values are {kind} on {data['samples']} samples of the attester: {data['value_of_none']:.4f} with "
        f"nobody, {data['value_of_all']:.4f} with all; {data['evaluations']:,} coalitions evaluated. "
        "Transfers follow from resources, not from these values.",
    )
