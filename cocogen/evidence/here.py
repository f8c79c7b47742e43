"""The members whose own data are here, of a consortium whose others are elsewhere: each read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cocogen.data.sources.base import Source
from cocogen.errors import LearningError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.member import Assignment, Member, Progress, train_members
from cocogen.learning.generators.memorization import Memorization
from cocogen.learning.models.states import SharedModel
from cocogen.learning.training.scaffold import Variate
from cocogen.learning.training.threads import one_thread

__all__ = ["Agreed", "MembersHere", "train_assigned"]


class MembersHere:
    """Implements what a round needs of :class:`~cocogen.evidence.local.Local` for whoever is here; no attester.

    ``source`` gives the data of those that are here, and refuses the others by name.
    """

    def __init__(self, agreed: Agreed, source: Source) -> None:
        self.agreed = agreed
        self._source = source
        self._members: dict[int, Member] = {}

    def member(self, n: int) -> Member:
        """Organization ``n``; DatasetError where its data are not here."""
        if n not in self._members:
            self._members[n] = Member(self.agreed, self._source, n)
        return self._members[n]

    def train(
        self,
        round_number: int,
        shared: Sequence[SharedModel],
        assignments: Sequence[Assignment | None],
        terms_hash: bytes,
        sign: Callable[[str, bytes], bytes],
        progress: Progress | None = None,
        *,
        variates: Sequence[Variate] | None = None,
        challenge: str | None = None,
    ) -> list[Bundle | None]:
        """The signed bundle of every organization that has an assignment, as :func:`train_assigned` makes it."""
        return train_assigned(
            self.member,
            round_number,
            shared,
            assignments,
            terms_hash,
            sign,
            progress,
            variates=variates,
            challenge=challenge,
        )

    def memorization(self, bundles: Sequence[Bundle | None]) -> dict[str, Memorization]:
        """Whether synthetic samples repeat the organization's own, by name, beside its rows that are never trained on.

        Raises
        ------
        LearningError
            It keeps no rows for validation, so there is nothing to compare with.
        """
        found = {}
        for n, bundle in enumerate(bundles):
            if bundle is None or not len(bundle.synthetic.labels):
                continue
            reference = self._source.own_patients(n)
            if reference is None or not len(reference.labels):
                raise LearningError(
                    f"{bundle.organization} keeps no rows to compare its synthetic samples with",
                    hint="set split.validation in the site file before the next registration",
                )
            found[bundle.organization] = self.member(n).memorization(bundle.synthetic, reference)
        return found


def train_assigned(
    member: Callable[[int], Member],
    round_number: int,
    bases: Sequence[SharedModel],
    assignments: Sequence[Assignment | None],
    terms_hash: bytes,
    sign: Callable[[str, bytes], bytes],
    progress: Progress | None = None,
    *,
    variates: Sequence[Variate] | None = None,
    challenge: str | None = None,
) -> list[Bundle | None]:
    """Generate, train and sign for every organization that has an assignment; the others get None.

    ``member``: an organization by its index, asked for those at work alone. ``bases``: the model that each was given.
    ``variates``: where the terms say SCAFFOLD, what it keeps of each organization, nothing of anybody when absent.
    ``challenge``: what the attester committed to, where rows are agreed to be opened.

    Raises
    ------
    LearningError
        When an assignment exceeds the registered samples or is negative, or training diverges.
    """
    assigned = {n: assignment for n, assignment in enumerate(assignments) if assignment is not None}
    known = [Variate()] * len(assignments) if variates is None else list(variates)
    bundles: list[Bundle | None] = [None] * len(assignments)
    with one_thread():
        made = train_members(
            [member(n) for n in assigned],
            round_number,
            [bases[n] for n in assigned],
            list(assigned.values()),
            terms_hash,
            sign,
            progress,
            variates=[known[n] for n in assigned],
            challenge=challenge,
        )
    for n, bundle in zip(assigned, made, strict=True):
        bundles[n] = bundle
    return bundles
