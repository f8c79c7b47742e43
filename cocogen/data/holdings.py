"""Who holds which samples, all in memory: for whoever plays every organization and the attester on one machine.

Left out: where the samples come from (:mod:`cocogen.data.sources`), and training (:mod:`cocogen.evidence.local`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.samples import Samples
from cocogen.data.sources.base import RegisteredRows, Reserved, Source

__all__ = ["Holdings"]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Implements :class:`~cocogen.data.sources.base.Source`: everything that another source holds, read once.

    ``own``: the samples of each organization. ``test``: seen by nobody in training. ``holdout``: the attester's.
    ``shape``: that of one sample, before it was flattened. ``counts``: (N, C), samples of each organization and class.
    ``rows``: what each organization registered of its own data. ``patients``: what each never trains on.
    """

    own: tuple[Samples, ...]
    test: Samples
    holdout: Samples
    shape: tuple[int, ...]
    counts: NDArray[np.int64]
    rows: tuple[RegisteredRows | None, ...]
    patients: tuple[Samples | None, ...]

    @classmethod
    def of(cls, source: Source) -> Holdings:
        """All samples of ``source``; those of holdings are shared, not copied."""
        reserved, counts = source.of_attester(), source.counts
        own = tuple(source.of_member(n) for n in range(len(counts)))
        rows = tuple(source.registered(n) for n in range(len(counts)))
        patients = tuple(source.own_patients(n) for n in range(len(counts)))
        return cls(own, reserved.test, reserved.holdout, source.shape, counts, rows, patients)

    def of_member(self, n: int) -> Samples:
        """The own samples of organization ``n``."""
        return self.own[n]

    def own_patients(self, n: int) -> Samples | None:
        """The samples of organization ``n`` that it never trains on; None in a rehearsal."""
        return self.patients[n]

    def registered(self, n: int) -> RegisteredRows | None:
        """What organization ``n`` registered of its own data; None where one data set was shared out."""
        return self.rows[n]

    def of_attester(self) -> Reserved:
        """Holdout and test fold."""
        return Reserved(self.holdout, self.test)
