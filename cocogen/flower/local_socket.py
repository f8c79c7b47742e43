"""One question and one answer over a Unix socket, between the process that Flower starts and the node's own.

Flower starts a Python process for every message, so this module needs the standard library alone. A message is a
header, a small JSON object, and a content of bytes; both lengths are said before them and limited. The socket is the
user's alone: mode 0600 in a folder of mode 0700, and on Linux the kernel says whose process is at the other end. Left
out: what the messages mean (:mod:`.relay`, :mod:`.service`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["MAXIMUM_CONTENT", "SocketError", "ask", "is_own", "listening", "receive", "send"]

MAXIMUM_CONTENT = 288 * 2**20
"""Bytes: two files of the largest size, and what is around them."""
_MAXIMUM_HEADER = 65_536
_FRAME = struct.Struct(">8sIQ")
_MAGIC = b"CoCoGen\x01"
_CREDENTIALS = struct.Struct("3i")
_LONGEST = 100
"""Bytes of a path that every system takes as the address of a socket."""
_CONNECT = 10.0
"""Seconds to connect, and between two parts of a message."""


class SocketError(Exception):
    """Nobody answers there, or not in this form: the text says which."""


def send(connection: socket.socket, header: Mapping[str, Any], content: bytes) -> None:
    """Send one message; SocketError where it is too long or nobody takes it."""
    head = json.dumps(header).encode()
    if len(head) > _MAXIMUM_HEADER or len(content) > MAXIMUM_CONTENT:
        raise SocketError(
            f"a message of {len(head):,} and {len(content):,} bytes, more than {_MAXIMUM_HEADER:,} and "
            f"{MAXIMUM_CONTENT:,}"
        )
    try:
        connection.sendall(_FRAME.pack(_MAGIC, len(head), len(content)) + head)
        if content:  # the other end may have all that it needs, and be gone
            connection.sendall(content)
    except OSError as error:
        raise SocketError(f"the message was not taken: {error.strerror or error}") from error


def receive(connection: socket.socket, until: float) -> tuple[dict[str, Any], bytes]:
    """One message, which begins before ``until`` (of :func:`time.monotonic`) and does not pause for long in between.

    Raises
    ------
    SocketError
        It does not come, breaks off, is longer than it may be, or has no header.
    """
    magic, head_length, content_length = _FRAME.unpack(_exactly(connection, _FRAME.size, until))
    if magic != _MAGIC:
        raise SocketError("the other end speaks another protocol")
    if head_length > _MAXIMUM_HEADER or content_length > MAXIMUM_CONTENT:
        raise SocketError(f"the other end announces {head_length:,} and {content_length:,} bytes")
    head, content = _exactly(connection, head_length), _exactly(connection, content_length)
    try:
        header = json.loads(head)
    except ValueError as error:
        raise SocketError("the header is no JSON") from error
    if not isinstance(header, dict):
        raise SocketError("the header is no JSON object")
    return header, content


def ask(path: Path, header: Mapping[str, Any], content: bytes, timeout: float) -> tuple[dict[str, Any], bytes]:
    """What the process that listens at ``path`` answers within ``timeout`` seconds.

    Raises
    ------
    FileNotFoundError, ConnectionRefusedError
        No process listens there.
    SocketError
        The process ends meanwhile, is not ours, does not answer in time, or not in this form.
    """
    until = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _address(path) as address:
        connection.settimeout(min(timeout, _CONNECT))
        try:
            connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except OSError as error:
            raise SocketError(f"{path} cannot be reached: {error.strerror or error}") from error
        if not is_own(connection):
            raise SocketError(f"the process behind {path} is another user's")
        send(connection, header, content)
        return receive(connection, until)


def is_own(connection: socket.socket) -> bool:
    """Whether the process at the other end is of this user; elsewhere than on Linux the file's mode has to do."""
    if sys.platform != "linux":
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user == os.getuid()


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket at ``path`` that this user alone can open, until the end; what an ended process left is replaced.

    The folder is made with mode 0700. Whoever calls this holds the folder: two processes must not.

    Raises
    ------
    SocketError
        The folder is another user's or open to others, or no socket can be made there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.parent.stat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise SocketError(
                f"{path.parent} is open to other users (mode {found.st_mode & 0o777:o}); make it 700 and your own"
            )
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, _address(path) as address:
            server.bind(address)
            path.chmod(0o600)
            server.listen()
            try:
                yield server
            finally:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise SocketError(f"no socket can be made at {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """``path`` as the system takes it: an address has few bytes, and Linux knows folders by a number too."""
    if len(os.fsencode(path)) <= _LONGEST or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _exactly(connection: socket.socket, length: int, until: float | None = None) -> bytes:
    """``length`` bytes, of which the first comes before ``until``."""
    content = bytearray(length)
    view, done = memoryview(content), 0
    while done < length:
        wait = _CONNECT if until is None or done else until - time.monotonic()
        if wait <= 0:
            raise SocketError("no answer came in time")
        connection.settimeout(wait)
        try:
            count = connection.recv_into(view[done:])
        except TimeoutError as error:
            raise SocketError("no answer came in time") from error
        except OSError as error:
            raise SocketError(f"the connection broke: {error.strerror or error}") from error
        if not count:
            raise SocketError("the other end is gone")
        done += count
    return bytes(content)
