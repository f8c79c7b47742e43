"""JSON-RPC over HTTP to any Ethereum node, as reliable as the network lets it be and equal in its errors.

Four things that web3's own provider leaves open are settled here. Requests that fail on the way, or that a busy node
turns away, are sent again: every method but those that move a development node is repeatable, a signed transaction
included, since the same bytes make the same transaction. A whole answer has a limit of time, however it trickles in.
What still fails becomes :class:`ChainUnavailable`, without the URL's secrets. And refusals arrive in one shape
whatever the node: reverts as code 3 with their data, anything else without data (web3 would take it for a revert).
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_exponential
from urllib3.exceptions import HTTPError, ReadTimeoutError
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from chain.backends.urls import checked_url, is_loopback, masked
from chain.errors.chain import ChainUnavailable, RequestUnanswered

__all__ = ["NodeProvider"]

_LOG = logging.getLogger(__name__)

_BUSY = (408, 425, 429, 502, 503, 504)
"""HTTP states in which the same request may succeed a little later."""

_CLIENTS_FAULT = (401, 402, 403, 404, 405, 407, 410, 429, 451)
"""HTTP states that a narrower request would not change: where or who asks is wrong, or how often."""

_ONCE = ("evm_", "anvil_", "hardhat_", "eth_sendTransaction")
"""Methods that do something again when they are sent again."""

_LARGEST_ANSWER = 1 << 28
"""Bytes; the log of thousands of rounds is a tenth of it."""

_DEEPEST_ANSWER = 1_000
"""Levels of lists and objects inside each other, a few of which are real."""

_WHOLE_ANSWER = 4
"""Timeouts that a whole answer may take, however much arrives meanwhile."""

_WIDE_ATTEMPTS = 2
"""Attempts at an event query that can be asked for in parts instead."""

_SILENCE = 5.0
"""Seconds without an answer after which the person at the keyboard is told."""

_PART = 1 << 16
"""Bytes of an answer that are read at once at most."""

_CUT = "the connection was dropped"

_LONGEST_PAUSE = 20.0
"""Seconds to wait at most because a node asks for it (``Retry-After``)."""


class _Dropped(Exception):
    """The request may or may not have reached the node; ``reached`` tells that the node was there."""

    def __init__(self, reason: str, *, reached: bool) -> None:
        super().__init__(reason)
        self.reached = reached


class _Busy(Exception):
    """The node turned the request away; ``pause`` is for how many seconds it asked."""

    def __init__(self, status: int, pause: float) -> None:
        super().__init__(f"HTTP status {status}")
        self.pause = pause
        self.throttled = pause > 0 or status in _CLIENTS_FAULT
        """Whether it is for how often it is asked, not for what."""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    content: bytes


class NodeProvider(HTTPProvider):
    """The connection to one node.

    Parameters
    ----------
    url
        ``http://`` or ``https://``; user and password in it are sent as basic authentication.
    timeout
        Seconds to wait for one answer to begin, or to go on; the whole may take four times as long.
    attempts
        How often a request is sent at most; pauses between the attempts grow from 0.1 to 5 seconds.

    Raises
    ------
    ConfigurationError
        The URL cannot be opened.
    """

    def __init__(self, url: str, *, timeout: float = 30.0, attempts: int = 6) -> None:
        self.location = masked(url)
        self._timeout = timeout
        self._attempts = attempts
        self._session = requests.Session()
        # a proxy of the environment, or a password of ~/.netrc, has no business between this machine and itself
        self._session.trust_env = not is_loopback(checked_url(url))
        self._headers = {**self.get_request_headers()}
        super().__init__(url, session=self._session, exception_retry_configuration=None)

    def __str__(self) -> str:
        return f"node at {self.location}"

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        self._session.close()

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask the node.

        Raises
        ------
        ChainUnavailable
            The node cannot be reached, stays busy, or does not answer as an Ethereum node does: RequestUnanswered where
            it could be this request alone.
        """
        request = self.encode_rpc_request(method, params)
        # no exception below keeps its cause: theirs spell out the URL
        try:
            return _uniform(self._answer(method, request, wide=_is_wide(method, params)))
        except _Dropped as error:
            kind = RequestUnanswered if error.reached else ChainUnavailable
            raise kind(
                f"the node at {self.location} cannot be reached: {error}",
                hint="check that the node runs and that the address is right; nothing that is on the chain is lost",
            ) from None
        except _Busy as error:
            kind = ChainUnavailable if error.throttled else RequestUnanswered
            raise kind(
                f"the node at {self.location} is too busy: {error}",
                hint="wait a little and run the same command again, or use another node",
            ) from None

    def _answer(self, method: str, request: bytes, *, wide: bool) -> dict[str, Any]:
        repeatable = not method.startswith(_ONCE)
        usual = stop_after_attempt(self._attempts) | stop_after_delay(2 * self._timeout)
        soon = usual | stop_after_attempt(_WIDE_ATTEMPTS) | stop_after_delay(self._timeout)

        def enough(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            halves_help = wide and not (isinstance(error, _Busy) and error.throttled)
            return soon(state) if halves_help else usual(state)

        retrying = Retrying(
            stop=enough,
            wait=_pause,
            before_sleep=self._tell,
            retry=retry_if_exception_type((_Dropped, _Busy) if repeatable else _Busy),
            reraise=True,
        )
        answer: dict[str, Any] = retrying(self._post, request)
        return answer

    def _tell(self, state: RetryCallState) -> None:
        """Say why nothing happens, unless it was a moment only."""
        if (state.seconds_since_start or 0.0) >= _SILENCE and state.outcome is not None:
            _LOG.warning("the node at %s: %s; asking again", self.location, state.outcome.exception())

    def _post(self, request: bytes) -> dict[str, Any]:
        response = self._whole(request)
        if response.status in _BUSY:
            raise _Busy(response.status, _asked_pause(response.headers.get("Retry-After", "")))
        return self._json(response)

    def _whole(self, request: bytes) -> _Response:
        """The answer, or :class:`_Dropped` once the time for all of it is over.

        No timeout of a socket ends an answer that trickles in, so a thread reads it, and is left behind if need be.
        """
        outcome: SimpleQueue[_Response | BaseException] = SimpleQueue()
        given_up = threading.Event()

        def read() -> None:
            try:
                outcome.put(self._read(request, given_up))
            except BaseException as error:
                outcome.put(error)

        threading.Thread(target=read, daemon=True).start()
        limit = _WHOLE_ANSWER * self._timeout
        try:
            found = outcome.get(timeout=limit)
        except Empty:
            raise _Dropped(f"no whole answer within {limit:g} seconds", reached=True) from None
        finally:
            given_up.set()
        if isinstance(found, BaseException):
            raise found
        return found

    def _read(self, request: bytes, given_up: threading.Event) -> _Response:
        try:
            response = self._session.post(
                str(self.endpoint_uri),
                data=request,
                headers=self._headers,
                timeout=self._timeout,
                stream=True,
                # a redirected POST would arrive as a GET, and a redirect could carry the token elsewhere
                allow_redirects=False,
            )
            content = bytearray()
            with response:
                while not given_up.is_set() and len(content) <= _LARGEST_ANSWER:
                    part = response.raw.read1(min(_PART, _LARGEST_ANSWER + 1 - len(content)), decode_content=True)
                    if not part:
                        break
                    content += part
        except requests.ConnectTimeout:
            raise _Dropped(f"no connection within {self._timeout:g} seconds", reached=False) from None
        except (requests.Timeout, ReadTimeoutError):
            raise _Dropped(f"no answer within {self._timeout:g} seconds", reached=True) from None
        except (requests.RequestException, HTTPError) as error:
            reason = _reason(error)
            raise _Dropped(reason, reached=reason == _CUT) from None
        return _Response(response.status_code, response.headers, bytes(content))

    def _json(self, response: _Response) -> dict[str, Any]:
        content = response.content
        try:
            answer = _parsed(content) if len(content) <= _LARGEST_ANSWER else None
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and (isinstance(answer.get("error"), dict | str) or "result" in answer):
            return answer
        kind = response.headers.get("Content-Type", "").partition(";")[0] or "no content type"
        where = urlsplit(response.headers.get("Location", "")).hostname
        moved = f", redirecting to {where}" if where else ""
        elsewhere = 300 <= response.status < 400 or response.status in _CLIENTS_FAULT
        raise (ChainUnavailable if elsewhere else RequestUnanswered)(
            f"{self.location} does not answer as an Ethereum node: HTTP status {response.status}{moved}, {kind}, "
            f"{len(content)} bytes that are no JSON-RPC answer",
            hint="check the address and the access token; this must be a node's JSON-RPC endpoint",
        )


def _is_wide(method: str, params: Any) -> bool:
    """Whether this asks for the events of several blocks, which can be asked for in parts."""
    if method != "eth_getLogs" or not params or not isinstance(params[0], Mapping):
        return False
    return bool(params[0].get("fromBlock") != params[0].get("toBlock"))


def _parsed(content: bytes) -> Any:
    """JSON of reasonable depth: some libraries raise Python's limit so far that the process would crash."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, len(inspect.stack(0)) + _DEEPEST_ANSWER))
    try:
        return json.loads(content)
    finally:
        sys.setrecursionlimit(limit)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, _Busy) else 0.0
    return max(asked, float(wait_exponential(multiplier=0.1, max=5)(state)))


def _asked_pause(header: str) -> float:
    return min(float(header), _LONGEST_PAUSE) if re.fullmatch(r"[0-9]{1,9}", header.strip()) else 0.0


def _reason(error: requests.RequestException | HTTPError) -> str:
    """What went wrong, without the URL that requests puts into its messages."""
    if isinstance(error, requests.exceptions.SSLError):
        return "the secure connection failed (certificate?)"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused"
    text = str(error)
    for sign, reason in (
        ("refused", "connection refused"),
        ("NameResolutionError", "its name is not known"),
        ("getaddrinfo", "its name is not known"),
        ("unreachable", "no route to it"),
        ("aborted", _CUT),
        ("broken", _CUT),
        ("reset", _CUT),
    ):
        if sign in text:
            return reason
    return f"the connection failed ({type(error).__name__})"


def _uniform(answer: dict[str, Any]) -> RPCResponse:
    error = answer.get("error")
    if isinstance(error, str):
        error = {"message": error}
    if isinstance(error, dict):
        # a refusal is one with or without the envelope
        answer = {"jsonrpc": "2.0", "id": answer.get("id"), "error": _uniform_error(error)}
    elif error is None:
        answer.pop("error", None)
    return answer  # type: ignore[return-value]


def _uniform_error(error: Mapping[str, Any]) -> dict[str, Any]:
    message = str(error.get("message", ""))
    if not any(sign in message.lower() for sign in ("revert", "vm exception", "vm execution")):
        code = error.get("code")
        return {"code": code if isinstance(code, int) else -32_000, "message": message}
    data = error.get("data")
    if isinstance(data, Mapping):
        # ganache's estimates keep the data in "result", Hardhat's errors in "data"
        data = data.get("result", data.get("data"))
    text = data.removeprefix("Reverted ") if isinstance(data, str) else ""
    return {"code": 3, "message": "execution reverted", "data": text if text.startswith("0x") else "0x"}
