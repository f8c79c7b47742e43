"""Who is given the model of a round: whoever contributed to it, once the ledger has recorded that, and nobody else.

The attester keeps the aggregate to itself while a round is open, since a member that has the model needs no longer
contribute. After ``ProfileRecorded`` each recorded contributor gets a file of its own (``models/NAME/NNNN.npz``); an
open or void round is delivered to nobody, and whoever was absent goes on from the model that it holds. A round that a
ruling voids later was delivered before; its model is then nobody's base. Left out: how the files travel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cocogen.ledger import RoundOutcome
from cocogen.workspace import Workspace, link_or_copy

__all__ = ["deliver", "held_rounds", "recipients", "withheld"]


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


def deliver(workspace: Workspace, names: Sequence[str], outcomes: Sequence[RoundOutcome]) -> dict[int, list[Path]]:
    """Write the files for the recipients of every round whose model is here; those that are new, by round.

    Only the attester has the models of rounds. The files share their bytes with its own where the disk allows it.

    Raises
    ------
    WorkspaceError
        A file cannot be written.
    """
    written: dict[int, list[Path]] = {}
    for outcome in outcomes:
        model = workspace.model(outcome.round)
        for name, given in zip(names, recipients(outcome), strict=True):
            path = workspace.delivered(outcome.round, name)
            if given and model.exists() and not path.exists():
                link_or_copy(model, path)
                written.setdefault(outcome.round, []).append(path)
    return written
