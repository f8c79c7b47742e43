"""One door for every kind of terms files: the mechanism that a file names tells what reads it.

Which mechanisms there are is none of this module's business: whoever calls hands in their table
(``cocogen.systems.SYSTEMS.table``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from cocogen.terms.reading import read_terms
from cocogen.terms.sections import ConsortiumSection

__all__ = ["Readers", "Terms", "load_terms", "named_mechanism"]


class Terms(Protocol):
    """What all terms files say: which consortium it is, and who is in it."""

    @property
    def consortium(self) -> ConsortiumSection:
        """``[consortium]``."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Organization names in the order of the file."""
        ...


Readers: TypeAlias = Mapping[str, Callable[[str | Path], Terms]]
"""What reads and validates a terms file, by the mechanism that it names."""


def named_mechanism(path: str | Path) -> str | None:
    """The ``consortium.mechanism`` of a terms file, None where it names none; ConfigurationError: it is no TOML."""
    _, document = read_terms(path)
    section = document.get("consortium")
    name = section.get("mechanism") if isinstance(section, dict) else None
    return name if isinstance(name, str) else None


def load_terms(path: str | Path, readers: Readers) -> Terms:
    """Read and validate a terms file of any kind.

    The first of ``readers`` takes a file that names no mechanism, or one that nobody knows.

    Raises
    ------
    ConfigurationError
        Naming the file and every field at fault.
    GameError
        The market that it states admits no game.
    """
    name = named_mechanism(path)
    read = readers.get(name or "", next(iter(readers.values())))
    return read(path)
