"""The model that an organization would have without the others, and how both do on its own patients.

It trains on its own training rows for the epochs of all agreed rounds, from the same initial model and in the scale
that all agreed on, which is in its favour; it follows from the seed, is made once and kept. Left out: what of it may be
told (:mod:`cocogen.evidence.own_patients`).
"""

from __future__ import annotations

from pathlib import Path

from cocogen.evidence.member import Member
from cocogen.evidence.own_patients import OwnPatients, counted
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.learning.training.threads import one_thread
from cocogen.learning.training.together import train_alone
from cocogen.streams import Purpose

__all__ = ["by_itself", "measure", "tell"]


def by_itself(member: Member, rounds: int) -> ModelState:
    """The classifier that ``member`` trains by itself, with the steps of ``rounds`` rounds."""
    work = member.work(member.models.initial.classifier, member.own, Purpose.ALONE, 0)
    with one_thread():
        (state,) = train_alone(member.models.classifier, [work], member.agreed.schedule, rounds, member.device)
    return state


def measure(member: Member, number: int, together: ModelState, own: ModelState) -> OwnPatients | None:
    """What ``member`` tells of the shared classifier after a round and of its ``own``, made alone.

    None where it keeps no rows apart.
    """
    patients, schema = member.patients, member.agreed.learning.schema_
    if patients is None or schema is None or not len(patients.labels):
        return None
    by_class = member.agreed.learning.metric != "accuracy"
    with one_thread():
        shared, alone = (
            counted(member.models.classifier.logits(state, patients.features), patients.labels, by_class)
            for state in (together, own)
        )
    return OwnPatients.of(member.name, number, shared, alone, schema.minimum_cell)


def tell(member: Member, number: int, given: Path, alone: Path, rounds: int) -> OwnPatients | None:
    """What ``member`` tells of the model in the file ``given``, that of round ``number``; None where it keeps no rows
    apart.

    ``alone``: the file of the classifier that it trains by itself with the steps of ``rounds`` rounds; trained and
    written where there is none.

    Raises
    ------
    LearningError
        A file cannot be read.
    WorkspaceError
        One cannot be written.
    """
    if member.patients is None or not len(member.patients.labels):
        return None
    if not alone.exists():
        by_itself(member, rounds).save(alone)
    return measure(member, number, SharedModel.load(given).classifier, ModelState.load(alone))
