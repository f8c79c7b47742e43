"""Do the synthetic samples repeat the training samples? How ``train`` and ``run`` say it; a warning, no verdict."""

from __future__ import annotations

from typing import Any

from cli.output import note

__all__ = ["describe", "warn"]


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
