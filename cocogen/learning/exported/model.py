"""A trained classifier with everything that it takes to apply it, and what is known of it.

Left out: the files (:mod:`.tensors`, :mod:`.graph`), and where its parts come from
(:mod:`cocogen.operations.model_export`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cocogen.data.own.transform import Transform
from cocogen.errors import DatasetError, LearningError
from cocogen.learning.exported.standardization import Standardization
from cocogen.learning.models.classifiers import Classifier, build_classifier
from cocogen.learning.models.states import ModelState
from cocogen.terms.reading import field_problems
from cocogen.terms.sections import Metric

__all__ = ["Card", "Digests", "ExportedModel", "Measured"]

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(min_length=1, max_length=1_000)]
_MAXIMUM_WIDTH = 2**26  # four channels of 4096 x 4096, the largest images of a schema
_EXPORT_AGAIN = "export the model again: cocogen model export"


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measured(_Plain):
    """A measured ``value``, and the ends of its interval at 95 % where the counts behind it are known."""

    value: float
    low: float | None = None
    high: float | None = None


class Digests(_Plain):
    """SHA-256 each, hexadecimal. ``terms``: what the ledger calls the terms. ``document``: of the resolved terms.
    ``evidence``: of the member's evidence document, as the ledger recorded it with its contribution, which names
    ``model``, the shared model: SHA-256 over the digests of ``classifier``, ``generator`` and, unless empty,
    ``server``."""

    terms: _Sha256
    document: _Sha256
    evidence: _Sha256
    model: _Sha256
    classifier: _Sha256
    generator: _Sha256
    server: _Sha256 | None = None


class Card(_Plain):
    """What is known of a model: of which consortium, round and member it is, and how well it does.

    ``metrics``: by name, as the attester measured and signed them on ``samples`` of its own.
    """

    consortium: _Name
    organization: _Name
    round: Annotated[int, Field(ge=1)]
    metric: Metric
    metrics: dict[str, Measured]
    samples: Annotated[int, Field(ge=1)]
    digests: Digests


class _Header(_Plain):
    """The text of an exported file."""

    version: Literal[1]
    model: Literal["logistic", "mlp", "lenet", "resnet18"]
    hidden: Annotated[int, Field(ge=1, le=4096)]
    classes: Annotated[tuple[_Name, ...], Field(min_length=2, max_length=100_000)]
    preparation: dict[str, Any]
    card: Card


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """``state``: the parameters of the network that the terms call ``model`` (with ``hidden`` units, of "mlp").

    ``classes``: names, in the order of the outputs. ``preparation``: from what the organizations hold to samples: of
    the agreed schema, or of a named data set.
    """

    model: str
    hidden: int
    classes: tuple[str, ...]
    preparation: Transform | Standardization
    state: ModelState
    card: Card

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a sample: (d,), or (channels, height, width)."""
        made = self.preparation
        return made.schema.shape if isinstance(made, Transform) else made.shape

    @cached_property
    def classifier(self) -> Classifier:
        """The network; LearningError when it cannot read samples of this shape."""
        return build_classifier(self.model, shape=self.shape, classes=len(self.classes), hidden=self.hidden)

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of each class, (n, C) in [0, 1], each row summing to 1; ``samples`` (n, d) prepared."""
        logits = self.classifier.logits(self.state, samples).astype(np.float64)
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: NDArray[np.float64] = chances / chances.sum(axis=1, keepdims=True)
        return found

    def header(self) -> dict[str, Any]:
        """All but the parameters, as plain JSON values."""
        kind = "schema" if isinstance(self.preparation, Transform) else "features"
        return {
            "version": 1,
            "model": self.model,
            "hidden": self.hidden,
            "classes": list(self.classes),
            "preparation": {"kind": kind, **self.preparation.to_plain()},
            "card": self.card.model_dump(mode="json", exclude_none=True),
        }

    @classmethod
    def of(cls, header: Mapping[str, Any], state: ModelState, *, file: str) -> ExportedModel:
        """The inverse of :meth:`header`, of a file that a stranger may have written.

        Raises
        ------
        LearningError
            When the header is malformed, or the parameters are not those of its model, or not those whose digest it
            states; the message says which.
        """
        try:
            found = _Header.model_validate(header)
        except ValidationError as error:
            problem = field_problems(error)[0]
            raise LearningError(f"{file} is no exported model: {problem}", hint=_EXPORT_AGAIN) from error
        plain = dict(found.preparation)
        kind = plain.pop("kind", None)
        try:
            preparation = Transform.from_plain(plain) if kind == "schema" else Standardization.from_plain(plain)
        except DatasetError as error:
            raise LearningError(f"{file} is no exported model: {error}", hint=_EXPORT_AGAIN) from error
        if isinstance(preparation, Transform) and preparation.schema.classes != found.classes:
            raise LearningError(
                f"{file} is no exported model: its classes are not those of its schema", hint=_EXPORT_AGAIN
            )
        made = cls(found.model, found.hidden, found.classes, preparation, state, found.card)
        if math.prod(made.shape) > _MAXIMUM_WIDTH:
            raise LearningError(f"{file} is no exported model: its samples are too large", hint=_EXPORT_AGAIN)
        expected = {name: tuple(parameter.shape) for name, parameter in made.classifier.network.named_parameters()}
        if dict(state.layout) != expected:
            raise LearningError(f"{file}: its parameters are not those of a {found.model} model", hint=_EXPORT_AGAIN)
        if state.digest() != found.card.digests.classifier:
            raise LearningError(
                f"{file} was altered: its parameters are not those whose digest it states",
                hint="restore it from a copy, or export it again",
            )
        return made
