"""``cocogen export``: the whole ledger as one file that anyone can audit without a chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.contract.bytecode import in_layout_of, shipped_artifact
from chain.encoding.codec import encode
from chain.record.export import write_ledger
from cli.options import common
from cli.output import emit, progress, word

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["export"]


@click.command(short_help="Write the ledger to a file for offline audits.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    default="ledger.jsonl",
    show_default=True,
    help="Where to write; a file that is there is replaced.",
)
@common()
def export(request: Request, output: str) -> None:
    """Write code, terms, every event with its receipt, and the final storage to one file.

    Whoever has it and the resolved terms can audit without a node:  cocogen audit --offline ledger.jsonl --terms
    resolved.json
    """
    with request.opened(reading=True) as session, progress() as bars:
        bars("collecting the ledger", 0, 1)
        terms = session.resolved.settlement_terms()
        record = session.provider.inspect(terms, session.deployment, receipts=True)
        encoded = in_layout_of(encode(terms), record.runtime_code, record.storage.terms_hash)
        written = write_ledger(record, Path(output), artifact=shipped_artifact(encoded).input_sha256)
        resolved = session.workspace.resolved
    data = {
        "file": output,
        "events": written.events,
        "blocks": written.blocks,
        "sha256": written.sha256,
        "resolved": str(resolved),
    }
    text = (
        f"{word(output)}: {written.events} events, {written.blocks} blocks, SHA-256 of its lines {written.sha256}\n"
        f"audit it anywhere: cocogen audit --offline {word(output)} --terms {word(resolved)}"
    )
    emit(data, text, as_json=request.as_json)
