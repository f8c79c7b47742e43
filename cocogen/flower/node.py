"""An organization's node: it trains on the organization's own samples and signs what came of it.

The node believes nothing that the server says about the agreement: terms hash, organization and key are its own, and
so are the rounds, the layout of the models and the bound on what it generates. It lives in a process of its own
(:mod:`.service`), whatever Flower starts; that may be killed at any time: on disk are the orders that it has answered
and the evidence (:mod:`.orders`), all draws derive from the agreed seed. Left out: where a member's key and agreement
come from (``cli.flower.apps``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flwr.app import MessageType, RecordDict

from cocogen.errors import CoCoGenError, LearningError, SiteError
from cocogen.files import parse_json
from cocogen.flower.messages import (
    ATTESTED,
    CHALLENGED,
    RECORDED,
    Identity,
    Order,
    bytes_of_bundle,
    evidence,
    identity_digest,
    opened,
    read_attestation,
    read_document,
    read_model,
    read_order,
    refusal,
    transaction,
)
from cocogen.flower.orders import AnsweredOrders
from cocogen.flower.settling import Settling

if TYPE_CHECKING:
    from cocogen.evidence.member import Member

__all__ = ["Node"]

_LOG = logging.getLogger("cocogen.node")


@dataclass(frozen=True, slots=True)
class Node:
    """What a node knows by itself.

    ``terms_hash``: 32 bytes, of the agreement that the organization accepted. ``rounds``: how many were agreed.
    ``maximum``: the most synthetic samples that it generates in a round. ``orders``: those that it has answered.
    ``sign``: its signature of a 32-byte digest. ``member``: the learning side of this organization alone, built when it
    is needed because it loads the samples. ``settling``: how it hands in its own contribution, where it does.
    """

    organization: str
    terms_hash: bytes
    rounds: int
    maximum: int
    orders: AnsweredOrders
    sign: Callable[[bytes], bytes]
    member: Callable[[], Member]
    settling: Settling | None = None
    _one: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def answer(self, kind: str, run: int, number: int, content: RecordDict) -> RecordDict:
        """What it answers to a message of type ``kind``, as node ``number`` of Flower's ``run``.

        Raises
        ------
        LearningError
            There is no such question. What goes wrong with an order is an answer, a refusal.
        CoCoGenError
            Its key is not in reach.
        """
        if kind == MessageType.QUERY:
            return Identity(self.organization, self.sign(identity_digest(self.terms_hash, run, number))).content()
        does = {
            MessageType.TRAIN: self._trained,
            CHALLENGED: self._opened,
            ATTESTED: self._submitted,
            RECORDED: self._kept,
        }.get(kind)
        if does is None:
            raise LearningError(f"a node answers no {kind}")
        try:
            with self._one:
                return does(content)
        except SiteError as error:
            # What is wrong with its data is for the site's own eyes: names, counts and values stay in its log.
            _LOG.warning("refused: %s", error)
            return refusal("its data are not there as they were registered; its own log says what differs")
        except CoCoGenError as error:
            _LOG.warning("refused: %s", error)
            return refusal(str(error))
        except Exception as error:  # whatever else the message or this machine made us raise stays in our log
            _LOG.exception("this node failed")
            return refusal(f"the node failed with {type(error).__name__}; its log says more")

    def _trained(self, content: RecordDict) -> RecordDict:
        order = read_order(content)
        _LOG.info("round %d: training on %d samples", order.round, order.assignment.data)
        sent = self.train(order)
        _LOG.info("round %d: evidence of %s bytes is signed", order.round, f"{len(sent):,}")
        return evidence(sent)

    def _opened(self, content: RecordDict) -> RecordDict:
        from cocogen.evidence.challenge import Challenge

        challenge = Challenge.from_plain(parse_json(read_document(content)))
        manifest = self.orders.bundle(self.organization, challenge.round).manifest
        answer = self.member().answer(challenge, manifest)
        _LOG.info("round %d: the rows that were drawn are opened to the attester", challenge.round)
        return opened(answer.to_plain())

    def _submitted(self, content: RecordDict) -> RecordDict:
        attested = read_attestation(content)
        sent = self._settles().submit(attested, self.orders.evidence(self.organization, attested.round))
        _LOG.info("round %d: the contribution is handed in, transaction %s", attested.round, sent)
        return transaction(sent)

    def _kept(self, content: RecordDict) -> RecordDict:
        number, file = read_model(content)
        path = self._settles().keep_model(number, file)
        _LOG.info("round %d: recorded; its model is %s", number, path)
        return RecordDict()

    def _settles(self) -> Settling:
        if self.settling is None:
            raise LearningError(
                f"the node of {self.organization} hands nothing in: it has no ledger of its own",
                hint="start it with --ledger",
            )
        return self.settling

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
        if (kept := self.orders.evidence(self.organization, order.round)) is not None:
            return kept
        variate = Variate() if order.variate is None else Variate(order.variate)
        sent = bytes_of_bundle(
            member.train(
                order.round,
                order.base,
                order.assignment,
                self.terms_hash,
                self.sign,
                variate=variate,
                challenge=order.commitment,
            )
        )
        self.orders.keep(self.organization, order.round, sent)
        return sent
