"""What there is to train in a round, for whoever trains it: the loop itself, or nodes elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cocogen.evidence.local import Assignment, SharedModel
    from cocogen.learning.training.scaffold import Variate

__all__ = ["Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What the organizations still have to train in a round; the lists have one entry per organization.

    ``bases``: the shared model that each starts from. ``assignments``: None for whoever takes no part or whose
    evidence is already there. ``variates``: where the terms say SCAFFOLD, what it keeps of each organization that has
    an assignment; None where they do not. ``commitment``: where rows are opened, what the attester is bound to.
    """

    round: int
    bases: list[SharedModel]
    assignments: list[Assignment | None]
    variates: list[Variate] | None = None
    commitment: str | None = None
