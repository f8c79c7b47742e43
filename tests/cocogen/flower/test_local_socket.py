"""A message over the socket arrives whole or is refused, and nobody but the user can ask."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest

from cocogen.flower import local_socket
from cocogen.flower.local_socket import SocketError, ask, listening, receive, send


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state" / "socket"


def answering(server, answer):
    """Answers one connection in a thread with what ``answer`` does to it."""

    def run():
        with contextlib.suppress(SocketError, OSError):  # whoever asks tells what came of it
            connection, _ = server.accept()
            with connection:
                answer(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def echo(connection):
    send(connection, *receive(connection, time.monotonic() + 5))


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_what_is_asked_and_answered_arrives_whole(place, size):
    content = os.urandom(size)
    with listening(place) as server:
        answering(server, echo)
        assert ask(place, {"kind": "train", "run": 2**63}, content, 5) == ({"kind": "train", "run": 2**63}, content)


def test_the_socket_is_the_users_alone_and_goes_with_its_process(place):
    with listening(place):
        assert place.stat().st_mode & 0o777 == 0o600
        assert place.parent.stat().st_mode & 0o777 == 0o700
    assert not place.exists()


def test_a_folder_that_others_can_open_is_refused(place):
    place.parent.mkdir(mode=0o755)
    with pytest.raises(SocketError, match=r"open to other users \(mode 755\)"), listening(place):
        pass


def test_what_a_killed_process_left_is_replaced(place):
    place.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    with pytest.raises(ConnectionRefusedError):
        ask(place, {}, b"", 1)
    with listening(place) as server:
        answering(server, echo)
        assert ask(place, {"n": 1}, b"x", 5) == ({"n": 1}, b"x")


def test_where_no_process_ever_was_nobody_answers(place):
    with pytest.raises(FileNotFoundError):
        ask(place, {}, b"", 1)


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: needs Linux's folders by number")
def test_a_long_path_is_no_obstacle(tmp_path):
    place = tmp_path / ("long" * 30) / "state" / "socket"
    with listening(place) as server:
        answering(server, echo)
        assert ask(place, {}, b"x", 5) == ({}, b"x")


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: needs Linux's credentials")
def test_another_users_process_is_not_asked(place, monkeypatch):
    with listening(place) as server:
        answering(server, echo)
        monkeypatch.setattr(local_socket.os, "getuid", lambda: 4711)
        with pytest.raises(SocketError, match="is another user's"):
            ask(place, {}, b"", 5)


def raw(content: bytes):
    def answer(connection):
        receive(connection, time.monotonic() + 5)
        if content:
            connection.sendall(content)

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raw(b""), "the other end is gone"),
        (raw(b"CoCoGen\x01" + bytes(3)), "the other end is gone"),
        (raw(struct.pack(">8sIQ", b"HTTP/1.1", 2, 0) + b"{}"), "speaks another protocol"),
        (raw(struct.pack(">8sIQ", b"CoCoGen\x01", 2**31, 0)), "announces 2,147,483,648 and 0 bytes"),
        (raw(struct.pack(">8sIQ", b"CoCoGen\x01", 2, 2**40)), "announces 2 and 1,099,511,627,776 bytes"),
        (raw(struct.pack(">8sIQ", b"CoCoGen\x01", 2, 0) + b"[]"), "no JSON object"),
        (raw(struct.pack(">8sIQ", b"CoCoGen\x01", 2, 0) + b"{]"), "no JSON"),
        (lambda connection: time.sleep(0.6), "no answer came in time"),
    ],
)
def test_an_answer_that_is_none_is_said_to_be(place, answer, reason):
    with listening(place) as server:
        thread = answering(server, answer)
        with pytest.raises(SocketError, match=reason):
            ask(place, {}, b"", 0.3)
        thread.join(5)


def test_nobody_sends_more_than_may_be_received(place, monkeypatch):
    monkeypatch.setattr(local_socket, "MAXIMUM_CONTENT", 10)
    with listening(place) as server:
        answering(server, echo)
        with pytest.raises(SocketError, match="of 2 and 11 bytes, more than 65,536 and 10"):
            ask(place, {}, bytes(11), 5)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SocketError, match="no socket can be made at"), listening(Path(tmp_path / "file" / "socket")):
        pass
