"""Do the synthetic samples repeat the training samples? What ``train`` and ``run`` show of the nearest-neighbour check.

An organization should see it before its bundle leaves the house: nobody else can tell. It is a warning, no verdict:
evidence, ledger and exit code stay as they are. Left out: the check itself
(:mod:`cocogen.learning.generators.memorization`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.output import note

if TYPE_CHECKING:
    from cocogen.learning.generators.memorization import Memorization
    from cocogen.operations.session import Session

__all__ = ["describe", "inspect_round", "inspect_run", "warn"]


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
    from cocogen.errors import LearningError

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


def warn(number: int, name: str, entry: dict[str, Any], advice: str) -> None:
    """Say on standard error that this organization's synthetic samples repeat its training samples."""
    note(f"warning: round {number}: the synthetic samples of {name} repeat its training samples: {describe(entry)}")
    note(f"hint: {advice}")


def describe(entry: dict[str, Any]) -> str:
    """One check in words; "one" is a training sample."""
    copies = round(entry["copies"] * entry["samples"])
    return (
        f"{copies} of {entry['samples']} equal one; {entry['closer']:.0%} lie closer to one than any other training "
        f"sample does; excess {entry['excess']:+.2f} (standard error {entry['standard_error']:.2f})"
    )


def _inspect(session: Session, number: int, name: str) -> Memorization | None:
    from cocogen.errors import EvidenceRejected
    from cocogen.evidence.bundle import Bundle

    bundle = Bundle.load(session.workspace.bundle(number, name))
    if bundle.organization != name:
        raise EvidenceRejected(name, f"its file holds evidence in the name of {bundle.organization}")
    if not len(bundle.synthetic.labels):
        return None
    bundles: list[Bundle | None] = [None] * len(session.resolved.names)
    bundles[session.index(name)] = bundle
    return session.loop.task.memorization(bundles)[name]


def _data(made: Memorization) -> dict[str, Any]:
    return {**asdict(made), "flagged": made.flagged}
