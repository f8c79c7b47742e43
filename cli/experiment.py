"""``cocogen experiment``: measure the papers' claims, deviations and misreports over random markets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import format_option
from cli.output import emit, note, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cocogen.experiments.claims import Claim

__all__ = ["experiment"]

_STUDIES = ("tradefl", "cocogen", "deviation", "misreport")
_QUOTABLE = 10


@click.command(short_help="Measure the papers' claims over random markets.")
@click.argument("study", type=click.Choice(_STUDIES))
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=_QUOTABLE,
    show_default=True,
    help="Random markets; every claim comes with its 95 % interval over them.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Root of all randomness.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for CSV and PNG files.  [default: .cocogen/experiments/STUDY]",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Worker processes; results do not depend on it.  [default: one each processor]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Run this experiment of the study only; may be repeated. A wrong name lists the right ones.",
)
@format_option
def experiment(
    study: str, seeds: int, seed: int, output: Path | None, jobs: int | None, only: tuple[str, ...], format_: str
) -> None:
    """Run STUDY and write its figures, data and claims.

    \b
    tradefl    TradeFL's claims: schemes, incentive, overhead, competition
    cocogen    CoCoGen+'s claims: schemes, incentive, competition, heterogeneity
    deviation  gain from contributing less or more than planned, or nothing at all
    misreport  gain from a misreport before the terms are agreed

    Each claim is marked reproduced, not reproduced or opposite by a written rule on its 95 % interval. Interrupting
    keeps the experiments that are finished.
    """  # noqa: D301 - click's mark for a paragraph that keeps its lines
    import os

    from cocogen.experiments.studies import select
    from cocogen.experiments.study import run_study, summary

    folder = Path(".cocogen") / "experiments" / study if output is None else output
    if seeds < _QUOTABLE:
        note(f"{seeds} markets make wide intervals; quote nothing from fewer than {_QUOTABLE}")
    with progress() as bars:
        result = run_study(
            select(study, only), folder, bars, seeds=seeds, entropy=seed, jobs=jobs or os.cpu_count() or 1
        )
    data = {
        "study": study,
        "seeds": seeds,
        "seed": seed,
        "claims": summary(result.claims),
        "files": [str(path) for path in result.files],
    }
    emit(data, lambda: _print(study, seeds, result.claims, folder), as_json=format_ == "json")


def _print(study: str, seeds: int, claims: Sequence[Claim], folder: Path) -> None:
    say(f"{study}, {seeds} markets; ours with its 95 % interval", "")
    width = max(len(str(claim.finding.verdict)) for claim in claims)
    for claim in claims:
        ours = claim.finding.ours
        figures = f"{ours.mean:.3g} ({ours.low:.3g} to {ours.high:.3g}) {claim.unit}"
        say(f"{claim.finding.verdict!s:{width}}  {claim.statement}")
        say(f"{'':{width}}  ours {figures}; paper: {claim.paper}")
        say(f"{'':{width}}  {claim.parameters}", "")
    say(f"figures, data and claims.csv in {folder}")
