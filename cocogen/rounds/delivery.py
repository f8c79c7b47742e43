"""Who is given the model of a round: whoever contributed to it, once the ledger has recorded that, and nobody else.

The attester keeps the aggregate to itself while a round is open, since a member that has the model needs no longer
contribute. After ``ProfileRecorded`` each recorded contributor gets a file of its own (``models/NAME/NNNN.npz``); an
open or void round is delivered to nobody, and whoever was absent goes on from the model that it holds. A round that a
ruling voids later was delivered before; its model is then nobody's base. Left out: how the files travel.
"""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path

from cocogen.errors import CoCoGenError, LearningError, WorkspaceError
from cocogen.files import link_or_copy
from cocogen.ledger import RoundOutcome
from cocogen.rounds.history import History, contributors, load_model

__all__ = ["deliver", "withheld"]


def withheld(outcome: RoundOutcome, names: Sequence[str], rejected: Mapping[str, str]) -> dict[str, str]:
    """Why organizations are not given the model of a finished round, by name; ``rejected``: the attester's refusals."""
    reasons = {}
    for n, (name, given) in enumerate(zip(names, contributors(outcome), strict=True)):
        if given:
            continue
        if outcome.status == "voided":
            ruled = outcome.dispute is not None and outcome.dispute.ruling == "void"
            reasons[name] = "the round was voided by a ruling" if ruled else "the round was void"
        elif not outcome.participants[n]:
            reasons[name] = "it took no part"
        elif name in rejected:
            reasons[name] = f"no evidence of it counted: {rejected[name]}"
        else:
            reasons[name] = "no contribution of it was recorded"
    return reasons


def deliver(history: History) -> dict[int, list[Path]]:
    """Write the files for the contributors of every recorded round whose model is here; those that are new, by round.

    Only the attester has the models of rounds. The files share their bytes with its own where the disk allows it. No
    model is handed out but the one whose digest was signed, and whoever was given another one is given the right one.
    A round that cannot be delivered does not keep the others from it.

    Raises
    ------
    WorkspaceError
        The model of a round is not the agreed one, or its attestation does not tell, or a file cannot be written.
    LearningError
        The model of a round cannot be read.
    """
    written: dict[int, list[Path]] = {}
    failed: CoCoGenError | None = None
    for outcome in history.ledger.outcomes():
        try:
            if paths := _deliver(history, outcome):
                written[outcome.round] = paths
        except (WorkspaceError, LearningError) as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return written


def _deliver(history: History, outcome: RoundOutcome) -> list[Path]:
    workspace = history.workspace
    model = workspace.model(outcome.round)
    given = zip(history.resolved.names, contributors(outcome), strict=True)
    paths = [workspace.delivered(outcome.round, name) for name, gets in given if gets]
    if not model.exists() or all(_same_content(path, model) for path in paths):
        return []
    digest = history.agreed_model(outcome)
    if paths := [path for path in paths if not _is_model(path, digest)]:
        load_model(model, digest)
        for path in paths:
            link_or_copy(model, path)
    return paths


def _is_model(path: Path, digest: str) -> bool:
    if not path.exists():
        return False
    try:
        load_model(path, digest)
    except (WorkspaceError, LearningError):
        return False
    return True


def _same_content(path: Path, model: Path) -> bool:
    try:
        return path.exists() and (path.samefile(model) or filecmp.cmp(path, model, shallow=False))
    except OSError:
        return False
