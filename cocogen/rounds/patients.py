"""Files of what organizations tell of the shared model on their own patients, round by round.

``NAME.patients`` in the folder of a round holds the counts, as they left the site; the model that an organization
trained alone is kept beside those that it was given. Left out: what may be told
(:mod:`cocogen.evidence.own_patients`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cocogen.errors import LearningError, WorkspaceError
from cocogen.evidence.own_patients import OwnPatients
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from cocogen.evidence.local import Local

__all__ = ["keep_patients", "measure_patients", "read_patients"]


def measure_patients(task: Local, workspace: Workspace, resolved: ResolvedTerms, number: int) -> None:
    """Let the members of ``task`` measure the model of round ``number``, those who were given it, and write it down.

    What is written down is not measured again. Nobody measures where no data are an organization's own.
    """
    if resolved.learning.dataset != OWN:
        return
    names = resolved.names
    given = {
        n: path
        for n, name in enumerate(names)
        if (path := workspace.delivered(number, name)).exists() and not workspace.patients(number, name).exists()
    }
    alone = {n: workspace.alone(names[n]) for n in given}
    for told in task.own_patients(number, given, alone, resolved.consortium.rounds).values():
        keep_patients(workspace, told)


def keep_patients(workspace: Workspace, told: OwnPatients) -> None:
    """Write down what an organization told."""
    workspace.write_json(workspace.patients(told.round, told.organization), told.to_plain())


def read_patients(workspace: Workspace, resolved: ResolvedTerms, number: int) -> tuple[OwnPatients | None, ...]:
    """What organizations told of a round, None for those that told nothing; nothing at all where nobody did.

    Raises
    ------
    WorkspaceError
        A file is not what its organization tells of this round.
    """
    found: list[OwnPatients | None] = []
    for name in resolved.names if resolved.learning.dataset == OWN else ():
        path = workspace.patients(number, name)
        if not path.exists():
            found.append(None)
            continue
        try:
            told = OwnPatients.from_plain(workspace.read_json(path))
        except LearningError as error:
            raise WorkspaceError(f"{path}: {error.message}", hint="remove it, or ask for it again") from error
        if (told.organization, told.round) != (name, number):
            raise WorkspaceError(
                f"{path} is what {told.organization} tells of round {told.round}, not {name} of round {number}",
                hint="remove it, or ask for it again",
            )
        found.append(told)
    return tuple(found) if any(told is not None for told in found) else ()
