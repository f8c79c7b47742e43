"""A Flower grid in this process: every node is a ClientApp that is called directly, and may misbehave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from cocogen.evidence.member import Agreed, Member
from cocogen.flower.node import Node
from cocogen.flower.orders import AnsweredOrders
from cocogen.rounds.loop import RoundLoop
from tests.cocogen.flower.direct import client_app

RUN = 77


class LoopbackGrid:
    """Delivers messages at once; ``spoil`` says of a message type, node and reply what arrives instead."""

    def __init__(self) -> None:
        self.nodes: dict[int, ClientApp] = {}
        self.spoil: Callable[[str, int, Message], Message | Exception | None] = lambda kind, node, reply: reply
        self.sent: list[tuple[str, int]] = []
        self._numbers = itertools.count()
        self._waiting: dict[str, Message | Exception | None] = {}

    def get_node_ids(self) -> list[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> str:
        kind, node = message.metadata.message_type, message.metadata.dst_node_id
        self.sent.append((kind, node))
        context = Context(RUN, node, {}, RecordDict(), {})
        try:
            reply = self.nodes[node](message, context)
        except Exception as error:
            reply = Message(Error(2, str(error)), reply_to=message)
        identifier = str(next(self._numbers))
        self._waiting[identifier] = self.spoil(kind, node, reply)
        return identifier

    def pull_messages(self, identifiers: Iterable[str]) -> list[Message]:
        found = [self._waiting[identifier] for identifier in identifiers]
        for each in found:
            if isinstance(each, Exception):
                raise each
        return [each for each in found if isinstance(each, Message)]


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch):
    for name, value in (("_run_id", RUN), ("_node_id", 1), ("_task_id", 5)):
        monkeypatch.setattr(TaskIdentity, name, value)


@pytest.fixture(scope="session")
def quick_clinics(agree_on_clinics):
    return agree_on_clinics()


@pytest.fixture
def make_loop(quick_clinics, tmp_path_factory):
    """New loops of the same terms, each over its own ledger and workspace."""
    return lambda **how: quick_clinics.loop(tmp_path_factory.mktemp("workspace"), **how)


@pytest.fixture
def make_node():
    """The node of a loop's organization, as it is opened on a machine of its own: it knows nothing of the loop."""

    def make(loop: RoundLoop, name: str, **changes) -> Node:
        ledger, agreed = loop.ledger, Agreed.of(loop.resolved)
        facts = {
            "organization": name,
            "terms_hash": ledger.decoded.terms_hash,
            "rounds": 5,
            "maximum": 300,
            "orders": AnsweredOrders(loop.workspace.root / "flower-orders"),
            "sign": lambda digest: ledger.sign(name, digest),
            "member": lambda: Member(agreed, agreed.source(), agreed.names.index(name)),
        }
        return Node(**facts | changes)

    return make


@pytest.fixture
def make_grid(make_node):
    """A grid on which node 100 + n belongs to organization n of a loop."""

    def make(loop: RoundLoop, **changes) -> LoopbackGrid:
        grid = LoopbackGrid()
        for n, name in enumerate(loop.resolved.names):
            grid.nodes[100 + n] = client_app(make_node(loop, name, **changes))
        return grid

    return make
