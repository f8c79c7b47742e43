"""How far something has come, told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count as count_from

from cocogen.learning.training.local import Advance

__all__ = ["Progress", "counter", "tell"]

Progress = Callable[[str, int, int], None]
"""Called with a description, what is done, and the total."""


def counter(progress: Progress | None, description: str, done: int, total: int) -> Advance:
    """Tells ``progress`` where it stands, now and each time that it is called: one further."""
    numbers = count_from(done)

    def advance() -> None:
        tell(progress, description, next(numbers), total)

    advance()
    return advance


def tell(progress: Progress | None, description: str, done: int, total: int) -> None:
    """Tell ``progress``, if somebody listens."""
    if progress is not None:
        progress(description, done, total)
