"""An organization's node: the ClientApp that trains on the organization's own samples and signs what came of it.

The node believes nothing that the server says about the agreement: terms hash, organization and key are its own, and
so are the rounds, the layout of the models and the bound on what it generates. Flower starts a fresh process for every
message; between them a node keeps only which orders it has answered (:mod:`.orders`), all draws derive from the agreed
seed. Left out: where a member's key and agreement come from (``cli.flower.apps``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from cocogen.errors import CoCoGenError, LearningError
from cocogen.flower.messages import Identity, Order, bytes_of_bundle, evidence, identity_digest, read_order, refusal
from cocogen.flower.orders import AnsweredOrders

if TYPE_CHECKING:
    from cocogen.evidence.member import Member

__all__ = ["Node", "client_app"]

_LOG = logging.getLogger("flwr")


@dataclass(frozen=True, slots=True)
class Node:
    """What a node knows by itself.

    ``terms_hash``: 32 bytes, of the agreement that the organization accepted. ``rounds``: how many were agreed.
    ``maximum``: the most synthetic samples that it generates in a round. ``orders``: those that it has answered.
    ``sign``: its signature of a 32-byte digest. ``member``: the learning side of this organization alone, built when it
    is needed because it loads the samples.
    """

    organization: str
    terms_hash: bytes
    rounds: int
    maximum: int
    orders: AnsweredOrders
    sign: Callable[[bytes], bytes]
    member: Callable[[], Member]

    def train(self, order: Order) -> bytes:
        """The file of the signed evidence for ``order``.

        Raises
        ------
        LearningError
            The order is for other terms or goes beyond them, its models are of another layout, another order for
            the round was answered before, or training diverges.
        WorkspaceError
            It cannot be noted down that the order is answered.
        """
        if order.terms_hash != self.terms_hash:
            raise LearningError(
                f"{self.organization} agreed to the terms {self.terms_hash.hex()}, not to {order.terms_hash.hex()}",
                hint="give the node the resolved terms and the deployment record of this consortium",
            )
        if not 1 <= order.round <= self.rounds:
            raise LearningError(
                f"{self.organization} agreed to {self.rounds} rounds, and the order is for round {order.round}",
                hint=f"rounds count from 1 to {self.rounds}",
            )
        if order.assignment.raw > self.maximum:
            raise LearningError(
                f"{self.organization} generates at most {self.maximum} samples a round, not {order.assignment.raw}",
                hint="the plan must keep to the terms",
            )
        from cocogen.learning.training.scaffold import Variate

        member = self.member()
        agreed = member.models.initial
        for part, found, expected in (
            ("classifier", order.base.classifier, agreed.classifier),
            ("generator", order.base.generator, agreed.generator),
        ):
            if found.layout != expected.layout:
                raise LearningError(
                    f"the order's {part} does not have the parameters of the {part} that the terms name",
                    hint="server and nodes must have the same terms and the same version of cocogen",
                )
        self.orders.accept(self.organization, order)
        variate = Variate() if order.variate is None else Variate(order.variate)
        return bytes_of_bundle(
            member.train(order.round, order.base, order.assignment, self.terms_hash, self.sign, variate=variate)
        )


def client_app(open_node: Callable[[Mapping[str, Any]], Node]) -> ClientApp:
    """The ClientApp of whoever ``open_node`` finds in a node's configuration."""
    app = ClientApp()

    @app.query()
    def identify(message: Message, context: Context) -> Message:
        node = open_node(context.node_config)
        signature = node.sign(identity_digest(node.terms_hash, context.run_id, context.node_id))
        return Message(Identity(node.organization, signature).content(), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        try:
            content = evidence(open_node(context.node_config).train(read_order(message.content)))
        except CoCoGenError as error:
            content = refusal(str(error))
        except Exception as error:  # whatever else the order or this machine made training raise stays in our log
            _LOG.exception("this node cannot train")
            content = refusal(f"the node failed with {type(error).__name__}; its log says more")
        return Message(content, reply_to=message)

    return app
