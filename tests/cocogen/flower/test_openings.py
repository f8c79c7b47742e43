"""Rows that the terms say are opened are drawn and opened over Flower, and only those."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.app import Message

from chain.twin.ledger import MemoryProvider
from cocogen.flower.messages import CHALLENGED, read_document
from cocogen.flower.node import Node
from cocogen.flower.orders import AnsweredOrders
from cocogen.flower.strategy import SettledRounds
from cocogen.operations.session import Session, open_consortium
from cocogen.rounds.report import RoundReport
from tests.cocogen.flower.conftest import RUN, LoopbackGrid
from tests.cocogen.flower.direct import client_app
from tests.cocogen.flower.test_captured import Capture
from tests.own_sites import NAMES

Spoil = Callable[[str, int, Message], Message | None]
OPENED = 2


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openings")
    Capture(folder, openings=OPENED, maximum=0, rounds=1).register()
    return folder


@pytest.fixture
def play(registered: Path, tmp_path: Path) -> Callable[..., tuple[RoundReport, LoopbackGrid, Capture]]:
    def played(spoil: Spoil = lambda kind, node, reply: reply) -> tuple[RoundReport, LoopbackGrid, Capture]:
        folder = Path(shutil.copytree(registered, tmp_path / "sites"))
        consortium, provider = Capture(folder, openings=OPENED, maximum=0, rounds=1), MemoryProvider(7)
        workspace = consortium.deploy(provider)
        with open_consortium(workspace, provider, sites=[consortium.site("attester")]) as session:
            grid = LoopbackGrid()
            grid.spoil = spoil
            for n, name in enumerate(NAMES):
                grid.nodes[100 + n] = client_app(node_of(consortium, session, name))
            session.loop.bond()
            strategy = SettledRounds(session.loop, RUN, deadline=5.0, patience=0.2)
            strategy.play(grid, 1)  # type: ignore[arg-type]  # a grid in this process
        return strategy.reports[0], grid, consortium

    return played


def node_of(consortium: Capture, session: Session, name: str) -> Node:
    member = consortium.member(name)
    return Node(
        organization=name,
        terms_hash=session.ledger.decoded.terms_hash,
        rounds=1,
        maximum=0,
        orders=AnsweredOrders(consortium.folder / name / "orders"),
        sign=lambda digest: session.ledger.sign(name, digest),
        member=lambda: member,
    )


def test_every_member_opens_the_agreed_number_of_rows_and_the_round_settles(
    play: Callable[..., tuple[RoundReport, LoopbackGrid, Capture]],
) -> None:
    shown: dict[int, bytes] = {}

    def seen(kind: str, node: int, reply: Message) -> Message:
        if kind == CHALLENGED:
            shown[node] = read_document(reply.content)
        return reply

    report, _, consortium = play(seen)
    assert report.status == "settled"
    assert report.rejected == {}
    assert set(shown) == {100, 101, 102}
    for node, content in shown.items():
        name = NAMES[node - 100]
        salts = {pattern for kind, pattern in consortium.secrets(name) if kind == "salt"}
        assert sum(salt in content for salt in salts) == OPENED
        assert all(kind in ("salt",) for kind, pattern in consortium.secrets(name) if pattern in content)


def test_who_opens_nothing_is_left_out_by_name_and_the_others_settle(
    play: Callable[..., tuple[RoundReport, LoopbackGrid, Capture]],
) -> None:
    report, *_ = play(lambda kind, node, reply: None if (kind, node) == (CHALLENGED, 101) else reply)
    assert report.status == "settled"
    assert set(report.rejected) == {"harbor"}
