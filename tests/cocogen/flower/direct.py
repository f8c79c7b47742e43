"""A node's ClientApp in this process: the relay, with nothing between it and the node."""

from __future__ import annotations

from functools import partial

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from cocogen.flower.node import Node
from cocogen.flower.relay import relay_app


def client_app(node: Node) -> ClientApp:
    """The ClientApp whose messages ``node`` answers."""
    return relay_app(partial(_directly, node))


def _directly(node: Node, message: Message, context: Context) -> RecordDict:
    return node.answer(message.metadata.message_type, context.run_id, context.node_id, message.content)
