"""``cocogen model``: the shared model for programs that are not ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import announced, emit, say, word, wrapped
from cocogen.terms.metrics import metric_field, metric_words

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["model"]

_CLASSES = 6
"""Classes shown by name."""


@click.group(short_help="Write the shared model to a file for other programs.")
def model() -> None:
    """Hand the shared model on to programs that are not ours."""


@model.command(short_help="Write the model of the last settled round to one file.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where it goes; the ending names the format, .safetensors or .onnx.",
)
@click.option(
    "--organization", metavar="NAME", help="Whose model.  [default: that of the first in the terms who has one]"
)
@common()
@announced("reading the model")
def export(request: Request, output: Path, organization: str | None) -> None:
    """Write the model of the last settled round that recorded your contribution to one file that stands for itself.

    It holds the weights, how inputs are prepared, the names of the classes, the metrics that the attester signed with
    their intervals, and the digests of terms and evidence. A .safetensors file has all but the weights as JSON in its
    header; an .onnx file prepares its inputs itself.
    """
    with request.opened(reading=True) as session:
        from cocogen.operations.model_export import export_model  # torch, which takes seconds

        data = export_model(session, output, organization).plain()
    emit(data, lambda: _print(data), as_json=request.as_json)


def _print(data: dict[str, Any]) -> None:
    classes = data["classes"]
    shown = ", ".join(word(name) for name in classes[:_CLASSES]) + (", …" if len(classes) > _CLASSES else "")
    found = data["metrics"][metric_field(data["metric"])]
    between = f"{found['low']:.3f} to {found['high']:.3f} at 95 %"
    sides = " x ".join(map(str, data["shape"]))
    say(
        *wrapped(
            f"{data['consortium']}, round {data['round']}, as recorded for {data['organization']}: {data['model']} of "
            f"{sides} inputs and {len(classes)} classes ({shown})",
            f"{metric_words(data['metric'])} {found['value']:.4f} ({between}) on {data['samples']:,} samples of the "
            "attester",
        ),
        f"written to {data['file']}",
    )
