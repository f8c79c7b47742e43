"""How long a round on nodes can take: said without Flower, so that a command can refuse before anything starts."""

from __future__ import annotations

__all__ = ["ANSWER", "longest_round"]

ANSWER = 20.0
"""Seconds that a node has to say whose it is before it is asked again: Flower starts a Python process for it."""


def longest_round(deadline: float, patience: float) -> float:
    """Seconds from the opening of a round until the nodes' evidence is in, at most: finding the nodes, then training.

    ``deadline``, ``patience``: seconds for the nodes' work, and to wait for all nodes before the first round.
    """
    return max(patience, ANSWER) + deadline
