"""Who is given the model of a round, and why the others are not, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.output import wrapped

if TYPE_CHECKING:
    from cocogen.operations.status import Delivery

__all__ = ["delivery_text"]


def delivery_text(delivery: Delivery) -> str:
    """Of a round that is not open, on lines of at most 80 columns."""
    number, given, reasons = delivery.round, delivery.recipients, delivery.withheld
    if not given:
        lines = [f"the model of round {number} goes to nobody: {next(iter(reasons.values()))}"]
    else:
        lines = [f"the model of round {number} goes to {_listed(given)} (models/NAME/{number:04d}.npz)"]
        by_reason: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            by_reason.setdefault(reason, []).append(name)
        lines += [f"not to {_listed(names)}: {reason}" for reason, names in by_reason.items()]
    return "\n".join(wrapped(*lines))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
