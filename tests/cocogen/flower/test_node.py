"""A node trains only under its own agreement, and hands out what the organization itself would have written."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from dataclasses import replace

import numpy as np
from flwr.app import Context, Message, MessageType, RecordDict

from cocogen.errors import LearningError, WorkspaceError
from cocogen.evidence.member import Assignment
from cocogen.flower import strategy as module
from cocogen.flower.messages import Order, identity_digest, read_evidence, read_identity
from cocogen.flower.node import Node
from cocogen.flower.orders import AnsweredOrders
from cocogen.flower.strategy import SettledRounds
from cocogen.learning.models.states import ModelState
from tests.cocogen.flower.direct import client_app
from tests.cocogen.reachable import arrays_of, rows_of

RUN = 77


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


def test_a_node_sends_the_very_bundle_that_the_organization_writes_alone(opened, make_node):
    sent = make_node(opened, "meadow").train(order(opened, 4))
    (path,) = opened.train([4])
    assert sent == path.read_bytes()


def test_a_node_does_not_train_under_other_terms(opened, make_node):
    node = make_node(opened, "north", member=lambda: pytest.fail("it trained"))
    with pytest.raises(LearningError, match="agreed to the terms"):
        node.train(order(opened, 0, terms_hash=bytes(32)))


def test_a_node_does_not_generate_beyond_its_terms(opened, make_node):
    node = make_node(opened, "north", maximum=50, member=lambda: pytest.fail("it trained"))
    with pytest.raises(LearningError, match="at most 50 samples a round, not 51"):
        node.train(order(opened, 0, assignment=Assignment(data=1, raw=51)))


@pytest.mark.parametrize("number", [0, 6, 2**40])
def test_a_node_trains_only_in_the_rounds_that_were_agreed(opened, make_node, number):
    node = make_node(opened, "north", member=lambda: pytest.fail("it trained"))
    with pytest.raises(LearningError, match=f"agreed to 5 rounds, and the order is for round {number}"):
        node.train(order(opened, 0, round=number))


@pytest.mark.parametrize("part", ["classifier", "generator"])
@pytest.mark.parametrize("change", ["shape", "name", "missing"])
def test_a_node_does_not_train_models_of_another_layout(opened, make_node, part, change):
    base = opened.pending().bases[0]
    arrays = dict(getattr(base, part))
    name = next(iter(arrays))
    array = arrays.pop(name)
    if change == "shape":
        arrays[name] = np.zeros((*array.shape, 2), dtype=np.float32)
    elif change == "name":
        arrays["other"] = array
    node = make_node(opened, "north")
    with pytest.raises(LearningError, match=f"the order's {part} does not have the parameters"):
        node.train(order(opened, 0, base=replace(base, **{part: ModelState(arrays)})))
    assert not node.orders.folder.exists()


def test_a_node_answers_one_order_a_round_and_that_one_again(opened, make_node):
    first = order(opened, 0)
    sent = make_node(opened, "north").train(first)
    assert make_node(opened, "north").train(first) == sent
    stopped = make_node(opened, "north", member=lambda: pytest.fail("it trained"))
    moved = ModelState({name: array + np.float32(1e-3) for name, array in first.base.classifier.items()})
    for changes in (
        {"base": replace(first.base, classifier=moved)},
        {"assignment": Assignment(first.assignment.data - 1, first.assignment.raw)},
        {"assignment": Assignment(first.assignment.data, first.assignment.raw + 1)},
        {"variate": moved},
    ):
        with pytest.raises(LearningError, match="north has answered another order for round 1"):
            make_node(opened, "north").train(replace(first, **changes))
    with pytest.raises(LearningError, match="answered another"):
        stopped.orders.accept("north", replace(first, terms_hash=bytes(32)))


def test_an_order_that_failed_counts_as_answered(opened, make_node):
    with pytest.raises(LearningError, match="cannot use 10000 real"):
        make_node(opened, "north").train(order(opened, 0, assignment=Assignment(data=10_000, raw=0)))
    with pytest.raises(LearningError, match="has answered another order"):
        make_node(opened, "north").train(order(opened, 0))


def test_organizations_and_rounds_have_orders_of_their_own(opened, make_node):
    orders = make_node(opened, "north").orders
    orders.accept("north", order(opened, 0))
    orders.accept("harbor", order(opened, 1))
    orders.accept("north", order(opened, 0, round=2))
    with pytest.raises(LearningError, match="answered another order for round 2"):
        orders.accept("north", order(opened, 0, round=2, assignment=Assignment(data=1, raw=0)))


def test_a_node_that_cannot_note_an_order_does_not_train(opened, make_node, tmp_path):
    (tmp_path / "file").touch()
    node = make_node(opened, "north", orders=AnsweredOrders(tmp_path / "file"))
    with pytest.raises(WorkspaceError, match="cannot be used"):
        node.train(order(opened, 0))


def ask(node, kind, content):
    message = Message(content, dst_node_id=9, message_type=kind)
    return client_app(node)(message, Context(77, 9, {}, RecordDict(), {}))


def test_a_node_proves_whose_it_is(opened, make_node):
    answer = read_identity(ask(make_node(opened, "north"), MessageType.QUERY, RecordDict()).content)
    digest = identity_digest(opened.ledger.decoded.terms_hash, 77, 9)
    assert answer.organization == "north"
    assert opened.ledger.verify(opened.resolved.organization[0].address, digest, answer.signature)


def test_what_a_node_refuses_it_explains(opened, make_node):
    asked = order(opened, 0, assignment=Assignment(data=10_000, raw=0)).content()
    reply = ask(make_node(opened, "north"), MessageType.TRAIN, asked)
    with pytest.raises(LearningError, match="north cannot use 10000 real"):
        read_evidence(reply.content)


def test_an_error_that_nobody_expected_is_a_refusal_without_its_message(opened, make_node, caplog):
    def fail():
        raise RuntimeError("row 17 of the patients' file")

    with caplog.at_level("ERROR", logger="flwr"):
        reply = ask(make_node(opened, "north", member=fail), MessageType.TRAIN, order(opened, 0).content())
    with pytest.raises(LearningError, match="the node failed with RuntimeError; its log says more") as caught:
        read_evidence(reply.content)
    assert "row 17" not in caught.value.message


def test_a_node_holds_the_samples_of_its_own_member_and_no_others(make_loop, make_grid, quick_clinics, monkeypatch):
    """Counted when a round was trained: everything behind the node and its member, but the parameters of the models."""
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    loop, everybody = make_loop(), quick_clinics.task
    width = everybody.attester.holdout.features.shape[1]
    own = [rows_of([member.own.features], width) for member in everybody.members]
    reserved = rows_of([everybody.attester.holdout.features, everybody.attester.test.features], width)
    held: dict[str, set[bytes]] = {}
    train = Node.train

    def counted(node, asked):
        opened = []
        watched = replace(node, member=lambda: opened.append(node.member()) or opened[0])
        sent = train(watched, asked)
        here = arrays_of(node, opened[0], client_app(node))
        held[node.organization] = rows_of(here, width) - rows_of(arrays_of(opened[0].models), width)
        return sent

    monkeypatch.setattr(Node, "train", counted)
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2)
    strategy.play(make_grid(loop), 1)
    assert strategy.reports[0].status == "settled"
    assert sorted(held) == sorted(loop.resolved.names)
    for n, name in enumerate(loop.resolved.names):
        assert len(held[name]) == loop.resolved.organization[n].local
        assert held[name] == own[n]
    together = set().union(*own) | reserved
    assert len(together) == sum(map(len, own)) + len(reserved), "no two share a sample"
    assert rows_of(arrays_of(everybody), width) >= together, "whoever holds all samples is seen to"


def test_whoever_attests_for_nodes_holds_no_members_samples(make_loop, make_grid, quick_clinics, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    loop, everybody = make_loop(alone=True), quick_clinics.task
    SettledRounds(loop, RUN, deadline=0.2, patience=0.2).play(make_grid(loop), 1)
    width = everybody.attester.holdout.features.shape[1]
    held = rows_of(arrays_of(loop), width)
    assert held >= rows_of([everybody.attester.holdout.features], width)
    assert not held & rows_of([member.own.features for member in everybody.members], width)
