"""What bundles give away of the data behind them: synthetic samples that repeat training samples, and the ε spent.

An organization should see it before its bundle leaves the house: nobody else can tell. It is a warning, no verdict:
evidence, ledger and exit code stay as they are. Left out: the checks themselves
(:mod:`cocogen.learning.generators.memorization`, :mod:`cocogen.evidence.privacy`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cocogen.errors import EvidenceRejected, LearningError
from cocogen.operations.session import Session

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle
    from cocogen.learning.generators.memorization import Memorization

__all__ = ["inspect_round", "inspect_run", "privacy_spent"]


def inspect_round(session: Session, number: int, names: Iterable[str]) -> dict[str, Any]:
    """The check of each named organization's bundle as plain JSON values; None where it holds no synthetic samples.

    Raises
    ------
    LearningError
        When a bundle cannot be read, or its samples are none of this data set.
    """
    return {name: None if (made := _inspect(session, number, name)) is None else _data(made) for name in names}


def inspect_run(session: Session, rounds: int) -> dict[str, Any]:
    """All bundles of rounds 1 … ``rounds``: how many were ``checked``, those ``flagged``, and the ``worst`` or None.

    Bundles that cannot be read or compared are left out: the attester refused them, and the rounds say why.
    """
    found = []
    for number in range(1, rounds + 1):
        for name in session.resolved.names:
            if not session.workspace.bundle(number, name).exists():
                continue
            try:
                made = _inspect(session, number, name)
            except LearningError:
                continue
            if made is not None:
                found.append({"round": number, "organization": name, **_data(made)})
    worst = max(found, key=lambda e: (e["flagged"], e["copies"] - e["expected_copies"], e["excess"]), default=None)
    return {"checked": len(found), "flagged": [entry for entry in found if entry["flagged"]], "worst": worst}


def _inspect(session: Session, number: int, name: str) -> Memorization | None:
    from cocogen.evidence.bundle import Bundle

    bundle = Bundle.load(session.workspace.bundle(number, name))
    if bundle.organization != name:
        raise EvidenceRejected(name, f"its file holds evidence in the name of {bundle.organization}")
    if not len(bundle.synthetic.labels):
        return None
    bundles: list[Bundle | None] = [None] * len(session.resolved.names)
    bundles[session.index(name)] = bundle
    return session.loop.members.memorization(bundles)[name]


def _data(made: Memorization) -> dict[str, Any]:
    return {**asdict(made), "flagged": made.flagged}


def privacy_spent(session: Session, names: Sequence[str]) -> dict[str, Any] | None:
    """ε of ``names`` so far as plain JSON values (``cocogen.evidence.privacy.privacy_report``), None where not agreed.

    Every bundle in the workspace counts, whatever became of its round. ``rounds``: their number.
    """
    agreed = session.resolved.learning.privacy
    if agreed is None:
        return None
    from cocogen.evidence.privacy import UpdatePrivacy, privacy_report

    begun = range(1, session.ledger.state().round + 1)
    handed_in = {name: sum(session.workspace.bundle(number, name).exists() for number in begun) for name in names}
    privacy = UpdatePrivacy(agreed.clip, agreed.noise_multiplier, agreed.delta)
    return privacy_report(privacy, handed_in) | {"rounds": handed_in}
