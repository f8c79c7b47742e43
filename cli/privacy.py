"""What the updates of a consortium's rounds have spent of their organizations' privacy, as a table."""

from __future__ import annotations

from typing import Any

from cli.output import table

__all__ = ["print_privacy"]


def print_privacy(data: dict[str, Any]) -> None:
    """The table of :func:`cocogen.operations.leakage.privacy_spent`."""
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
