"""The own data of one site, or of several that are played on one machine: each read where it lies, by whoever has it.

Of everybody else a source of own data holds what was registered, and nothing more: there is no object here that stands
for another organization's rows. Left out: how a site's file is read (:mod:`cocogen.data.own`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.leaves import Opening
from cocogen.data.own.rows import Rows
from cocogen.data.own.transform import Transform
from cocogen.data.samples import Samples
from cocogen.data.sources.base import RegisteredRows, Reserved
from cocogen.errors import DatasetError

__all__ = ["OwnSource", "SiteRows"]


@dataclass(frozen=True, slots=True, eq=False)
class SiteRows:
    """A site's rows in the order of its leaves, and what opens one of them by its number."""

    rows: Rows
    open: Callable[[int], Opening]


class OwnSource:
    """Implements :class:`~cocogen.data.sources.base.Source`: the sites that are here, by what all registered.

    ``names``: of all organizations, in the order of the terms. ``counts``: (N, C) int64, registered training rows of
    each organization and class. ``transform``: follows from the registered sums. ``members``: reads the registered rows
    of the organizations that are here, by index; ``attester``: the attester's, whose training rows are the holdout and
    whose validation rows are the test samples; None where it is not here. ``leaves``: reads what organizations gave to
    the attester, (n, 32) uint8 by index; nothing where it is not here.
    """

    def __init__(
        self,
        names: Sequence[str],
        counts: NDArray[np.int64],
        transform: Transform,
        members: Mapping[int, Callable[[], SiteRows]],
        attester: Callable[[], Rows] | None = None,
        leaves: Mapping[int, Callable[[], NDArray[np.uint8]]] | None = None,
    ) -> None:
        self.shape = transform.schema.shape
        self.counts = counts
        self._names, self._transform = tuple(names), transform
        self._members, self._attester, self._leaves = dict(members), attester, dict(leaves or {})
        self._read: dict[int, SiteRows] = {}

    def of_member(self, n: int) -> Samples:
        """The training samples of organization ``n``, in the order of its leaves.

        Raises
        ------
        DatasetError
            Its data are not here.
        SiteError
            They cannot be read, or are not those that it registered.
        """
        return self._sides(self._of(n).rows)[0]

    def own_patients(self, n: int) -> Samples:
        """The samples of organization ``n`` that are never trained on; raises as :meth:`of_member` does."""
        return self._sides(self._of(n).rows)[1]

    def registered(self, n: int) -> RegisteredRows:
        """How many leaves organization ``n`` may train on; all of them for the attester, and what opens one for the
        organization itself."""
        own, leaves = n in self._members, self._leaves.get(n)
        return RegisteredRows(
            training=int(self.counts[n].sum()),
            leaves=None if leaves is None else leaves(),
            open=self._of(n).open if own else None,
        )

    def of_attester(self) -> Reserved:
        """Holdout and test samples; raises as :meth:`of_member` does."""
        if self._attester is None:
            raise DatasetError(
                "the attester's data are not here", hint="name the attester's site file, or let the attester do this"
            )
        return Reserved(*self._sides(self._attester()))

    def _of(self, n: int) -> SiteRows:
        if n not in self._members:
            name = self._names[n]
            raise DatasetError(
                f"the data of {name} are not here", hint=f"name the site file of {name}, or let {name} do this"
            )
        if n not in self._read:
            self._read[n] = self._members[n]()
        return self._read[n]

    def _sides(self, rows: Rows) -> tuple[Samples, Samples]:
        features, labels, border = self._transform.apply(rows), rows.labels, len(rows.training)
        return Samples(features[:border], labels[:border]), Samples(features[border:], labels[border:])
