"""A node trains only under its own agreement, and hands out what the organization itself would have written."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from flwr.app import Context, Message, MessageType, RecordDict

from cocogen.errors import LearningError, WorkspaceError
from cocogen.learning.flower.messages import Order, identity_digest, read_evidence, read_identity
from cocogen.learning.flower.node import client_app
from cocogen.learning.task import Assignment


@pytest.fixture
def opened(make_loop):
    loop = make_loop()
    loop.open()
    return loop


def order(loop, n, **changes):
    work = loop.pending()
    facts = {
        "round": work.round,
        "terms_hash": loop.ledger.decoded.terms_hash,
        "assignment": work.assignments[n],
        "base": work.bases[n],
    }
    return Order(**facts | changes)


def test_a_node_sends_the_very_bundle_that_the_organization_writes_alone(opened, make_member):
    sent = make_member(opened, "meadow").train(order(opened, 4))
    (path,) = opened.train([4])
    assert sent == path.read_bytes()


def test_a_node_does_not_train_under_other_terms(opened, make_member):
    member = make_member(opened, "north", task=lambda: pytest.fail("it trained"))
    with pytest.raises(LearningError, match="agreed to the terms"):
        member.train(order(opened, 0, terms_hash=bytes(32)))


def test_a_node_does_not_generate_beyond_its_terms(opened, make_member):
    member = make_member(opened, "north", maximum=50, task=lambda: pytest.fail("it trained"))
    with pytest.raises(LearningError, match="at most 50 samples a round, not 51"):
        member.train(order(opened, 0, assignment=Assignment(data=1, raw=51)))


def ask(member, kind, content):
    app = client_app(lambda configuration: member(configuration) if callable(member) else member)
    message = Message(content, dst_node_id=9, message_type=kind)
    return app(message, Context(77, 9, {"organization": "north"}, RecordDict(), {}))


def test_a_node_proves_whose_it_is(opened, make_member):
    answer = read_identity(ask(make_member(opened, "north"), MessageType.QUERY, RecordDict()).content)
    digest = identity_digest(opened.ledger.decoded.terms_hash, 77, 9)
    assert answer.organization == "north"
    assert opened.ledger.verify(opened.resolved.organization[0].address, digest, answer.signature)


def test_what_a_node_refuses_it_explains(opened, make_member):
    asked = order(opened, 0, assignment=Assignment(data=10_000, raw=0)).content()
    reply = ask(make_member(opened, "north"), MessageType.TRAIN, asked)
    with pytest.raises(LearningError, match="north cannot use 10000 real"):
        read_evidence(reply.content)


def test_a_node_that_cannot_open_its_agreement_says_so(opened):
    def fail(configuration):
        assert configuration == {"organization": "north"}
        raise WorkspaceError("resolved.json cannot be read")

    reply = ask(fail, MessageType.TRAIN, order(opened, 0).content())
    with pytest.raises(LearningError, match=r"resolved\.json cannot be read"):
        read_evidence(reply.content)
