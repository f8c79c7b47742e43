"""The round of a consortium as a Flower strategy: plan, train on the nodes, attest, submit, record, settle.

A round goes on with whoever sent evidence by the deadline; the others are named, and the ledger's quorum decides
whether that is enough. Left out: the steps themselves (:mod:`cocogen.rounds.loop`) and what a node does (:mod:`.node`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import httpx
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from cocogen.errors import LearningError
from cocogen.flower.messages import (
    CHALLENGED,
    Order,
    challenge,
    identity_digest,
    read_document,
    read_evidence,
    read_identity,
    readable,
)
from cocogen.flower.submission import finish
from cocogen.flower.timing import ANSWER
from cocogen.rounds.loop import RoundLoop, Work
from cocogen.rounds.report import RoundReport
from cocogen.terms.metrics import metric_field

if TYPE_CHECKING:
    from cocogen.learning.models.states import SharedModel

__all__ = ["SettledRounds", "collect"]

_LOG = logging.getLogger("flwr.cocogen")
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
    members_submit
        Each node hands in its own contribution; otherwise this process does, with everybody's keys.
    """

    def __init__(
        self,
        loop: RoundLoop,
        run: int,
        *,
        deadline: float,
        patience: float,
        before_round: Callable[[], object] = lambda: None,
        members_submit: bool = False,
    ) -> None:
        self.loop = loop
        self.reports: list[RoundReport] = []
        self._run = run
        self._deadline = deadline
        self._patience = patience
        self._before_round = before_round
        self._members_submit = members_submit
        self._grid: Grid | None = None
        self._nodes: dict[str, int] = {}
        self._answered: set[int] = set()
        self._questions: dict[str, int] = {}
        self._work: Work | None = None
        self._senders: dict[int, int] = {}
        self._here: set[int] = set()

    def summary(self) -> None:
        """Log what this strategy does."""
        _LOG.info("rounds of %s, settled on the ledger", self.loop.resolved.consortium.name)

    def play(self, grid: Grid, rounds: int) -> Result:
        """Play ``rounds`` more rounds; an unfinished one counts as the first of them."""
        base = _arrays(self.loop.history.base_models(self.loop.ledger.state().round + 1)[0])
        return self.start(cast("Grid", _Bounded(grid, self._tell_of)), base, num_rounds=rounds, timeout=self._deadline)

    def configure_train(
        self,
        server_round: int,
        arrays: ArrayRecord,  # noqa: ARG002  # each organization starts from the model that it holds
        config: ConfigRecord,  # noqa: ARG002  # the terms say how to train
        grid: Grid,
    ) -> list[Message]:
        """Steps 1 to 3: one message for each organization that takes part and whose node is there."""
        self._work, self._senders, self._here, self._grid = None, {}, set(), grid
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
                order = Order(
                    self._work.round,
                    terms_hash,
                    assignment,
                    self._work.bases[n],
                    variate or None,
                    self._work.commitment,
                )
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
        """Steps 5 and 6: the aggregated classifier, and its metric and loss as the attester measured them.

        Flower keeps it on the server; nodes are sent what they hold, with their next order. None for a void round.
        """
        if self._work is not None:
            self._keep(self._work, list(replies))
            self._open_rows(self._work.round)
        report = finish(self.loop, self._exchange) if self._members_submit else self.loop.finish()
        self.reports.append(report)
        _LOG.info("round %d is %s; left out: %s", report.round, report.status, report.rejected or "nobody")
        if not report.evaluation:
            return None, None
        from cocogen.learning.models.states import SharedModel

        aggregated = SharedModel.load(self.loop.workspace.model(report.round))
        metrics = {
            name: float(report.evaluation[name]) for name in (metric_field(self.loop.resolved.learning.metric), "loss")
        }
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

    def _open_rows(self, number: int) -> None:
        """Have the members open the rows that are drawn of their evidence, where the terms say so."""
        if (drawn := self.loop.challenge()) is None or (challenges := self.loop.challenges) is None:
            return
        names, answers = self.loop.resolved.names, dict[int, bytes]()
        asked = {n: challenge(drawn.to_plain()) for n in self._senders.values()}
        for n, answer in self._exchange(CHALLENGED, asked, self._deadline).items():
            try:
                if isinstance(answer, str):
                    raise LearningError(answer)
                answers[n] = read_document(answer)
            except LearningError as error:
                _LOG.warning("round %d: %s opens no row: %s", number, names[n], error.message)
        challenges.keep(number, answers)

    def _exchange(self, kind: str, contents: Mapping[int, RecordDict], seconds: float) -> dict[int, RecordDict | str]:
        """What the nodes of organizations answer, as :data:`cocogen.flower.submission.Exchange` says it."""
        names, begin, seconds = self.loop.resolved.names, time.monotonic(), min(seconds, self._deadline)
        if self._grid is None:
            return dict.fromkeys(contents, "nobody is connected")
        self._find([names[n] for n in contents], self._grid, min(ANSWER, seconds / 4))
        nodes = {self._nodes[names[n]]: n for n in contents if names[n] in self._nodes}
        messages = [self._message(contents[n], node, kind, ttl=seconds) for node, n in nodes.items()]
        answers: dict[int, RecordDict | str] = dict.fromkeys(contents, "no node of it is connected")
        answers |= dict.fromkeys(nodes.values(), "its node did not answer")
        for reply in collect(self._grid, messages, seconds - (time.monotonic() - begin)):
            n = nodes[reply.metadata.src_node_id]
            answers[n] = (
                f"its node failed: {readable(reply.error.reason or '')}" if reply.has_error() else reply.content
            )
        return answers

    def _message(self, content: RecordDict, node: int, kind: str, ttl: float | None = None) -> Message:
        return Message(content, dst_node_id=node, message_type=kind, ttl=ttl or self._deadline)

    def _tell_of(self, reply: Message) -> None:
        """Say who has delivered, and who has not yet."""
        names, node = self.loop.resolved.names, reply.metadata.src_node_id
        if (n := self._senders.get(node)) is not None and self._work is not None:
            self._here.add(n)
            left = [names[other] for other in self._senders.values() if other not in self._here]
            waits = f"; waiting for {', '.join(left)}" if left else ""
            _LOG.info("round %d: %s has answered%s", self._work.round, names[n], waits)

    def _find(self, wanted: Sequence[str], grid: Grid, patience: float) -> None:
        """Ask nodes whose they are, until all ``wanted`` are there or time is up.

        Time is ``patience``, and ANSWER for the answers to the first questions if that is longer. A node that has not
        proved whose it is is asked again after ANSWER, and in the next round that somebody is missing; an answer that
        comes meanwhile counts. Nobody is asked, and no answer waited for, once all are there.
        """
        start, asked, first = time.monotonic(), dict[int, float](), True
        while True:
            online = set(grid.get_node_ids())
            self._nodes = {name: node for name, node in self._nodes.items() if node in online}
            self._answered &= online
            self._questions = {question: node for question, node in self._questions.items() if node in online}
            for reply in _arrived(grid, self._questions):
                self._identify(reply)
            now = time.monotonic()
            over = now >= start + patience and (not self._questions or now >= start + ANSWER)
            if all(name in self._nodes for name in wanted) or (over and not first):
                return
            if first:  # what was asked in an earlier round and is open still is asked anew
                self._questions, first = {}, False
            due = [node for node in sorted(online - self._answered) if now >= asked.get(node, -math.inf) + ANSWER]
            messages = [self._message(RecordDict(), node, MessageType.QUERY) for node in due]
            self._questions |= _sent(grid, messages)
            asked |= dict.fromkeys(due, now)
            time.sleep(_PAUSE)

    def _identify(self, reply: Message) -> None:
        node = reply.metadata.src_node_id
        if reply.has_error():
            _LOG.warning("node %d does not say whose it is: %s", node, readable(reply.error.reason or ""))
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
                self._answered.add(node)
                return
        _LOG.warning("node %d claims without a signature to be %s", node, readable(claim.organization))

    def _keep(self, work: Work, replies: Sequence[Message]) -> None:
        names = self.loop.resolved.names
        bundles: dict[int, bytes] = {}
        absent: dict[int, str] = {}
        for n, assignment in enumerate(work.assignments):
            if assignment is not None:
                connected = n in self._senders.values()
                lost = f"its node was lost, or sent nothing within {self._deadline:g} s"
                absent[n] = lost if connected else "no node of it is connected"
        silent = set(self._senders) - {reply.metadata.src_node_id for reply in replies if not reply.has_error()}
        self._answered -= silent  # another node may be there in its place: ask again
        self._nodes = {name: node for name, node in self._nodes.items() if node not in silent}
        for reply in replies:
            if (n := self._senders.get(reply.metadata.src_node_id, -1)) < 0:
                continue
            try:
                if reply.has_error():
                    raise LearningError(f"its node failed: {readable(reply.error.reason or '')}")
                bundles[n] = read_evidence(reply.content)
                absent.pop(n, None)
            except LearningError as error:
                absent[n] = error.message
        for n, reason in absent.items():
            _LOG.warning("round %d: no evidence of %s: %s", work.round, names[n], reason)
        self.loop.keep(work.round, bundles, absent)


def collect(
    grid: Grid, messages: Iterable[Message], timeout: float, arrived: Callable[[Message], object] | None = None
) -> list[Message]:
    """Send ``messages`` and return the replies of whoever answers within ``timeout`` seconds; ``arrived`` is told each.

    Flower's own ``send_and_receive`` decodes all replies together: what one node sends could end the run for all.
    Here each is decoded by itself, and one that cannot be decoded, or comes from another node than was asked, counts
    as none.
    """
    waiting = _sent(grid, messages)
    until = time.monotonic() + timeout
    replies: list[Message] = []
    while waiting and time.monotonic() < until:
        for reply in _arrived(grid, waiting):
            if arrived is not None:
                arrived(reply)
            replies.append(reply)
        if waiting:
            time.sleep(_PAUSE)
    return replies


def _sent(grid: Grid, messages: Iterable[Message]) -> dict[str, int]:
    """Send ``messages``: the identifier of each that Flower took, and the node that it is for."""
    asked = list(messages)
    identifiers = list(grid.push_messages(asked)) if asked else []
    return {
        identifier: message.metadata.dst_node_id
        for identifier, message in zip(identifiers, asked, strict=True)
        if identifier
    }


def _arrived(grid: Grid, waiting: dict[str, int]) -> list[Message]:
    """The replies that are there; whatever has been answered is taken from ``waiting``."""
    replies: list[Message] = []
    for identifier, node in sorted(waiting.items()):
        try:
            arrived = list(grid.pull_messages([identifier]))
        except httpx.HTTPError:
            raise  # that is the SuperLink, not a node
        except Exception as error:  # whatever a stranger's bytes make Flower's decoder raise
            _LOG.warning("the reply of node %d cannot be decoded: %s", node, readable(repr(error)))
            del waiting[identifier]
            continue
        if arrived:
            replies += [reply for reply in arrived if reply.has_error() or reply.metadata.src_node_id == node]
            del waiting[identifier]
    return replies


class _Bounded:
    """Flower's grid, with :func:`collect` in the place of its own way to wait for replies."""

    def __init__(self, grid: Grid, arrived: Callable[[Message], object]) -> None:
        self._grid = grid
        self._arrived = arrived

    def get_node_ids(self) -> Iterable[int]:
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._grid.push_messages(messages)

    def pull_messages(self, identifiers: Iterable[str]) -> Iterable[Message]:
        return self._grid.pull_messages(identifiers)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float) -> list[Message]:
        return collect(self._grid, messages, timeout, self._arrived)


def _arrays(shared: SharedModel) -> ArrayRecord:
    return ArrayRecord({name: Array(values) for name, values in shared.classifier.items()})
