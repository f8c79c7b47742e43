"""What Flower starts has nothing of the organization: it hands messages on to the process that has."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict

from cocogen.errors import ConfigurationError, LearningError
from cocogen.flower.local_socket import ask
from cocogen.flower.relay import content_of, over_socket, packed, relay_app, socket_file
from cocogen.flower.service import served

FILE = bytes(range(256)) * 40


def content(**facts):
    file = ArrayRecord({"file": Array("uint8", (len(FILE),), "bytes", FILE)})
    return RecordDict({"facts": ConfigRecord(facts), "file": file})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("COCOGEN_NODE_SOCKET", str(tmp_path / "state" / "socket"))
    return tmp_path / "state" / "socket"


def relayed(kind="train", sent=None):
    message = Message(sent or content(round=3), dst_node_id=9, message_type=kind, ttl=5.0)
    return relay_app(over_socket)(message, Context(77, 9, {"organization": "north"}, RecordDict(), {})).content


def refused(reply):
    return str(reply["facts"]["refusal"])


def test_a_relay_loads_nothing_that_could_hold_samples_or_keys():
    code = (
        "import sys, cocogen.flower.relay; ours = sorted(m for m in sys.modules if m.split('.')[0] in "
        "('cocogen', 'chain', 'cli')); print(*ours); print(*{'torch', 'web3', 'eth_account'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "cocogen cocogen.flower cocogen.flower.local_socket cocogen.flower.relay",
        "",
    ]


def test_records_survive_the_way():
    sent = content(round=3, name="north", signature=b"\x00\xff")
    assert content_of(packed(sent)) == sent
    assert packed(content_of(packed(sent))) == packed(sent)


@pytest.mark.parametrize("garbage", [b"\xff" * 40, b"\x0a\x05ab"])
def test_bytes_that_are_no_records_are_refused(garbage):
    with pytest.raises(ValueError, match="no records"):
        content_of(garbage)


@pytest.mark.parametrize("kind", ["query", "train"])
def test_the_nodes_process_answers_what_flower_was_asked(place, kind):
    asked = []

    def answer(*question):
        asked.append(question)
        return content(answer=1)

    with served(place, "north", answer):
        assert relayed(kind) == content(answer=1)
    assert asked == [(kind, 77, 9, content(round=3))]


def test_without_the_nodes_process_an_order_is_refused_by_name_and_a_query_fails(place):
    assert refused(relayed()) == "the node of north is not running; its operator starts `cocogen node`"
    with pytest.raises(RuntimeError, match="the node of north is not running"):
        relayed("query")


def test_a_node_refuses_what_is_meant_for_another(place):
    with served(place, "harbor", lambda *_: content()):
        assert refused(relayed()) == "this is the node of harbor, not of north"


def test_what_a_node_does_not_answer_it_explains_and_its_own_defects_it_does_not(place, caplog):
    def answer(kind, *_):
        raise LearningError("no such question") if kind == "query" else RuntimeError("row 17 of the patients' file")

    with served(place, "north", answer):
        with pytest.raises(RuntimeError, match=r"^no such question$"):
            relayed("query")
        assert refused(relayed()) == "the node failed with RuntimeError; its log says more"
    assert "row 17" in caplog.text


def test_a_node_that_takes_too_long_is_not_waited_for(place):
    message = Message(content(), dst_node_id=9, message_type="train", ttl=0.5)
    with served(place, "north", lambda *_: time.sleep(2) or content()):
        reply = relay_app(over_socket)(message, Context(77, 9, {"organization": "north"}, RecordDict(), {}))
    assert refused(reply.content) == "the node of north gave no answer: no answer came in time"


@pytest.mark.parametrize("header", [{}, {"kind": "train", "run": "77", "node": 9}, {"kind": 1, "run": 1, "node": 1}])
def test_a_question_without_its_parts_is_refused(place, header):
    with served(place, "north", lambda *_: pytest.fail("it answered")):
        head, _ = ask(place, header, packed(content()), 5)
    assert head["status"] == "refused"
    assert "lacks kind, run or node" in head["reason"]


def test_a_node_goes_on_after_whoever_asks_nothing(place):
    with served(place, "north", lambda *_: content(answer=1)):
        head, _ = ask(place, {"kind": "query", "run": 1, "node": 1, "organization": "north"}, b"\xff" * 9, 5)
        assert "no records" in head["reason"]
        assert relayed() == content(answer=1)


def test_a_folder_open_to_others_is_an_error_of_the_command(place):
    place.parent.mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="open to other users"), served(place, "north", lambda *_: content()):
        pass


def test_a_relay_finds_the_process_by_the_environment(monkeypatch):
    monkeypatch.delenv("COCOGEN_NODE_SOCKET", raising=False)
    monkeypatch.setenv("COCOGEN_WORKSPACE", "/srv/consortium")
    assert str(socket_file("north")) == "/srv/consortium/nodes/north/socket"
    monkeypatch.delenv("COCOGEN_WORKSPACE")
    assert "neither COCOGEN_NODE_SOCKET nor COCOGEN_WORKSPACE" in refused(relayed())
