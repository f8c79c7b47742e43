"""``cocogen contributions``: what each organization was worth in a finished round, by several measures at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, progress, say, table, units
from cocogen.terms.metrics import metric_words

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.evidence.attester import Score

__all__ = ["contributions"]


@click.command(short_help="What each organization was worth in a finished round.")
@click.option(
    "--round", "number", type=click.IntRange(1), metavar="N", help="Round to look at.  [default: the last attested]"
)
@click.option(
    "--score",
    type=click.Choice(["loss", "accuracy", "balanced-accuracy", "auroc"]),
    default="loss",
    show_default=True,
    help="What a coalition's aggregate is worth on the attester's data: minus its loss in nats, or a metric.",
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
    score: Score,
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
    from cocogen.operations.worth import worth

    with progress() as bars, request.opened() as session:
        session.progress = bars
        found = worth(
            session,
            number,
            score=score,
            method=method,
            evaluations=evaluations,
            standard_error=standard_error,
            tolerance=tolerance,
            seed=seed,
            progress=bars,
        )
        data = found.plain()
    emit(data, lambda: _print(data), as_json=request.as_json)


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
    kind = "minus the loss in nats" if data["score"] == "loss" else metric_words(data["score"])
    table(
        f"{data['consortium']}: what round {data['round']} owes to whom ({data['method']})",
        ["organization", "real", "synthetic", "of resources", "leave-one-out", "Shapley", "±", "transfer"],
        rows,
        caption=f"Values are {kind} on {data['samples']} samples of the attester: {data['value_of_none']:.4f} with "
        f"nobody, {data['value_of_all']:.4f} with all; {data['evaluations']:,} coalitions evaluated. "
        "Transfers follow from resources, not from these values.",
    )
