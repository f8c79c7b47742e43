"""The round of a consortium as a Flower strategy: plan, train on the nodes, attest, submit, record, settle.

A round goes on with whoever sent evidence by the deadline; the others are named, and the ledger's quorum decides
whether that is enough. Left out: the steps themselves (:mod:`cocogen.rounds`) and what a node does (:mod:`.node`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import httpx
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from cocogen.errors import LearningError
from cocogen.learning.flower.messages import Order, identity_digest, printable, read_evidence, read_identity
from cocogen.rounds import RoundLoop, RoundReport, Work

if TYPE_CHECKING:
    from cocogen.learning.states import SharedModel

__all__ = ["SettledRounds", "collect"]

_LOG = logging.getLogger("flwr")
_PAUSE = 1.0
"""Seconds between two looks at what has arrived."""


class SettledRounds(Strategy):
    """Every round: 1. open it, 2. plan, 3. send each organization's node its assignment and model, 4. collect signed
    evidence until the deadline, 5. attest, aggregate and measure, 6. submit, record and settle on the ledger.

    Parameters
    ----------
    loop
        The rounds; it holds the ledger.
    run
        Flower's number of the run.
    deadline
        Seconds that the nodes have for a round.
    patience
        Seconds to wait for the nodes of all organizations before the first round.
    before_round
        Called before a round is opened (bonds).
    """

    def __init__(
        self,
        loop: RoundLoop,
        run: int,
        *,
        deadline: float,
        patience: float,
        before_round: Callable[[], object] = lambda: None,
    ) -> None:
        self.loop = loop
        self.reports: list[RoundReport] = []
        self._run = run
        self._deadline = deadline
        self._patience = patience
        self._before_round = before_round
        self._nodes: dict[str, int] = {}
        self._answered: set[int] = set()
        self._work: Work | None = None
        self._senders: dict[int, int] = {}

    def summary(self) -> None:
        """Log what this strategy does."""
        _LOG.info("rounds of %s, settled on the ledger", self.loop.resolved.consortium.name)

    def play(self, grid: Grid, rounds: int) -> Result:
        """Play ``rounds`` more rounds; an unfinished one counts as the first of them."""
        base = _arrays(self.loop.base_models(self.loop.ledger.state().round + 1)[0])
        return self.start(cast("Grid", _Bounded(grid)), base, num_rounds=rounds, timeout=self._deadline)

    def configure_train(
        self,
        server_round: int,
        arrays: ArrayRecord,  # noqa: ARG002  # each organization starts from the model that it holds
        config: ConfigRecord,  # noqa: ARG002  # the terms say how to train
        grid: Grid,
    ) -> list[Message]:
        """Steps 1 to 3: one message for each organization that takes part and whose node is there."""
        self._work, self._senders = None, {}
        if self.loop.ledger.state().phase == "idle":
            self._before_round()
        if not self.loop.begin():
            return []
        self._work = self.loop.pending()
        names, terms_hash = self.loop.resolved.names, self.loop.ledger.decoded.terms_hash
        wanted = [n for n, assignment in enumerate(self._work.assignments) if assignment is not None]
        self._find([names[n] for n in wanted], grid, self._patience if server_round == 1 else 0.0)
        messages = []
        for n in wanted:
            assignment = self._work.assignments[n]
            if assignment is not None and (node := self._nodes.get(names[n])) is not None:
                variate = self._work.variates[n].state if self._work.variates else None
                order = Order(self._work.round, terms_hash, assignment, self._work.bases[n], variate or None)
                messages.append(self._message(order.content(), node, MessageType.TRAIN))
                self._senders[node] = n
        if wanted and not messages:
            raise LearningError(
                f"round {self._work.round}: no organization's node is connected",
                hint="see the nodes' logs; the same command goes on with this round",
            )
        return messages

    def aggregate_train(
        self,
        server_round: int,  # noqa: ARG002  # the ledger says which round it is
        replies: Iterable[Message],
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Steps 5 and 6: the aggregated classifier, and its accuracy and loss as the attester measured them."""
        if self._work is not None:
            self._keep(self._work, list(replies))
        report = self.loop.finish()
        self.reports.append(report)
        _LOG.info("round %d is %s; left out: %s", report.round, report.status, report.rejected or "nobody")
        if not report.evaluation:
            return None, None
        from cocogen.learning.states import SharedModel

        aggregated = SharedModel.load(self.loop.workspace.model(report.round))
        metrics = {name: float(report.evaluation[name]) for name in ("accuracy", "loss")}
        return _arrays(aggregated), MetricRecord({**metrics})

    def configure_evaluate(
        self,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        grid: Grid,
    ) -> list[Message]:
        """Nobody is asked: the attester evaluates."""
        del server_round, arrays, config, grid
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> None:
        """Nothing to aggregate."""

    def _message(self, content: RecordDict, node: int, kind: str) -> Message:
        return Message(content, dst_node_id=node, message_type=kind, ttl=self._deadline)

    def _find(self, wanted: Sequence[str], grid: Grid, patience: float) -> None:
        """Ask nodes that have not answered yet whose they are, until all ``wanted`` are there or time is up."""
        until = time.monotonic() + patience
        while True:
            online = set(grid.get_node_ids())
            self._nodes = {name: node for name, node in self._nodes.items() if node in online}
            asked = sorted(online - self._answered)
            messages = [self._message(RecordDict(), node, MessageType.QUERY) for node in asked]
            for reply in grid.send_and_receive(messages, timeout=self._deadline) if messages else ():
                self._identify(reply)
            if all(name in self._nodes for name in wanted) or time.monotonic() >= until:
                return
            time.sleep(_PAUSE)

    def _identify(self, reply: Message) -> None:
        node = reply.metadata.src_node_id
        self._answered.add(node)
        if reply.has_error():
            _LOG.warning("node %d does not say whose it is: %s", node, printable(reply.error.reason or ""))
            return
        resolved, ledger = self.loop.resolved, self.loop.ledger
        try:
            claim = read_identity(reply.content)
        except LearningError as error:
            _LOG.warning("node %d does not say whose it is: %s", node, error)
            return
        digest = identity_digest(ledger.decoded.terms_hash, self._run, node)
        for organization in resolved.organization:
            if organization.name == claim.organization and ledger.verify(organization.address, digest, claim.signature):
                _LOG.info("node %d is that of %s", node, organization.name)
                self._nodes[organization.name] = node
                return
        _LOG.warning("node %d claims to be %r without its signature", node, printable(claim.organization))

    def _keep(self, work: Work, replies: Sequence[Message]) -> None:
        names = self.loop.resolved.names
        bundles: dict[int, bytes] = {}
        absent: dict[int, str] = {}
        for n, assignment in enumerate(work.assignments):
            if assignment is not None:
                connected = n in self._senders.values()
                absent[n] = (
                    f"its node sent nothing within {self._deadline:g} s" if connected else "no node of it is connected"
                )
        for reply in replies:
            if (n := self._senders.get(reply.metadata.src_node_id, -1)) < 0:
                continue
            try:
                if reply.has_error():
                    raise LearningError(f"its node failed: {printable(reply.error.reason or '')}")
                bundles[n] = read_evidence(reply.content)
                absent.pop(n, None)
            except LearningError as error:
                absent[n] = error.message
        for n, reason in absent.items():
            _LOG.warning("round %d: no evidence of %s: %s", work.round, names[n], reason)
        self.loop.keep(work.round, bundles, absent)


def collect(grid: Grid, messages: Iterable[Message], timeout: float) -> list[Message]:
    """Send ``messages`` and return the replies of whoever answers within ``timeout`` seconds.

    Flower's own ``send_and_receive`` decodes all replies together: what one node sends could end the run for all.
    Here each is decoded by itself, and one that cannot be decoded, or comes from another node than was asked, counts
    as none.
    """
    asked = list(messages)
    identifiers = list(grid.push_messages(asked))
    waiting = {
        identifier: message.metadata.dst_node_id
        for identifier, message in zip(identifiers, asked, strict=True)
        if identifier
    }
    until = time.monotonic() + timeout
    replies: list[Message] = []
    while waiting and time.monotonic() < until:
        for identifier, node in sorted(waiting.items()):
            try:
                arrived = list(grid.pull_messages([identifier]))
            except httpx.HTTPError:
                raise  # that is the SuperLink, not a node
            except Exception as error:  # whatever a stranger's bytes make Flower's decoder raise
                _LOG.warning("the reply of node %d cannot be decoded: %s", node, printable(repr(error)))
                del waiting[identifier]
                continue
            if arrived:
                replies += [reply for reply in arrived if reply.has_error() or reply.metadata.src_node_id == node]
                del waiting[identifier]
        if waiting:
            time.sleep(_PAUSE)
    return replies


class _Bounded:
    """Flower's grid, with :func:`collect` in the place of its own way to wait for replies."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_node_ids(self) -> Iterable[int]:
        return self._grid.get_node_ids()

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float) -> list[Message]:
        return collect(self._grid, messages, timeout)


def _arrays(shared: SharedModel) -> ArrayRecord:
    return ArrayRecord({name: Array(values) for name, values in shared.classifier.items()})
