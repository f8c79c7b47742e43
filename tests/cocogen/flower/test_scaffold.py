"""SCAFFOLD on nodes that keep nothing: each gets its own control variate with its work, and comes to the same round."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from cocogen.evidence.bundle import Bundle
from cocogen.flower import strategy as module
from cocogen.flower.messages import read_order
from cocogen.flower.strategy import SettledRounds
from cocogen.learning.models.states import SharedModel
from tests.cocogen.flower.direct import client_app

RUN = 77


def test_nodes_give_the_same_rounds_as_this_process(scaffolding_clinics, make_grid, make_node, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    here, there = (scaffolding_clinics.loop(tmp_path / place) for place in ("here", "there"))
    expected = [here.play(), here.play()]
    grid, orders = make_grid(there), []
    for n, name in enumerate(there.resolved.names):
        app = client_app(make_node(there, name))

        def node(message, context, app=app, n=n):
            if message.metadata.message_type == "train":
                orders.append((n, read_order(message.content)))
            return app(message, context)

        grid.nodes[100 + n] = node
    strategy = SettledRounds(there, RUN, deadline=0.2, patience=0.2)
    strategy.play(grid, 2)
    for mine, other in zip(strategy.reports, expected, strict=True):
        assert (mine.status, mine.rejected) == ("settled", {})
        assert mine.transfers == other.transfers
        assert mine.evaluation["accuracy"] == other.evaluation["accuracy"]
        assert mine.evaluation["loss"] == pytest.approx(other.evaluation["loss"], rel=1e-5)
    assert [order.variate for _, order in orders if order.round == 1] == [None] * 6
    known = there.variates(2)
    for n, order in orders:
        if order.round == 2:
            assert order.variate.digest() == known[n].state.digest()
            bundle = Bundle.load(there.workspace.bundle(2, there.resolved.names[n]))
            assert bundle.manifest.control_variate == order.variate.digest()
    models = [SharedModel.load(loop.workspace.model(2)) for loop in (here, there)]
    assert models[0].server.distance(models[1].server) < 1e-3
