"""What the updates of a consortium's rounds have spent of their organizations' privacy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.output import table

if TYPE_CHECKING:
    from cocogen.operations.session import Session

__all__ = ["print_privacy", "privacy_data"]


def privacy_data(session: Session, names: Sequence[str]) -> dict[str, Any] | None:
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


def print_privacy(data: dict[str, Any]) -> None:
    """The table of :func:`privacy_data`."""
    rows = [
        [
            name,
            str(rounds),
            f"{data['epsilon'][name]:.4g}",
            f"{data['epsilon_replacement'][name]:.4g}",
            f"{data['delta']:g}",
        ]
        for name, rounds in data["rounds"].items()
    ]
    table(
        "differential privacy spent on updates",
        ["organization", "updates", "ε", "ε, replaced", "δ"],
        rows,
        caption=f"updates clipped to {data['clip']:g}, noise multiplier {data['noise_multiplier']:g}; ε if an "
        "organization's updates count or not, and if its data are replaced by any other; generators, synthetic samples "
        "and counts are not covered",
    )
