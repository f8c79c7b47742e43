"""Who is given the model of a round: whoever contributed to it, once the ledger has recorded that, and nobody else.

The attester keeps the aggregate to itself while a round is open, since a member that has the model needs no longer
contribute. After ``ProfileRecorded`` each recorded contributor gets a file of its own (``models/NAME/NNNN.npz``); an
open or void round is delivered to nobody, and whoever was absent goes on from the model that it holds. A round that a
ruling voids later was delivered before; its model is then nobody's base. Left out: how the files travel.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cocogen.errors import CoCoGenError, LearningError, WorkspaceError
from cocogen.files import link_or_copy
from cocogen.ledger import RoundOutcome
from cocogen.rounds.workspace import Workspace

if TYPE_CHECKING:
    from cocogen.learning.models.states import SharedModel

__all__ = ["deliver", "held_rounds", "load_model", "recipients", "withheld"]


def recipients(outcome: RoundOutcome) -> tuple[bool, ...]:
    """Whose contribution the ledger recorded in a round that is not void: those the model of the round goes to."""
    final = outcome.status not in ("open", "voided")
    return tuple(final and contribution is not None for contribution in outcome.contributions)


def held_rounds(outcomes: Sequence[RoundOutcome], count: int, before: int) -> list[int]:
    """The round whose model each of ``count`` organizations holds before round ``before``; 0: the registered one."""
    held = [0] * count
    for outcome in outcomes:
        if outcome.round < before:
            held = [outcome.round if given else last for given, last in zip(recipients(outcome), held, strict=True)]
    return held


def withheld(outcome: RoundOutcome, names: Sequence[str], rejected: Mapping[str, str]) -> dict[str, str]:
    """Why organizations are not given the model of a finished round, by name; ``rejected``: the attester's refusals."""
    reasons = {}
    for n, (name, given) in enumerate(zip(names, recipients(outcome), strict=True)):
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


def deliver(
    workspace: Workspace,
    names: Sequence[str],
    outcomes: Sequence[RoundOutcome],
    agreed: Callable[[RoundOutcome], str],
) -> dict[int, list[Path]]:
    """Write the files for the recipients of every round whose model is here; those that are new, by round.

    Only the attester has the models of rounds. The files share their bytes with its own where the disk allows it.
    ``agreed`` says which digest the model of a recorded round has: no other model is handed out, and whoever was given
    another one is given the right one. A round that cannot be delivered does not keep the others from it.

    Raises
    ------
    WorkspaceError
        The model of a round is not the one that was agreed, or ``agreed`` cannot tell, or a file cannot be written.
    LearningError
        The model of a round cannot be read.
    """
    written: dict[int, list[Path]] = {}
    failed: CoCoGenError | None = None
    for outcome in outcomes:
        try:
            if paths := _deliver(workspace, names, outcome, agreed):
                written[outcome.round] = paths
        except (WorkspaceError, LearningError) as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return written


def _deliver(
    workspace: Workspace, names: Sequence[str], outcome: RoundOutcome, agreed: Callable[[RoundOutcome], str]
) -> list[Path]:
    model = workspace.model(outcome.round)
    given = zip(names, recipients(outcome), strict=True)
    paths = [workspace.delivered(outcome.round, name) for name, gets in given if gets]
    if not model.exists() or all(_same_content(path, model) for path in paths):
        return []
    digest = agreed(outcome)
    if paths := [path for path in paths if not _is_model(path, digest)]:
        load_model(model, digest)
        for path in paths:
            link_or_copy(model, path)
    return paths


def load_model(path: Path, digest: str) -> SharedModel:
    """The model in a file; WorkspaceError unless it has this digest, LearningError where it cannot be read."""
    from cocogen.learning.models.states import SharedModel

    model = SharedModel.load(path)
    if model.digest() != digest:
        raise WorkspaceError(
            f"{path} was altered: its digest is not the one that was agreed", hint="restore it from a copy"
        )
    return model


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
