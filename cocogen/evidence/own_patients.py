"""What cooperation is worth to an organization on its own patients: counts that leave its house, or that they do not.

A site measures the shared model, and the model that it trained alone, on its validation rows, which nobody trains on.
What it tells are counts of right and wrong predictions, of all rows where the metric of the terms is the accuracy, else
of each class: no score and no row leaves, so that an area under the ROC curve is not told either. Where one of these
counts, of either model, lies below the schema's ``minimum_cell``, none is told, but a count of 0 of a class without
rows. Left out: how the models are made and measured (:mod:`cocogen.evidence.alone`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cocogen.errors import LearningError
from cocogen.files import canonical_json
from cocogen.learning.intervals import Interval, mean_of_shares

__all__ = ["Counts", "OwnPatients", "Share", "counted"]

_Cells = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**53)], ...], Field(min_length=1, max_length=1_000)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Share:
    """What a model gets right, in [0, 1], and the ends of its interval at 95 %."""

    value: float
    interval: Interval


class Counts(_Record):
    """Rows that a model predicts ``right`` and ``wrong``: of all classes together, or one entry for each."""

    right: _Cells
    wrong: _Cells

    @model_validator(mode="after")
    def _fits(self) -> Counts:
        if len(self.right) != len(self.wrong):
            raise ValueError(f"{len(self.right)} counts of right and {len(self.wrong)} of wrong predictions")
        return self

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each entry."""
        return tuple(right + wrong for right, wrong in zip(self.right, self.wrong, strict=True))

    @property
    def share(self) -> Share | None:
        """The accuracy, or the mean over the classes that have rows; None without any row. Intervals are Wilson's."""
        known = [(right, rows) for right, rows in zip(self.right, self.rows, strict=True) if rows]
        if not known:
            return None
        rights, rows = [right for right, _ in known], [rows for _, rows in known]
        value = sum(right / count for right, count in known) / len(known)
        return Share(value, mean_of_shares(rights, rows))

    def told(self, minimum_cell: int) -> bool:
        """Whether every count reaches ``minimum_cell``, but those of entries without rows."""
        return all(
            min(right, wrong) >= minimum_cell or right == wrong == 0
            for right, wrong in zip(self.right, self.wrong, strict=True)
        )


class OwnPatients(_Record):
    """What ``organization`` tells after a round: counts of the model ``together`` and of its own ``alone``.

    Both are None where they are withheld.
    """

    organization: Annotated[str, Field(min_length=1, max_length=64)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    together: Counts | None
    alone: Counts | None

    @model_validator(mode="after")
    def _compares(self) -> OwnPatients:
        if (self.together is None) != (self.alone is None):
            raise ValueError("counts of one model without those of the other")
        if self.together is not None and self.alone is not None and self.together.rows != self.alone.rows:
            raise ValueError("counts of the two models on different rows")
        return self

    @classmethod
    def of(cls, organization: str, number: int, together: Counts, alone: Counts, minimum_cell: int) -> OwnPatients:
        """What may be told of these counts."""
        told = together.told(minimum_cell) and alone.told(minimum_cell)
        return cls(
            organization=organization, round=number, together=together if told else None, alone=alone if told else None
        )

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON values, what leaves the site; :meth:`from_plain` inverts."""
        return self.model_dump(mode="json")

    @classmethod
    def from_plain(cls, value: object) -> OwnPatients:
        """Rebuild from :meth:`to_plain`; LearningError when it is something else."""
        try:
            return cls.model_validate_json(canonical_json(value))
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            raise LearningError(
                f"no counts of own patients: {type(error).__name__}", hint="ask for them again"
            ) from error

    def compared(self) -> Mapping[str, Any] | None:
        """Both shares with their intervals as plain JSON values, for a report; None where they are withheld."""
        if self.together is None or self.alone is None:
            return None
        shares = {"together": self.together.share, "alone": self.alone.share}
        rows = sum(self.together.rows)
        return {"rows": rows} | {
            name: None if share is None else {"value": share.value, "interval": [*share.interval]}
            for name, share in shares.items()
        }


def counted(logits: NDArray[np.float32], labels: NDArray[np.int64], by_class: bool) -> Counts:
    """Counts of predictions: ``logits`` (n, C), the first of the largest counts; ``labels`` (n,)."""
    correct, classes = logits.argmax(axis=1) == labels, logits.shape[1]
    groups = [labels == c for c in range(classes)] if by_class else [np.ones(len(labels), dtype=np.bool_)]
    return Counts(
        right=tuple(int((correct & group).sum()) for group in groups),
        wrong=tuple(int((~correct & group).sum()) for group in groups),
    )
