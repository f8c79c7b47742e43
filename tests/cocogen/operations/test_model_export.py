"""What a recorded member exports is the model that was settled, with what was signed of it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from chain.audit import audit_deployment
from chain.twin.ledger import MemoryProvider
from cli import model as command
from cocogen.data.sets import load
from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.files import canonical_json
from cocogen.learning.exported.tensors import read_tensors
from cocogen.learning.intervals import wilson
from cocogen.learning.models.states import SharedModel
from cocogen.operations.model_export import export_model
from cocogen.operations.run import run
from cocogen.operations.session import Session, open_consortium


@pytest.fixture
def session(deployed, memory: MemoryProvider):
    with open_consortium(deployed.workspace, memory) as consortium:
        yield consortium


def played(session: Session) -> Session:
    run(session, audit_deployment)
    return session


def test_a_settled_model_is_exported_in_both_formats_and_applied_by_others(session, tmp_path, capsys):
    with pytest.raises(WorkspaceError, match="no settled round recorded a contribution of anybody"):
        export_model(session, tmp_path / "model.onnx")
    played(session)
    (session.workspace.model(2)).unlink()  # a member has the model that it was given alone
    tensors = export_model(session, tmp_path / "model.safetensors", "harbor")
    graph = export_model(session, tmp_path / "model.onnx", "harbor")

    data = load("diagnostic")
    shared = SharedModel.load(session.workspace.delivered(2, "harbor"))
    scale = session.loop.task.attester.agreed.source().scale
    logits = tensors.model.classifier.logits(shared.classifier, scale.apply(data.features)).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = onnx.load(tmp_path / "model.onnx")
    found, _ = ReferenceEvaluator(made).run(None, {"features": data.features})
    np.testing.assert_allclose(found, expected, atol=1e-6)
    read = read_tensors(tmp_path / "model.safetensors")
    np.testing.assert_allclose(read.probabilities(read.preparation.apply(data.features)), expected, atol=1e-12)
    assert read.classes == ("malignant", "benign")
    assert read.header() == graph.model.header()

    card, attested = read.card, json.loads(session.workspace.attested(2).read_text())
    document = attested["documents"][1]
    assert (card.consortium, card.organization, card.round) == ("clinics", "harbor", 2)
    evaluation = document["evaluation"]
    right = round(evaluation["accuracy"] * evaluation["samples"])
    measured = card.metrics["accuracy"]
    assert (measured.value, card.samples) == (evaluation["accuracy"], evaluation["samples"])
    assert (measured.low, measured.high) == wilson(right, evaluation["samples"])
    assert card.metrics["balanced_accuracy"].value == evaluation["balanced_accuracy"]
    assert card.metrics["loss"].low is None
    digests = card.digests
    assert digests.evidence == hashlib.sha256(canonical_json(document)).hexdigest()
    assert digests.evidence == session.ledger.outcomes()[1].contributions[1].evidence_hash.hex()
    parts = bytes.fromhex(digests.classifier + digests.generator)
    assert hashlib.sha256(parts).hexdigest() == digests.model == document["aggregated_model"]
    assert digests.terms == session.ledger.decoded.terms_hash.hex()
    assert digests.document == session.resolved.document_hash.hex()

    command._print(tensors.plain())
    said = " ".join(capsys.readouterr().out.split())
    assert "clinics, round 2, as recorded for harbor: logistic of 30 inputs and 2 classes (malignant, benign)" in said
    assert f"accuracy {measured.value:.4f} ({measured.low:.3f} to {measured.high:.3f} at 95 %) on 114 samples" in said

    with pytest.raises(ConfigurationError, match="names no format of a model") as caught:
        export_model(session, tmp_path / "model.npz")
    assert ".safetensors or .onnx" in caught.value.hint
    with pytest.raises(ConfigurationError, match="no organization is called"):
        export_model(session, tmp_path / "model.onnx", "nobody")
    session.workspace.delivered(2, "harbor").unlink()
    with pytest.raises(WorkspaceError, match=r"is not there"):
        export_model(session, tmp_path / "model.onnx", "harbor")


def test_whoever_was_not_recorded_last_exports_what_it_was_given_before(session, tmp_path):
    loop = session.loop
    loop.bond()
    loop.play()
    number = loop.ledger.state().round
    assert number == 1
    outcome = session.ledger.outcomes()[0]
    assert outcome.status == "settled"
    export = export_model(session, tmp_path / "model.safetensors")
    assert (export.model.card.round, export.model.card.organization) == (1, session.resolved.names[0])
    altered = json.loads(session.workspace.attested(1).read_text())
    altered["documents"][0]["evaluation"]["accuracy"] = 1.0
    session.workspace.write_json(session.workspace.attested(1), altered)
    with pytest.raises(WorkspaceError, match="was altered"):
        export_model(session, tmp_path / "model.safetensors")
