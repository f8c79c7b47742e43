"""What a source of samples is asked for, by whom. Left out: where it has them from, such as :mod:`.split`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.leaves import Opening
from cocogen.data.samples import Samples

__all__ = ["RegisteredRows", "Reserved", "Source"]


class Reserved(NamedTuple):
    """What no organization has seen: the attester's own ``holdout``, and the ``test`` fold that judges models."""

    holdout: Samples
    test: Samples


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredRows:
    """What an organization registered of its own data, as far as whoever asks may know it.

    ``training``: leaves 0 to ``training`` - 1 of its tree are the rows that it may train on, in the order of its
    samples; those after them it never trains on. ``leaves``: (n, 32) uint8, all of them; for the attester, None for
    everybody else. ``open``: what opens a leaf by its number; for the member itself, None for everybody else.
    """

    training: int
    leaves: NDArray[np.uint8] | None = None
    open: Callable[[int], Opening] | None = None


class Source(Protocol):
    """Standardized samples, each read for whoever holds it: who asks for its own gets nobody else's.

    ``shape``: that of one sample, before it was flattened. ``counts``: (N, C) int64, samples of each organization and
    class, which all agreed on when they registered. Both are known to everybody.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def counts(self) -> NDArray[np.int64]: ...

    def of_member(self, n: int) -> Samples:
        """The own samples of organization ``n``: for that member alone."""
        ...

    def own_patients(self, n: int) -> Samples | None:
        """The samples of organization ``n`` that it never trains on: for that member alone; None in a rehearsal."""
        ...

    def registered(self, n: int) -> RegisteredRows | None:
        """What organization ``n`` registered of its own data; None where one data set was shared out."""
        ...

    def of_attester(self) -> Reserved:
        """Holdout and test fold: for the attester alone."""
        ...
