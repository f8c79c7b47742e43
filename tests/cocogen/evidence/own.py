"""The scene of the evidence's tests, as if every organization had registered its samples as rows of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from cocogen.data.own.leaves import leaf_digests, opening
from cocogen.data.own.rows import Rows
from cocogen.data.own.table import Table
from cocogen.data.samples import Samples
from cocogen.data.sources.base import RegisteredRows, Reserved, Source
from cocogen.evidence.agreed import Agreed
from cocogen.terms.schema import NumberFeature, TableSchema

CLASSES = ("malignant", "benign")


def schema_of(features: int) -> TableSchema:
    """Standardized features, as they are: numbers from -50 to 50."""
    numbers = tuple(
        NumberFeature(name=f"feature {n}", kind="number", minimum=-50.0, maximum=50.0) for n in range(features)
    )
    return TableSchema(kind="table", label="outcome", classes=CLASSES, minimum_cell=0, feature=numbers)


def secret_of(n: int) -> bytes:
    return hashlib.sha256(b"secret of %d" % n).digest()


def rows_of(schema: TableSchema, training: Samples, patients: Samples | None = None) -> Rows:
    """Leaves in the order of the samples, those to train on first."""
    parts, border = [training] if patients is None else [training, patients], len(training.labels)
    numbers = np.concatenate([part.features for part in parts]).astype(np.float64)
    labels, none = np.concatenate([part.labels for part in parts]), np.zeros((len(numbers), 0), dtype=np.int32)
    table = Table(schema, numbers, none, labels, np.zeros(numbers.shape[1], dtype=np.int64))
    return Rows.of(table, np.arange(border), np.arange(border, len(labels)))


@dataclass(frozen=True)
class OwnRows:
    """The samples of ``source``, each organization's registered as leaves; ``surplus``: so many more than there are.

    With ``patients`` the test fold is shared out among the organizations, too, and trained on by none.
    """

    source: Source
    surplus: int = 0
    patients: bool = False

    @cached_property
    def schema(self) -> TableSchema:
        return schema_of(self.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def counts(self) -> np.ndarray:
        return self.source.counts

    def of_member(self, n: int) -> Samples:
        return self.source.of_member(n)

    def registered(self, n: int) -> RegisteredRows:
        rows = rows_of(self.schema, self.source.of_member(n), self.own_patients(n))
        leaves, how = leaf_digests(secret_of(n), rows), partial(opening, secret_of(n), rows)
        return RegisteredRows(len(rows.training) + self.surplus, leaves, how)

    def own_patients(self, n: int) -> Samples | None:
        if not self.patients:
            return None
        test, others = self.source.of_attester().test, len(self.counts)
        return Samples(test.features[n::others], test.labels[n::others])

    def of_attester(self) -> Reserved:
        return self.source.of_attester()


def agreed_on(agreed: Agreed, schema: TableSchema, openings: int = 0) -> Agreed:
    """The same, where all bring rows of ``schema`` and open so many in each round."""
    return replace(agreed, learning=agreed.learning.model_copy(update={"schema_": schema}), openings=openings)
