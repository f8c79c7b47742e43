"""Write the model that a member was given to one file that stands for itself, for programs that are not ours.

The member is believed as far as the ledger bears it out: the model is the one of the last settled round that recorded
its contribution, its digest is checked against the evidence whose hash the ledger holds, and the metrics are those that
the attester signed there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocogen.data.own.sums import added
from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.evidence.agreed import Agreed
from cocogen.files import evidence_hash
from cocogen.learning.exported.graph import write_graph
from cocogen.learning.exported.model import Card, Digests, ExportedModel, Measured
from cocogen.learning.exported.standardization import Standardization
from cocogen.learning.exported.tensors import read_tensors, write_tensors
from cocogen.learning.intervals import wilson
from cocogen.ledger import RoundOutcome
from cocogen.operations.session import Session
from cocogen.operations.sources import registrations
from cocogen.rounds.history import History, contributors
from cocogen.terms.metrics import metric_field

__all__ = ["FORMATS", "Export", "export_model", "member_model", "read_model"]

FORMATS: Mapping[str, Callable[[Path, ExportedModel], None]] = {".safetensors": write_tensors, ".onnx": write_graph}
"""What writes a file of each ending."""


@dataclass(frozen=True, slots=True)
class Export:
    """An exported ``model`` and the file it is in."""

    path: Path
    model: ExportedModel

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        made = self.model
        return {
            "file": str(self.path),
            "format": self.path.suffix.removeprefix("."),
            "model": made.model,
            "shape": list(made.shape),
            "classes": list(made.classes),
            **made.card.model_dump(mode="json", exclude_none=True),
        }


def export_model(session: Session, path: Path, organization: str | None = None) -> Export:
    """Write the model that ``organization`` holds to ``path``, whose ending names the format.

    Raises
    ------
    ConfigurationError
        The ending names no format, an extra is not installed, or nobody is called so.
    WorkspaceError
        No settled round recorded a contribution of it, its model or the round's evidence is missing or altered, or the
        file cannot be written.
    LearningError
        The data set's classes and scale cannot be read, a registration is not the agreed one, or the model has no place
        in the format.
    """
    write = FORMATS.get(path.suffix)
    if write is None:
        raise ConfigurationError(
            f"{path} names no format of a model by its ending", hint=f"end it in {' or '.join(FORMATS)}"
        )
    model = member_model(session, organization)
    write(path, model)
    return Export(path, model)


def member_model(session: Session, organization: str | None = None) -> ExportedModel:
    """The model of the last settled round that recorded a contribution of ``organization``, by default of the first in
    the terms that has one; errors as :func:`export_model`."""
    resolved = session.resolved
    index, outcome = _recorded(session, organization)
    name = resolved.names[index]
    history = History(resolved, session.ledger, session.workspace)
    document = history.documents(outcome)[index]
    shared = history.model(outcome.round, document["aggregated_model"], name)
    learning = resolved.learning
    preparation, classes = _preparation(session)
    digests = Digests(
        terms=session.ledger.decoded.terms_hash.hex(),
        document=resolved.document_hash.hex(),
        evidence=evidence_hash(document).hex(),
        model=shared.digest(),
        classifier=shared.classifier.digest(),
        generator=shared.generator.digest(),
        server=shared.server.digest() if shared.server else None,
    )
    card = Card(
        consortium=resolved.consortium.name,
        organization=name,
        round=outcome.round,
        metric=learning.metric,
        metrics=_measured(document["evaluation"], learning.metric),
        samples=int(document["evaluation"]["samples"]),
        digests=digests,
    )
    return ExportedModel(learning.model, learning.hidden, classes, preparation, shared.classifier, card)


def _preparation(session: Session) -> tuple[Transform | Standardization, tuple[str, ...]]:
    """What samples are made by, and the names of the classes: of own data by what everybody registered."""
    resolved = session.resolved
    if (schema := resolved.learning.schema_) is not None:
        registered = registrations(session.workspace, resolved)
        return Transform.of(schema, added([registered[name].sums for name in resolved.names])), schema.classes
    source = Agreed.of(resolved).source(session.folders())
    return Standardization.of(source.scale, source.shape), source.classes


def read_model(path: Path) -> ExportedModel:
    """The model of an exported file.

    Raises
    ------
    ConfigurationError
        It is no ``.safetensors`` file by its name, or the extra ``tables`` is not installed.
    LearningError
        It cannot be read, or is no model that CoCoGen exported.
    """
    if path.suffix != ".safetensors":
        raise ConfigurationError(
            f"{path} is no .safetensors file by its name",
            hint="name one of `cocogen model export`; an .onnx file is for other programs",
        )
    return read_tensors(path)


def _recorded(session: Session, organization: str | None) -> tuple[int, RoundOutcome]:
    """Whose model, and of which round."""
    names = session.resolved.names
    settled = [outcome for outcome in session.ledger.outcomes() if outcome.status == "settled"]
    wanted = range(len(names)) if organization is None else [session.index(organization)]
    for index in wanted:
        mine = [outcome for outcome in settled if contributors(outcome)[index]]
        if mine:
            return index, mine[-1]
    who = "anybody" if organization is None else organization
    raise WorkspaceError(
        f"no settled round recorded a contribution of {who}, so there is no model to export",
        hint="a model is given to recorded contributors alone; `cocogen status` says where the rounds stand",
    )


def _measured(evaluation: Mapping[str, float], metric: str) -> dict[str, Measured]:
    """By name, each with its interval where it is known."""
    between = wilson(round(evaluation["accuracy"] * evaluation["samples"]), int(evaluation["samples"]))
    intervals = {"accuracy": between}
    if "low" in evaluation:
        intervals[metric_field(metric)] = type(between)(evaluation["low"], evaluation["high"])
    found = {}
    for name in ("accuracy", "balanced_accuracy", "auroc", "loss"):
        if name in evaluation:
            low, high = intervals.get(name, (None, None))
            found[name] = Measured(value=evaluation[name], low=low, high=high)
    return found
