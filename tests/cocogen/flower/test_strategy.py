"""Rounds whose organizations train on nodes: the same results as here, and what a node does is its own affair."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

import httpx
from flwr.app import ConfigRecord, Error, Message, RecordDict

from cocogen.errors import LearningError
from cocogen.flower import strategy as module
from cocogen.flower.messages import Identity, evidence, read_order
from cocogen.flower.strategy import SettledRounds, collect
from cocogen.learning.models.states import SharedModel
from tests.cocogen.flower.direct import client_app

RUN = 77


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr(module, "ANSWER", 0.05)


def play(loop, grid, rounds=1, **options):
    strategy = SettledRounds(loop, RUN, **{"deadline": 0.2, "patience": 0.2, **options})
    strategy.play(grid, rounds)
    return strategy.reports


def answer_of(node, kind, content):
    return Message(content, reply_to=Message(RecordDict(), dst_node_id=node, message_type=kind))


def replace_train(node, content):
    """Spoils the answer of one node to a train message."""

    def spoil(kind, sender, reply):
        if kind != "train" or sender != node:
            return reply
        if not isinstance(content, RecordDict):
            return content
        return answer_of(sender, kind, content)

    return spoil


def test_nodes_give_the_same_rounds_as_this_process(make_loop, make_grid):
    here, there = make_loop(), make_loop()
    expected = [here.play(), here.play()]
    found = play(there, make_grid(there), 2)
    for mine, other in zip(found, expected, strict=True):
        assert mine.status == "settled"
        assert mine.rejected == {}
        assert mine.transfers == other.transfers
        assert mine.evaluation["accuracy"] == other.evaluation["accuracy"]
        for c, d in zip(mine.contributions, other.contributions, strict=True):
            assert (c.data, c.generated, c.compute) == (d.data, d.generated, d.compute)


def test_each_node_gets_only_its_own_work_and_is_asked_once_whose_it_is(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    play(loop, grid, 2)
    assert sorted(grid.sent) == sorted(
        [("query", 100 + n) for n in range(6)] + [("train", 100 + n) for n in range(6)] * 2
    )


GARBAGE = {
    "silence": (None, "sent nothing within"),
    "undecodable": (ValueError("not what it was"), "sent nothing within"),
    "not a bundle": (evidence(b"\x00" * 500), "not a valid file of arrays"),
    "a refusal": (RecordDict({"facts": ConfigRecord({"refusal": "out of\x1b[31m memory"})}), r"out of\x1b[31m memory"),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_the_round_settles_without_a_node_that_sends_garbage(make_loop, make_grid, kind):
    content, reason = GARBAGE[kind]
    loop = make_loop()
    grid = make_grid(loop)
    grid.spoil = replace_train(102, content)
    (report,) = play(loop, grid)
    assert report.status == "settled"
    assert list(report.rejected) == ["riverside"]
    assert reason in report.rejected["riverside"]
    assert report.rejected["riverside"].isprintable()
    assert [c is None for c in report.contributions] == [False, False, True, False, False, False]
    assert report.transfers[2] == loop.ledger.predict(report.contributions, [2])[2] < 0
    assert sum(report.transfers) == 0


def test_an_error_of_a_node_is_named(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)

    def fail(_message, _context):
        raise MemoryError("too small a machine")

    whole = grid.nodes[104]
    grid.nodes[104] = lambda message, context: (whole if message.metadata.message_type == "query" else fail)(
        message, context
    )
    (report,) = play(loop, grid)
    assert "its node failed: too small a machine" in report.rejected["meadow"]
    assert report.status == "settled"


def test_a_file_beyond_the_limit_is_not_even_stored(make_loop, make_grid, monkeypatch):
    monkeypatch.setattr("cocogen.evidence.bundle.MAXIMUM_BUNDLE_BYTES", 10**6)
    loop = make_loop()
    grid = make_grid(loop)
    grid.spoil = replace_train(100, evidence(b"\x00" * (10**6 + 1)))
    (report,) = play(loop, grid)
    assert "1,000,001 bytes, more than 1,000,000" in report.rejected["north"]
    assert not loop.workspace.bundle(1, "north").exists()


def test_the_evidence_of_another_organization_does_not_count(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    stolen = {}

    def spoil(kind, node, reply):
        if kind == "train" and node == 100:
            stolen["north"] = reply.content
        if kind == "train" and node == 101:
            return replace_train(101, stolen["north"])(kind, node, reply)
        return reply

    grid.spoil = spoil
    (report,) = play(loop, grid)
    assert report.rejected == {"harbor": "its file holds evidence in the name of north"}
    assert report.contributions[0] is not None


def test_a_node_that_is_gone_is_left_out_and_comes_back_under_another_number(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2)
    app = grid.nodes.pop(105)
    strategy.play(grid, 1)
    assert strategy.reports[0].rejected == {"lakeview": "no node of it is connected"}
    assert strategy.reports[0].status == "settled"
    grid.nodes[205] = app
    strategy.play(grid, 1)
    assert strategy.reports[1].rejected == {}
    assert strategy.reports[1].contributions[5] is not None


def test_a_node_that_is_gone_comes_back_under_the_same_number(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2)
    strategy.play(grid, 1)
    app = grid.nodes.pop(105)
    strategy.play(grid, 1)
    loop.bond()
    grid.nodes[105] = app
    strategy.play(grid, 1)
    assert [report.rejected for report in strategy.reports] == [{}, {"lakeview": "no node of it is connected"}, {}]
    assert grid.sent.count(("query", 105)) == 2


def test_a_node_that_is_mute_in_training_is_asked_again_whose_it_is(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    grid.spoil = replace_train(102, None)
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2)
    strategy.play(grid, 1)
    # A second process of the organization, while Flower still believes that the first one is there.
    grid.nodes[202] = grid.nodes[102]
    grid.spoil = lambda kind, node, reply: None if node == 102 else reply
    strategy.play(grid, 1)
    assert [list(report.rejected) for report in strategy.reports] == [["riverside"], []]


def test_nobody_waits_for_a_mute_stranger_once_all_are_known(make_loop, make_grid, monkeypatch):
    monkeypatch.setattr(module, "ANSWER", 60.0)
    loop = make_loop()
    grid = make_grid(loop)
    grid.nodes[50] = grid.nodes[100]
    grid.spoil = lambda kind, node, reply: None if node == 50 else reply
    start = time.monotonic()
    reports = play(loop, grid, 2, deadline=60.0, patience=60.0)
    assert time.monotonic() - start < 30
    assert [report.rejected for report in reports] == [{}, {}]
    assert grid.sent.count(("query", 50)) == 1


def test_a_mute_stranger_costs_no_more_than_the_time_to_answer_when_somebody_is_missing(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    del grid.nodes[103]
    grid.nodes[50] = grid.nodes[100]
    grid.spoil = lambda kind, node, reply: None if node == 50 else reply
    start = time.monotonic()
    (report,) = play(loop, grid, deadline=60.0, patience=0.0)
    assert time.monotonic() - start < 30
    assert report.rejected == {"hillside": "no node of it is connected"}


def test_an_answer_that_is_late_counts_when_it_comes(make_loop, make_grid, monkeypatch):
    monkeypatch.setattr(module, "ANSWER", 60.0)
    loop = make_loop()
    grid = make_grid(loop)
    pulls = 0
    pull = grid.pull_messages

    def slow(identifiers):
        nonlocal pulls
        pulls += 1
        return [] if pulls < 30 else pull(identifiers)

    grid.pull_messages = slow
    (report,) = play(loop, grid, patience=0.0)
    assert report.rejected == {}
    assert [kind for kind, _ in grid.sent].count("query") == 6


def test_a_node_without_the_signature_of_its_organization_gets_no_work(make_loop, make_grid, make_node):
    loop = make_loop()
    grid = make_grid(loop)
    del grid.nodes[103]
    forged = make_node(loop, "hillside", sign=lambda digest: loop.ledger.sign("north", digest))
    grid.nodes[300] = client_app(forged)
    grid.nodes[301] = client_app(make_node(loop, "nobody", sign=lambda digest: b""))
    (report,) = play(loop, grid)
    assert report.rejected == {"hillside": "no node of it is connected"}
    assert {node for kind, node in grid.sent if kind == "train"} == {100, 101, 102, 104, 105}


def test_a_signature_for_another_node_or_run_proves_nothing(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    overheard = {}

    def spoil(kind, node, reply):
        if kind == "query" and node == 100:
            overheard["content"] = reply.content
        return reply

    grid.spoil = spoil

    def replay(message, context):
        content = overheard["content"] if message.metadata.message_type == "query" else evidence(b"")
        return Message(content, reply_to=message)

    grid.nodes[999] = replay
    (report,) = play(loop, grid)
    assert report.rejected == {}
    assert ("train", 999) not in grid.sent


@pytest.mark.parametrize(
    "answer",
    [
        RecordDict(),
        RecordDict({"facts": ConfigRecord({"organization": 4, "signature": b""})}),
        RecordDict({"facts": ConfigRecord({"organization": "n" * 10_000, "signature": b""})}),
        Identity("north", b"\x00" * 10_000).content(),
    ],
)
def test_a_node_that_answers_nonsense_about_itself_is_ignored(make_loop, make_grid, answer):
    loop = make_loop()
    grid = make_grid(loop)
    grid.nodes[400] = lambda message, context: Message(answer, reply_to=message)
    (report,) = play(loop, grid)
    assert report.rejected == {}
    assert ("train", 400) not in grid.sent


def test_without_any_node_the_run_stops_and_the_round_stays_open(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    nodes, grid.nodes = grid.nodes, {}
    with pytest.raises(LearningError, match="no organization's node is connected"):
        play(loop, grid)
    assert loop.ledger.state().phase == "open"
    grid.nodes = nodes
    (report,) = play(loop, grid)
    assert (report.round, report.status, report.rejected) == (1, "settled", {})


def test_a_round_that_was_interrupted_asks_only_for_what_is_missing(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    loop.open()
    loop.train([0, 1])
    (report,) = play(loop, grid)
    assert report.rejected == {}
    assert sorted(node for kind, node in grid.sent if kind == "train") == [102, 103, 104, 105]


def test_a_round_beyond_its_deadline_is_recorded_without_training(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    loop.open()
    loop.ledger.wait_until(loop.ledger.state().deadline + 5)
    (report,) = play(loop, grid)
    assert report.status == "voided"
    assert grid.sent == []


def orders(grid):
    """Every order that nodes are sent, as (node, round, digest of the model)."""
    found = []
    for node, app in list(grid.nodes.items()):

        def watched(message, context, node=node, app=app):
            if message.metadata.message_type == "train":
                order = read_order(message.content)
                found.append((node, order.round, order.base.digest()))
            return app(message, context)

        grid.nodes[node] = watched
    return found


def test_a_node_that_was_silent_is_never_sent_the_model_of_that_round(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    sent = orders(grid)
    grid.spoil = lambda kind, node, reply: None if (kind, node) == ("train", 102) and sent[-1][1] == 1 else reply
    reports = play(loop, grid, 3, before_round=loop.bond)
    assert [report.contributions[2] is None for report in reports] == [True, False, False]
    first, second = (SharedModel.load(loop.workspace.model(number)).digest() for number in (1, 2))
    silent = [(number, model) for node, number, model in sent if node == 102]
    assert silent == [(1, loop.resolved.model_digest), (2, loop.resolved.model_digest), (3, second)]
    assert {model for node, number, model in sent if node != 102 and number == 2} == {first}


def test_the_model_of_a_void_round_stays_with_the_server(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    sent = orders(grid)
    grid.spoil = lambda kind, node, reply: None if kind == "train" and node > 101 and sent[-1][1] == 1 else reply
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2)
    result = strategy.play(grid, 1)
    assert strategy.reports[0].status == "voided"
    assert loop.workspace.model(1).exists()
    assert result.arrays is None or len(result.arrays) == 0
    strategy.play(grid, 1)
    assert {model for _, _, model in sent} == {loop.resolved.model_digest}
    assert strategy.reports[1].status == "settled"


def test_bonds_are_seen_to_before_a_round_opens(make_loop, make_grid):
    loop = make_loop()
    phases = []
    play(loop, make_grid(loop), 2, before_round=lambda: phases.append(loop.ledger.state().phase))
    assert phases == ["idle", "idle"]


def test_the_loss_of_the_server_itself_is_no_missing_reply(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)
    grid.spoil = lambda kind, node, reply: httpx.ConnectError("refused")
    message = Message(RecordDict(), dst_node_id=100, message_type="query")
    with pytest.raises(httpx.ConnectError):
        collect(grid, [message], 1.0)


def test_an_error_reply_to_the_question_whose_it_is_leaves_the_node_out(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)

    def spoil(kind, node, reply):
        if kind == "query" and node == 101:
            return answer_of(101, kind, Error(2, "no such\nfile"))
        return reply

    grid.spoil = spoil
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.0)
    strategy.play(grid, 1)
    assert strategy.reports[0].rejected == {"harbor": "no node of it is connected"}
    grid.spoil = lambda kind, node, reply: reply
    strategy.play(grid, 1)
    assert strategy.reports[1].rejected == {}


def test_an_answer_in_the_name_of_another_node_counts_as_none(make_loop, make_grid):
    loop = make_loop()
    grid = make_grid(loop)

    def spoil(kind, node, reply):
        return answer_of(100, kind, evidence(b"garbage")) if kind == "train" and node == 101 else reply

    grid.spoil = spoil
    (report,) = play(loop, grid)
    assert list(report.rejected) == ["harbor"]
    assert report.contributions[0] is not None
