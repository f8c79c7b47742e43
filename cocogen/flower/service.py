"""The node's long-lived process: it alone has the samples and the key, and answers what the relay hands over.

Flower starts a process for every message; that one is :mod:`.relay`. Here messages come over a socket of this user
alone (:mod:`.local_socket`). Left out: what a node answers (:mod:`.node`), and who starts all this (``cli``).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flwr.app import RecordDict

from cocogen.errors import ConfigurationError, LearningError
from cocogen.flower.local_socket import SocketError, is_own, listening, receive, send
from cocogen.flower.relay import content_of, packed

__all__ = ["Answer", "served"]

Answer = Callable[[str, int, int, RecordDict], RecordDict]
"""A node's answer to a message of this type, in this run, to the node of this number; LearningError: it gives none."""

_LOG = logging.getLogger("cocogen.node")
_QUESTION = 60.0
"""Seconds for a relay that has connected to say what it wants."""


@contextlib.contextmanager
def served(path: Path, organization: str, answer: Answer) -> Iterator[None]:
    """Answer what comes to the socket at ``path`` from now on, each message in a thread of its own, until the end.

    Raises
    ------
    ConfigurationError
        No socket can be made there, or its folder is open to others.
    """
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(listening(path))
        except SocketError as error:
            raise ConfigurationError(str(error), hint="name another folder with --state") from error
        ended = threading.Event()
        thread = threading.Thread(target=_accept, args=(server, organization, answer, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
            thread.join(5)


def _accept(server: socket.socket, organization: str, answer: Answer, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            connection, _ = server.accept()
        except OSError:
            if ended.is_set():
                return
            time.sleep(0.1)  # out of files, for example: the next may find one
            continue
        threading.Thread(target=_serve, args=(connection, organization, answer), daemon=True).start()


def _serve(connection: socket.socket, organization: str, answer: Answer) -> None:
    with connection:
        try:
            if not is_own(connection):
                raise SocketError("another user's process asked; it gets no answer")
            header, content = receive(connection, time.monotonic() + _QUESTION)
            head, reply = _answered(header, content, organization, answer)
            send(connection, head, reply)
        except SocketError as error:
            _LOG.warning("a message was not answered: %s", error)


def _answered(
    header: dict[str, object], content: bytes, organization: str, answer: Answer
) -> tuple[dict[str, str], bytes]:
    """What goes back: the answer, or why there is none."""
    try:
        kind, run, number = header.get("kind"), header.get("run"), header.get("node")
        if not (isinstance(kind, str) and isinstance(run, int) and isinstance(number, int)):
            raise ValueError(f"the header {header} lacks kind, run or node")
        if header.get("organization") != organization:
            raise LearningError(f"this is the node of {organization}, not of {header.get('organization')}")
        return {"status": "ok"}, packed(answer(kind, run, number, content_of(content)))
    except (LearningError, ValueError) as error:
        return {"status": "refused", "reason": str(error)}, b""
    except Exception as error:  # what else an answer runs into stays in our log
        _LOG.exception("the node failed")
        return {"status": "refused", "reason": f"the node failed with {type(error).__name__}; its log says more"}, b""
