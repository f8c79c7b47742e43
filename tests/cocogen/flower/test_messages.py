"""What travels: round trips, and what is refused before anything is done with it."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from dataclasses import replace

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from cocogen.errors import LearningError
from cocogen.evidence.member import Assignment
from cocogen.flower.messages import (
    Identity,
    Order,
    evidence,
    identity_digest,
    read_evidence,
    read_identity,
    read_order,
    readable,
    refusal,
)
from cocogen.learning.models.states import ModelState, SharedModel

SHARED = SharedModel(ModelState({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}), ModelState({"g": np.ones(2)}))
ORDER = Order(3, b"\x07" * 32, Assignment(data=10, raw=4), SHARED)


def test_an_order_arrives_as_it_was_sent():
    found = read_order(ORDER.content())
    assert (found.round, found.terms_hash, found.assignment) == (3, b"\x07" * 32, Assignment(data=10, raw=4))
    assert found.base.digest() == SHARED.digest()
    assert found.variate is None


def test_a_control_variate_travels_with_its_order():
    variate = ModelState({"w": np.full((2, 3), 0.25)})
    content = replace(ORDER, variate=variate).content()
    assert read_order(content).variate.digest() == variate.digest()
    for stranger, reason in ((b"no state", "not a valid file"), (None, "does not hold a model's state")):
        content["variate"] = ORDER.content()["file"] if stranger is None else evidence(stranger)["file"]
        with pytest.raises(LearningError, match=reason):
            read_order(content)


def test_an_identity_arrives_as_it_was_sent():
    assert read_identity(Identity("north", b"\x01" * 65).content()) == Identity("north", b"\x01" * 65)


def test_evidence_arrives_to_the_byte():
    content = np.random.default_rng(1).bytes(6 * 2**20)  # more than one of Flower's chunks
    assert read_evidence(evidence(content)) == content


def test_the_identity_digest_depends_on_terms_run_and_node():
    digests = {
        identity_digest(terms, run, node) for terms in (b"\0" * 32, b"\1" * 32) for run in (1, 2) for node in (1, 2)
    }
    assert len(digests) == 8


@pytest.mark.parametrize("name", ["round", "data", "raw"])
@pytest.mark.parametrize("value", [-1, 2**53, "7", 1.0, True])
def test_an_order_whose_numbers_are_none_is_refused(name, value):
    content = ORDER.content()
    content["facts"][name] = value
    with pytest.raises(LearningError):
        read_order(content)


def test_an_order_without_a_shared_model_is_refused():
    content = ORDER.content()
    content["file"] = evidence(b"no model")["file"]
    with pytest.raises(LearningError, match="not a valid file of arrays"):
        read_order(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RecordDict(), "holds no file"),
        (RecordDict({"file": ConfigRecord({"file": 3})}), "holds no file"),
        (RecordDict({"file": ArrayRecord({"other": Array("uint8", (1,), "bytes", b"x")})}), "holds no file"),
        (RecordDict({"facts": ConfigRecord({"refusal": 7})}), "no refusal of type str"),
        (RecordDict({"facts": ArrayRecord()}), "no refusal of type str"),
        (refusal("my\x1b[2J disk is full" + "x" * 1000), r"my\\x1b\[2J disk is full"),
    ],
)
def test_whatever_holds_no_evidence_says_why(content, reason):
    with pytest.raises(LearningError, match=reason) as caught:
        read_evidence(content)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) <= 500


def test_evidence_has_a_limit(monkeypatch):
    monkeypatch.setattr("cocogen.evidence.bundle.MAXIMUM_BUNDLE_BYTES", 1000)
    assert read_evidence(evidence(bytes(1000))) == bytes(1000)
    with pytest.raises(LearningError, match="1,001 bytes, more than 1,000"):
        read_evidence(evidence(bytes(1001)))


def test_a_strangers_text_is_escaped_and_cut():
    assert readable("zürich\n\x07" + "a" * 1000) == r"zürich\n\x07" + "a" * 372 + "… (1,008 characters)"
