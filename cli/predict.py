"""``cocogen predict``: score new cases where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import announced, emit, progress, say, word, wrapped
from cocogen.data.own.site import load_site

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["predict_"]

_CLASSES = 8
"""Classes shown by name."""


@click.command("predict", short_help="Score new cases with the shared model, on your own machine.")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--site",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="SITE",
    help="Your site file: FILE is read by its columns, units and names of values.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="SCORED",
    help="Where the cases go with their chances (.csv or .tsv, in the dialect of your site file).",
)
@click.option(
    "--model",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MODEL",
    help="A .safetensors file of `cocogen model export`.  [default: the model that you were given last]",
)
@click.option(
    "--keep", multiple=True, metavar="COLUMN", help="Column to keep; can be repeated.  [default: all but features]"
)
@common()
@announced("reading the model")
def predict_(
    request: Request, source: Path, site: Path, output: Path, model: Path | None, keep: tuple[str, ...]
) -> None:
    """Add the chance of each class to the cases of FILE, a table or a folder of images, and write them to SCORED.

    FILE is read as your own data are, and needs no label; whatever the schema does not take is named by row and column.
    Columns that are no features, such as identifiers, stay as they are. Nothing leaves this machine.
    """
    from cocogen.operations import model_export, predict

    own = load_site(site)
    if model is not None:
        made = model_export.read_model(model)
    else:
        with request.opened(reading=True) as session:
            # The attester has everybody's model.
            made = model_export.member_model(session, None if own.is_attester else own.organization)
    with progress() as bars:
        scored = predict.predict(made, own, source, output, keep=keep or None, progress=bars)
    emit(scored.plain(), lambda: _print(scored.plain()), as_json=request.as_json)


def _print(data: dict[str, Any]) -> None:
    counts = list(data["most_likely"].items())
    likely = ", ".join(f"{word(name)} {count:,}" for name, count in counts[:_CLASSES])
    say(
        *wrapped(
            f"{data['rows']:,} cases of {data['source']}, by the model of {data['consortium']} after round "
            f"{data['round']}",
            f"most likely: {likely}{', …' if len(counts) > _CLASSES else ''}",
            *_clipped(data["clipped"]),
        ),
        f"written to {data['file']}, which your account alone can read",
    )


def _clipped(counts: dict[str, int]) -> list[str]:
    if not counts:
        return []
    named = ", ".join(f"{word(name)} {count:,}" for name, count in list(counts.items())[:_CLASSES])
    return [f"beyond the agreed range, and taken as its end: {named}{', …' if len(counts) > _CLASSES else ''}"]
