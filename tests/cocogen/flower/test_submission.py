"""Each member hands in its own contribution: what was signed otherwise than measured it refuses, and is relayed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from flwr.app import RecordDict

from cocogen.errors import LearningError
from cocogen.files import canonical_json, evidence_hash
from cocogen.flower import strategy as module
from cocogen.flower import submission
from cocogen.flower.messages import (
    ATTESTED,
    RECORDED,
    Attestation,
    model,
    read_attestation,
    read_transaction,
)
from cocogen.flower.settling import Settling
from cocogen.flower.strategy import SettledRounds

RUN = 77


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr(module, "ANSWER", 0.05)
    monkeypatch.setattr(submission, "_PAUSE", 0.1)
    monkeypatch.setattr(submission, "_PART", 1e-5)  # of half a day


class OnlyOperator:
    """A ledger as the server has it: no member's key."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.relayed = []

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def submit(self, index, contribution, attestation, *, sender=None):
        assert sender == "operator", "the server has no member's key"
        self.relayed.append(index)
        return self._ledger.submit(index, contribution, attestation, sender=sender)

    def deposit(self, index, amount):
        raise AssertionError("the server has no member's key")


@pytest.fixture
def place(make_loop, make_node, make_grid, tmp_path):
    """A loop whose members deposited, its grid, and the part of each member that hands in."""
    loop = make_loop()
    loop.bond()
    members, ledger = loop.resolved.settlement_terms().members, loop.ledger
    settling = {
        member.name: Settling(
            n,
            member,
            ledger.decoded.terms_hash,
            tmp_path / member.name,
            lambda: contextlib.nullcontext(ledger),
        )
        for n, member in enumerate(members)
    }
    grid = make_grid(loop)
    from tests.cocogen.flower.direct import client_app

    for n, member in enumerate(members):
        grid.nodes[100 + n] = client_app(make_node(loop, member.name, settling=settling[member.name]))
    loop.ledger = OnlyOperator(ledger)
    return loop, grid, settling


def counts(report):
    return [(c.data, c.generated, c.compute) for c in report.contributions]


def play(loop, grid, rounds=1):
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2, members_submit=True)
    strategy.play(grid, rounds)
    return strategy.reports


def test_members_hand_in_and_get_the_model_without_one_of_their_keys_at_the_server(place, make_loop, tmp_path):
    loop, grid, _ = place
    found = play(loop, grid, 2)
    there = make_loop()
    there.bond()
    expected = [there.play(), there.play()]
    for mine, other in zip(found, expected, strict=True):
        assert (mine.status, mine.rejected) == ("settled", {})
        assert mine.transfers == other.transfers
        assert counts(mine) == counts(other)
    assert loop.ledger.relayed == []
    for name in loop.resolved.names:
        for number in (1, 2):
            kept = tmp_path / name / "models" / f"{number:04d}.npz"
            assert kept.read_bytes() == loop.workspace.model(number).read_bytes()


def test_who_does_not_hand_in_is_relayed_by_the_operator_from_half_of_the_window(place, tmp_path):
    loop, grid, _ = place
    refused = []
    grid.nodes[101] = silent(grid.nodes[101], refused)
    (report,) = play(loop, grid)
    assert report.status == "settled"
    assert loop.ledger.relayed == [1]
    assert report.contributions[1] is not None
    assert set(refused) == {ATTESTED}
    assert len(refused) > 1, "it is asked again"
    # what was recorded is paid and delivered, whoever handed it in; the node that saw no attestation cannot check it
    assert not (tmp_path / "harbor" / "models").exists()


def silent(app, seen):
    def node(message, context):
        if message.metadata.message_type == ATTESTED:
            seen.append(ATTESTED)
            raise RuntimeError("gone")
        return app(message, context)

    return node


def test_a_server_that_is_killed_between_attesting_and_handing_in_goes_on(place, monkeypatch):
    loop, grid, _ = place
    strategy = SettledRounds(loop, RUN, deadline=0.2, patience=0.2, members_submit=True)
    with monkeypatch.context() as patched:
        patched.setattr(SettledRounds, "_exchange", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            strategy.play(grid, 1)
    assert loop.workspace.attested(1).exists()
    (report,) = play(loop, grid)
    assert report.status == "settled"
    assert loop.ledger.relayed == []


def test_a_server_that_is_killed_after_recording_delivers_when_it_comes_back(place, monkeypatch, tmp_path):
    loop, grid, _ = place
    exchange = SettledRounds._exchange

    def killed(strategy, kind, *rest):
        if kind == RECORDED:
            raise KeyboardInterrupt
        return exchange(strategy, kind, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(SettledRounds, "_exchange", killed)
        with pytest.raises(KeyboardInterrupt):
            play(loop, grid)
    assert loop.ledger.state().phase == "recorded"
    (report,) = play(loop, grid)
    assert report.status == "settled"
    assert (tmp_path / "north" / "models" / "0001.npz").exists()


@pytest.fixture
def attested(place):
    """A round that is attested and open: the attestation of north, its evidence, and who would hand it in."""
    loop, _, settling = place
    loop.open()
    loop.train()
    found = loop.attest()
    contribution, signature = found.signed(0, "north", masks=False)
    document = canonical_json(found.documents[0])
    sent = loop.workspace.bundle(1, "north").read_bytes()
    return Attestation(1, contribution, signature, document), sent, settling["north"]


def changed(attestation, **parts):
    """With another measurement, signed as it says."""
    document = json.loads(attestation.document)
    document["measurement"] |= parts
    counts = {name: parts[name] for name in ("data", "generated", "compute") if name in parts}
    contribution = replace(attestation.contribution, **counts, evidence_hash=evidence_hash(document))
    return replace(attestation, contribution=contribution, document=canonical_json(document))


def test_a_node_hands_in_what_it_measured_and_once(attested):
    attestation, sent, settling = attested
    with settling.ledger() as ledger:
        assert not ledger.state().submitted[0]
        settling.submit(attestation, sent)
        assert ledger.state().submitted[0]
    assert settling.submit(attestation, sent) == "the ledger has it already"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"data": 1}, "the real samples that count is 1, not"),
        ({"raw": 3}, "the synthetic samples used is 3, not"),
        ({"compute": 1}, "the gradient steps that count is 1, not"),
        ({"generated": 10**6}, "1000000 effective synthetic samples of"),
        ({"bundle": "00" * 32}, "the bundle is '0000"),
        ({"organization": "harbor"}, "the organization is 'harbor', not 'north'"),
    ],
)
def test_a_node_refuses_by_name_what_it_did_not_measure(attested, parts, reason):
    attestation, sent, settling = attested
    with pytest.raises(LearningError, match=r"north does not hand in what was attested for round 1: .*" + reason):
        settling.submit(changed(attestation, **parts), sent)


def test_a_node_refuses_what_the_signature_does_not_cover(attested):
    attestation, sent, settling = attested
    other = replace(attestation, document=canonical_json(json.loads(attestation.document) | {"version": 3}))
    with pytest.raises(LearningError, match="not the one whose digest was signed"):
        settling.submit(other, sent)
    signed = attestation.contribution
    with pytest.raises(LearningError, match="in the document, not what was signed"):
        settling.submit(replace(attestation, contribution=replace(signed, generated=signed.generated + 1)), sent)
    with pytest.raises(LearningError, match="the document cannot be read"):
        settling.submit(replace(attestation, document=b"{"), sent)
    with pytest.raises(LearningError, match="the document is no evidence document"):
        settling.submit(replace(attestation, document=b"[1]"), sent)
    with pytest.raises(LearningError, match="the attester has not signed the contribution of north"):
        settling.submit(replace(attestation, signature=bytes(65)), sent)


def test_a_node_that_sent_nothing_hands_nothing_in(attested):
    attestation, _, settling = attested
    with pytest.raises(LearningError, match="north sent no evidence of round 1"):
        settling.submit(attestation, None)


def test_a_node_hands_in_only_for_the_round_that_is_open(attested):
    attestation, sent, settling = attested
    moved = replace(settling, ledger=lambda: contextlib.nullcontext(_Elsewhere()))
    with pytest.raises(LearningError, match="round 1 is not open on this ledger: round 2 is open"):
        moved.submit(attestation, sent)


class _Elsewhere:
    class State:
        round, phase = 2, "open"

    def state(self):
        return self.State


def test_a_node_keeps_no_model_but_the_attested_one(attested, place):
    attestation, sent, settling = attested
    loop, _, _ = place
    file = loop.workspace.model(1).read_bytes()
    with pytest.raises(LearningError, match="north handed nothing in for round 1"):
        settling.keep_model(1, file)
    settling.submit(attestation, sent)
    with pytest.raises(LearningError, match="not the one whose digest was attested"):
        settling.keep_model(1, loop.workspace.initial_model.read_bytes())
    assert settling.keep_model(1, file).read_bytes() == file


def test_a_node_without_a_ledger_says_what_it_lacks(place, make_node):
    loop, _, _ = place
    node = make_node(loop, "north")
    with pytest.raises(LearningError, match="the node of north hands nothing in: it has no ledger of its own"):
        read_transaction(node.answer(RECORDED, RUN, 1, model(1, b"x")))
    with pytest.raises(LearningError, match=r"a node answers no query\.else"):
        node.answer("query.else", RUN, 1, RecordDict())


def test_attestations_survive_the_way(attested):
    attestation, _, _ = attested
    assert read_attestation(attestation.content()) == attestation
