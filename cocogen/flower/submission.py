"""The server where each member submits itself: hand out what was attested, relay what stays away, deliver models.

No key of a member is needed. From half of the submission window on anybody may hand an attested contribution in, so the
operator does it for whose node has not. A model goes to recorded contributors, once the ledger has recorded the round.
Left out: finding nodes and waiting for answers (:mod:`.strategy`), and what a node does (:mod:`.settling`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flwr.app import RecordDict

from cocogen.errors import CoCoGenError, LearningError
from cocogen.files import canonical_json
from cocogen.flower.messages import ATTESTED, RECORDED, Attestation, model, read_transaction
from cocogen.rounds.history import contributors
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.report import RoundReport

if TYPE_CHECKING:
    from cocogen.rounds.attested import Attested

__all__ = ["Exchange", "finish"]

_LOG = logging.getLogger("flwr.cocogen")
_PAUSE = 10.0
"""Seconds before who has not answered is asked again."""
_PART = 0.9
"""Of the time up to half of the window: what the nodes may take."""

Exchange = Callable[[str, Mapping[int, RecordDict], float], Mapping[int, RecordDict | str]]
"""Sends each organization its content under a type, and returns within some seconds what its node answered, or why it
has not; organizations by their index."""


def finish(loop: RoundLoop, exchange: Exchange) -> RoundReport:
    """Attest the running round, let members hand in, record, deliver and settle it; goes on where it was stopped."""
    state = loop.ledger.state()
    number = state.round
    if loop.accepts(state):
        loop.challenge()
        _hand_out(loop, loop.attest(), exchange)
    if state.phase == "open":
        loop.record(advance=True)
    if (state := loop.ledger.state()).phase == "recorded":
        _deliver(loop, number, exchange)
    if state.phase != "idle":
        loop.settle(advance=True)
    return loop.report(number)


def _hand_out(loop: RoundLoop, attested: Attested, exchange: Exchange) -> None:
    waiting, names, ledger = _waiting(loop, attested), loop.resolved.names, loop.ledger
    contents = {}
    for n in waiting:
        contribution, signature = attested.signed(n, names[n], masks=loop.resolved.masks)
        document = canonical_json(attested.documents[n])
        contents[n] = Attestation(attested.round, contribution, signature, document).content()
    state = ledger.state()
    until = time.monotonic() + _PART * (state.relay_from - state.now)
    while contents and (left := until - time.monotonic()) > 0:
        answers = exchange(ATTESTED, contents, left)
        for n in list(contents):
            _LOG.info("round %d: %s: %s", attested.round, names[n], _said(answers[n]))
            if isinstance(answers[n], RecordDict):  # also a refusal is an answer
                del contents[n]
        if contents:  # a node that was away may come back
            time.sleep(min(_PAUSE, max(until - time.monotonic(), 0.0)))
    late = _waiting(loop, attested)
    if late:
        _LOG.warning("round %d: relaying for %s", attested.round, ", ".join(names[n] for n in late))
        ledger.wait_until(ledger.state().relay_from)
    for n in _waiting(loop, attested):
        try:
            loop.submit(n, sender="operator")
        except CoCoGenError as error:  # the others settle without it
            _LOG.warning("round %d: the contribution of %s is not relayed: %s", attested.round, names[n], error)


def _waiting(loop: RoundLoop, attested: Attested) -> list[int]:
    """Whose contribution was attested and is not on the ledger."""
    submitted = loop.ledger.state().submitted
    return [n for n, contribution in enumerate(attested.contributions) if contribution and not submitted[n]]


def _said(answer: RecordDict | str) -> str:
    try:
        return answer if isinstance(answer, str) else f"handed in, {read_transaction(answer)}"
    except LearningError as error:
        return error.message


def _deliver(loop: RoundLoop, number: int, exchange: Exchange) -> None:
    outcome, state = loop.ledger.outcomes()[-1], loop.ledger.state()
    file = loop.workspace.model(number)
    gets = [n for n, given in enumerate(contributors(outcome)) if given]
    if not file.exists() or not gets:
        return
    content = file.read_bytes()
    begin = time.monotonic()
    answers = exchange(
        RECORDED, {n: model(number, content) for n in gets}, max(1.0, _PART * (state.deadline - state.now))
    )
    missing = [loop.resolved.names[n] for n in gets if isinstance(answers.get(n, ""), str)]
    _LOG.info("round %d: its model is delivered in %.0f s", number, time.monotonic() - begin)
    if missing:
        _LOG.warning("round %d: the model has not reached %s", number, ", ".join(missing))
