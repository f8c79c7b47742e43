"""What Flower starts for every message: it hands the message to the node's long-lived process, and the answer back.

It imports neither torch nor web3, data nor keys, and holds nothing but the message: only the process of `cocogen node`
has the organization's samples and key (:mod:`.service`). Where that process listens is said by the environment:
COCOGEN_NODE_SOCKET, or COCOGEN_WORKSPACE, below which each organization has its place. Left out: what is done with the
message.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as Wire

from cocogen.flower.local_socket import SocketError, ask

__all__ = ["Forward", "content_of", "over_socket", "packed", "relay_app", "socket_file"]

Forward = Callable[[Message, Context], RecordDict]
"""What a node answers to a message; whatever it raises is the reason why it answers nothing."""

_LOG = logging.getLogger("flwr")
_LONGEST = 86_400.0
"""Seconds for an answer, where the message says nothing."""


def relay_app(forward: Forward) -> ClientApp:
    """The ClientApp that answers every message with what ``forward`` gives."""
    app = ClientApp()

    def answered(message: Message, context: Context) -> Message:
        return Message(forward(message, context), reply_to=message)

    for action in ("default", "challenged", "attested", "recorded"):
        app.query(action)(answered)
    app.train()(answered)
    return app


def over_socket(message: Message, context: Context) -> RecordDict:
    """The answer of the node's long-lived process.

    A question whose the node is, and that nobody answers, raises; everything else gets a refusal, which names the
    organization.
    """
    name = str(context.node_config.get("organization", "this organization"))
    kind = message.metadata.message_type
    header = {"kind": kind, "run": context.run_id, "node": context.node_id, "organization": name}
    left = message.metadata.created_at + message.metadata.ttl - time.time() if message.metadata.ttl else _LONGEST
    try:
        head, content = ask(socket_file(name), header, packed(message.content), max(left, 1.0))
        if head.get("status") == "ok":
            return content_of(content)
        reason = str(head.get("reason", "it gave no reason"))
    except (FileNotFoundError, ConnectionRefusedError):
        reason = f"the node of {name} is not running; its operator starts `cocogen node`"
    except (SocketError, ValueError) as error:
        reason = f"the node of {name} gave no answer: {error}"
    _LOG.error(reason)
    if kind == "query":
        raise RuntimeError(reason)
    return RecordDict({"facts": ConfigRecord({"refusal": reason})})


def socket_file(organization: str) -> Path:
    """Where the node of an organization listens, as this process was told; ValueError where it was not."""
    if named := os.environ.get("COCOGEN_NODE_SOCKET"):
        return Path(named)
    if workspace := os.environ.get("COCOGEN_WORKSPACE"):
        return Path(workspace) / "nodes" / organization / "socket"
    raise ValueError("neither COCOGEN_NODE_SOCKET nor COCOGEN_WORKSPACE says where it listens")


def packed(content: RecordDict) -> bytes:
    """The bytes of a message's content; :func:`content_of` reads them."""
    packed: bytes = recorddict_to_proto(content).SerializeToString(deterministic=True)
    return packed


def content_of(content: bytes) -> RecordDict:
    """What :func:`packed` wrote; ValueError when it is something else."""
    try:
        return recorddict_from_proto(Wire.FromString(content))
    except Exception as error:  # protobuf's own, and whatever a record makes of its parts
        raise ValueError(f"no records: {error}") from error
