"""Nodes: private ones that never outlive us, foreign ones that answer badly, and consortia on chains with faults."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_utils import to_checksum_address
from web3 import Web3
from web3.exceptions import Web3RPCError

from chain.backends import open_backend
from chain.backends.development import connect
from chain.backends.logs import contract_logs
from chain.backends.process import NodeProcess, find_node
from chain.backends.provider import NodeProvider
from chain.backends.rpc import RpcBackend
from chain.contract.provider import ChainProvider
from chain.errors.chain import (
    ArgumentOutOfRange,
    ArtifactMismatch,
    ChainUnavailable,
    NoContract,
    NodeNotInstalled,
    NotALocalChain,
    RequestUnanswered,
    TransactionRejected,
    WrongChain,
)
from cocogen.errors import ConfigurationError
from cocogen.ledger import Contribution

PAYEE = to_checksum_address("0x" + "cd" * 20)
SECRET = "0123456789abcdef0123456789abcdef"
PRIVATE_NODES = ["anvil", pytest.param("ganache", marks=pytest.mark.slow)]


def ask(backend: Any, method: str, *parameters: Any) -> Any:
    answer = backend.web3.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def gone(pid: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


@pytest.fixture(scope="module", params=PRIVATE_NODES)
def kind(request, needs_node):
    needs_node(request.param)
    return request.param


class TestPrivateNode:
    def test_node_describes_itself_and_ends_with_its_backend(self, kind):
        with open_backend(kind) as backend:
            assert (backend.kind, backend.location, backend.local, backend.confirmations) == (kind, kind, True, 0)
            assert backend.chain_id == backend.web3.eth.chain_id
            pid = backend.process.pid
            assert alive(pid)
        assert gone(pid)
        backend.close()
        with pytest.raises(ChainUnavailable, match="closed"):
            _ = backend.web3

    def test_clock_and_money_of_a_local_chain(self, kind):
        with open_backend(kind) as backend:
            start = backend.now()
            backend.advance(1_000)
            assert backend.now() == start + 1_000
            backend.wait_until(start + 5_000)
            backend.wait_until(start)
            backend.fund(PAYEE.lower(), 10**30)
            backend.fund(PAYEE, 5)
            assert backend.web3.eth.get_balance(PAYEE) == 10**30
            payment = {"from": backend.web3.eth.accounts[0], "to": PAYEE, "value": 1}
            receipt = backend.web3.eth.wait_for_transaction_receipt(backend.web3.eth.send_transaction(payment))
            seen = backend.web3.eth.get_block(receipt["blockNumber"])["timestamp"]
            # ganache tries transactions at the latest block's time, and setting a balance mines a block there
            assert start + 5_000 <= seen <= start + 5_000 + 2 * (kind == "ganache")
            for seconds in (-1, 1 << 40):
                with pytest.raises(ArgumentOutOfRange):
                    backend.advance(seconds)

    def test_only_this_machine_can_reach_it(self, kind):
        with open_backend(kind) as backend:
            port = int(backend.process.url.rpartition(":")[2])
            listening = subprocess.run(
                [sys.executable, "-c", _LISTENERS, str(port)], capture_output=True, text=True, check=True
            ).stdout.split()
        assert listening == ["0100007F"]

    @pytest.mark.parametrize("end", ["kill", *(pytest.param(end, marks=pytest.mark.deep) for end in ("exit", "error"))])
    def test_node_never_outlives_the_process_that_started_it(self, kind, end):
        ends = {"kill": "os.kill(os.getpid(), signal.SIGKILL)", "exit": "sys.exit()", "error": "1 / 0"}
        script = (
            "import os, signal, sys\n"
            "from chain.backends import open_backend\n"
            f"backend = open_backend({kind!r})\n"
            "print(backend.process.pid, flush=True)\n"
            f"{ends[end]}\n"
        )
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        assert gone(int(run.stdout))

    @pytest.mark.slow
    def test_node_of_a_thread_outlives_the_thread_but_not_the_process(self, kind):
        script = (
            "import threading\n"
            "from chain.backends import open_backend\n"
            "opened = []\n"
            f"thread = threading.Thread(target=lambda: opened.append(open_backend({kind!r})))\n"
            "thread.start()\n"
            "thread.join()\n"
            "opened[0].advance(5)\n"
            "print(opened[0].process.pid, flush=True)\n"
        )
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
        assert gone(int(run.stdout))

    def test_missing_program_says_how_to_install_it(self, kind, monkeypatch, tmp_path):
        monkeypatch.setattr("chain.backends.process._BINARIES", tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(NodeNotInstalled, match=kind) as error:
            open_backend(kind)
        assert "npm ci" in error.value.hint

    def test_program_on_the_path_serves_where_the_project_has_none(self, kind, monkeypatch, tmp_path):
        program = tmp_path / kind
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        monkeypatch.setattr("chain.backends.process._BINARIES", tmp_path / "none")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_node(kind) == str(program)


# Local addresses, as the kernel writes them, of whoever listens on a port (state 0A).
_LISTENERS = """
import sys
for line in open("/proc/net/tcp").read().splitlines()[1:] + open("/proc/net/tcp6").read().splitlines()[1:]:
    address, port = line.split()[1].split(":")
    if line.split()[3] == "0A" and int(port, 16) == int(sys.argv[1]):
        print(address)
"""


class TestNodeProcess:
    def test_node_that_ends_at_once_is_quoted(self, needs_node):
        needs_node("anvil")
        with pytest.raises(ChainUnavailable, match=r"did not start.*--nonsense"):
            NodeProcess("anvil", lambda port: ["--nonsense"])

    def test_node_that_never_answers_is_given_up_and_stopped(self, needs_node):
        started = time.monotonic()
        with pytest.raises(ChainUnavailable, match="printed nothing"):
            NodeProcess("sleep", lambda port: ["60"], timeout=0.3)
        assert time.monotonic() - started < 10

    def test_node_that_ignores_the_request_to_end_is_killed(self, needs_node, monkeypatch):
        needs_node("anvil")
        monkeypatch.setattr("chain.backends.process._GRACE", 0.1)
        with open_backend("anvil") as backend:
            os.kill(backend.process.pid, signal.SIGSTOP)
            pid = backend.process.pid
        assert gone(pid)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    pause: float = 0.0
    """Seconds between the bytes of the body; below 0: between those of a header before it."""


def result(value: Any) -> Reply:
    return Reply(body=json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


def error(**fields: Any) -> Reply:
    return Reply(body=json.dumps({"jsonrpc": "2.0", "id": 1, "error": fields}).encode())


class FakeNode:
    """Answers requests with the given replies in turn, the last one for ever; None cuts the connection."""

    def __init__(self) -> None:
        self.replies: list[Reply | None] = []
        self.answer: Callable[[dict[str, Any]], Reply] | None = None
        self.methods: list[str] = []
        self.times: list[float] = []
        self.authorization = ""
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.methods.append(body["method"])
                node.times.append(time.monotonic())
                node.authorization = self.headers.get("Authorization", "")
                if node.answer is not None:
                    reply = node.answer(body)
                else:
                    reply = node.replies.pop(0) if len(node.replies) > 1 else node.replies[0]
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                time.sleep(reply.seconds)
                self.send_response(reply.status)
                for name, value in (("Content-Length", str(len(reply.body))), *reply.headers):
                    self.send_header(name, value)
                if reply.pause < 0:
                    self.flush_headers()
                    self.trickle(b"X-Slow: " + b"." * 10_000, -reply.pause)
                self.end_headers()
                if reply.pause > 0:
                    self.trickle(reply.body, reply.pause)
                else:
                    self.wfile.write(reply.body)

            def trickle(self, content: bytes, pause: float) -> None:
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    time.sleep(pause)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that gave up is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()


@pytest.fixture
def fake() -> Iterator[FakeNode]:
    node = FakeNode()
    yield node
    node.server.shutdown()
    node.server.server_close()


@pytest.fixture
def provider(fake) -> Iterator[Callable[..., NodeProvider]]:
    opened = []

    def make(*replies: Reply | None, path: str = "", **options: Any) -> NodeProvider:
        fake.replies = list(replies)
        opened.append(NodeProvider(f"{fake.url}{path}", **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


class TestAnswers:
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (Reply(body=b"<html>welcome</html>", headers=(("Content-Type", "text/html; charset=utf-8"),)), "text/html"),
            (Reply(body=b"\xff\xfe\x00garbage"), "no JSON-RPC"),
            (Reply(body=b"[1, 2]"), "no JSON-RPC"),
            (Reply(body=b'{"hello": 1}'), "no JSON-RPC"),
            (Reply(body=b'{"error": ["no"]}'), "no JSON-RPC"),
            (Reply(body=b""), "0 bytes"),
            (Reply(401, b"who are you?"), "401"),
            (Reply(404, b"not here"), "404"),
            (
                Reply(302, b"", (("Location", f"https://elsewhere.example/{SECRET}"),)),
                "redirecting to elsewhere.example",
            ),
        ],
        ids=["html", "bytes", "list", "object", "text", "nothing", "401", "404", "redirect"],
    )
    def test_answer_of_something_else_is_no_node(self, fake, provider, reply, said):
        with pytest.raises(ChainUnavailable, match=said) as failure:
            provider(reply, path=f"/v3/{SECRET}").make_request("eth_chainId", [])
        assert "JSON-RPC" in failure.value.hint
        assert SECRET not in f"{failure.value}{failure.value.hint}{failure.value.__cause__}"
        assert len(fake.methods) == 1

    @pytest.mark.parametrize("opening", [b'{"result": ' + b"[" * 200_000, b'{"result": ' + b'{"a":' * 200_000])
    def test_answer_nested_beyond_reason_is_no_node_and_harms_nobody(self, provider, opening):
        with pytest.raises(ChainUnavailable, match="no JSON-RPC"):
            provider(Reply(body=opening)).make_request("eth_chainId", [])

    def test_answer_of_endless_size_is_not_read_to_its_end(self, provider, monkeypatch):
        monkeypatch.setattr("chain.backends.provider._LARGEST_ANSWER", 1_000)
        body = result("0x1").body
        assert provider(Reply(body=body.ljust(1_000))).make_request("eth_chainId", [])["result"] == "0x1"
        with pytest.raises(ChainUnavailable, match="1001 bytes"):
            provider(Reply(body=body.ljust(2_000))).make_request("eth_chainId", [])

    @pytest.mark.parametrize(
        "block",
        [{}, {"timestamp": "soon"}, [], 7, {"timestamp": None}],
        ids=["empty", "text", "list", "number", "null"],
    )
    def test_block_that_makes_no_sense_is_a_typed_error(self, fake, block):
        fake.replies = [result("0x15b3"), result("geth"), result(block)]
        with connect(fake.url) as backend, pytest.raises(ChainUnavailable):
            backend.now()

    @pytest.mark.parametrize("pause", [0.02, -0.02], ids=["body", "header"])
    def test_answer_that_trickles_in_is_given_up(self, provider, pause):
        slow = Reply(body=result("0x1").body.ljust(10_000), pause=pause)
        with pytest.raises(RequestUnanswered, match=r"no whole answer within 0\.4 seconds"):
            provider(slow, timeout=0.1, attempts=1).make_request("eth_chainId", [])

    def test_error_that_is_a_bare_text_is_the_nodes_refusal(self, provider):
        answer = provider(Reply(400, b'{"error": "too many blocks"}')).make_request("eth_getLogs", [{}])
        assert answer["error"] == {"code": -32_000, "message": "too many blocks"}
        reverted = provider(Reply(body=b'{"error": "execution reverted"}')).make_request("eth_call", [])
        assert reverted["error"] == {"code": 3, "message": "execution reverted", "data": "0x"}

    def test_answer_that_says_that_there_is_no_error_is_an_answer(self, fake):
        fake.replies = [Reply(body=b'{"jsonrpc": "2.0", "id": 1, "result": "0x10", "error": null}')]
        assert Web3(NodeProvider(fake.url)).eth.block_number == 16

    @pytest.mark.parametrize("answer", ["mainnet", None, {"chain": 1}, "-0x5", "0x-5", "0x1" + "00" * 32, "0x", "5", 5])
    def test_chain_id_that_is_no_number_is_no_node(self, fake, answer):
        fake.replies = [result(answer)]
        with pytest.raises(ChainUnavailable, match="chain id"):
            connect(fake.url)

    @pytest.mark.parametrize("answer", ["0x15b3", "0x0015b3", "0x" + "ff" * 32])
    def test_chain_id_is_a_number_of_at_most_256_bits(self, fake, answer):
        fake.replies = [result(answer), result("geth")]
        with connect(fake.url) as backend:
            assert backend.chain_id == int(answer, 16)

    @pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
    def test_busy_node_is_asked_again(self, fake, provider, status):
        assert provider(Reply(status), Reply(status), result("0x1")).make_request("eth_chainId", [])["result"] == "0x1"
        assert len(fake.methods) == 3

    def test_node_that_stays_busy_is_given_up(self, fake, provider):
        with pytest.raises(ChainUnavailable, match="too busy: HTTP status 429"):
            provider(Reply(429), attempts=3).make_request("eth_chainId", [])
        assert len(fake.methods) == 3

    def test_slow_answers_are_explained_but_not_a_moment(self, provider, monkeypatch, caplog):
        provider(Reply(503), result("0x1")).make_request("eth_chainId", [])
        assert caplog.records == []
        monkeypatch.setattr("chain.backends.provider._SILENCE", 0.0)
        provider(Reply(503), result("0x1"), path=f"/{SECRET}").make_request("eth_chainId", [])
        (said,) = [record.getMessage() for record in caplog.records]
        assert "HTTP status 503; asking again" in said
        assert SECRET not in said

    def test_pause_that_the_node_asks_for_is_kept(self, fake, provider):
        provider(Reply(503, headers=(("Retry-After", "1"),)), result("0x1")).make_request("eth_chainId", [])
        assert fake.times[1] - fake.times[0] >= 1

    @pytest.mark.parametrize("header", ["soon", "-5", "Fri, 31 Dec 1999 23:59:59 GMT", "\u00b2", "1e9"])
    def test_pause_that_is_no_number_is_ignored(self, fake, provider, header):
        provider(Reply(503, headers=(("Retry-After", header),)), result("0x1")).make_request("eth_chainId", [])
        assert fake.times[1] - fake.times[0] < 1

    def test_dropped_connection_is_made_again(self, fake, provider):
        assert provider(None, None, result("0x1")).make_request("eth_chainId", [])["result"] == "0x1"
        assert len(fake.methods) == 3

    def test_pauses_grow(self, fake, provider):
        provider(None, None, None, result("0x1")).make_request("eth_chainId", [])
        pauses = [later - earlier for earlier, later in zip(fake.times, fake.times[1:], strict=False)]
        assert pauses[0] < pauses[1] < pauses[2] < 1

    def test_slow_node_is_asked_again_and_then_given_up(self, fake, provider):
        slow = Reply(seconds=0.4)
        assert provider(slow, result("0x1"), timeout=0.1).make_request("eth_chainId", [])["result"] == "0x1"
        with pytest.raises(ChainUnavailable, match=r"no answer within 0\.1 seconds"):
            provider(slow, timeout=0.1, attempts=2).make_request("eth_chainId", [])

    @pytest.mark.parametrize("method", ["evm_mine", "anvil_reorg", "eth_sendTransaction"])
    def test_what_moves_a_development_node_is_not_repeated_when_the_answer_is_lost(self, fake, provider, method):
        with pytest.raises(ChainUnavailable):
            provider(None, result("0x1")).make_request(method, [])
        assert fake.methods == [method]

    def test_nobody_there_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        node = NodeProvider(f"http://user:{SECRET}@127.0.0.1:{port}", attempts=2)
        with pytest.raises(ChainUnavailable, match=rf"http://\*\*\*@127.0.0.1:{port} cannot be reached: connection re"):
            node.make_request("eth_chainId", [])
        node.close()

    def test_password_of_the_url_reaches_the_node_and_nobody_else(self, fake):
        fake.replies = [result("0x1")]
        node = NodeProvider(f"http://user:{SECRET}@{fake.address}")
        node.make_request("eth_chainId", [])
        node.close()
        assert fake.authorization.startswith("Basic ")
        assert SECRET not in str(node) + node.location


class TestErrorShapes:
    DATA = "0x" + "ab" * 36

    @pytest.mark.parametrize(
        "fields",
        [
            {"code": 3, "message": "execution reverted: custom error", "data": DATA},
            {"code": -32_000, "message": "VM Exception while processing transaction: revert", "data": DATA},
            {"code": -32_000, "message": "VM Exception while processing transaction: revert", "data": {"result": DATA}},
            {"code": -32_603, "message": "VM Exception: reverted with a custom error", "data": {"data": DATA}},
            {"code": -32_015, "message": "VM execution error.", "data": f"Reverted {DATA}"},
            {"code": -32_000, "message": "Execution reverted", "data": DATA},
        ],
        ids=["geth", "ganache call", "ganache estimate", "hardhat", "nethermind", "besu"],
    )
    def test_revert_of_every_client_arrives_in_one_shape(self, provider, fields):
        answer = provider(error(**fields)).make_request("eth_call", [])
        assert answer["error"] == {"code": 3, "message": "execution reverted", "data": self.DATA}

    @pytest.mark.parametrize("data", [None, "Reverted", "text", {"result": None}, {}])
    def test_revert_without_data_has_empty_data(self, provider, data):
        answer = provider(error(code=3, message="execution reverted", data=data)).make_request("eth_call", [])
        assert answer["error"]["data"] == "0x"

    def test_other_refusal_carries_no_data_that_could_pass_for_a_revert(self, provider):
        fields = {"code": -32_000, "message": "insufficient funds", "data": "0x" + "00" * 40}
        answer = provider(error(**fields)).make_request("eth_sendRawTransaction", [])
        assert answer["error"] == {"code": -32_000, "message": "insufficient funds"}


class TestRealNode:
    @pytest.fixture
    def public(self, start_anvil):
        with connect(start_anvil("--chain-id", "5551", "--block-time", "1").url) as backend:
            yield backend

    def test_neither_its_clock_nor_its_money_can_be_moved(self, public):
        assert (public.kind, public.local, public.confirmations) == ("rpc", False, 1)
        for refused in (lambda: public.advance(5), lambda: public.fund(PAYEE, 1)):
            with pytest.raises(NotALocalChain, match="no local chain"):
                refused()

    def test_time_is_waited_for(self, public):
        wanted = public.now() + 2
        started = time.monotonic()
        public.wait_until(wanted)
        assert public.now() >= wanted
        assert time.monotonic() - started > 1
        public.wait_until(wanted)

    def test_development_node_behind_a_url_is_a_local_chain(self, start_anvil):
        node = start_anvil()
        with open_backend(node.url) as backend:
            assert (backend.kind, backend.location, backend.local) == ("rpc", node.url, True)
            now = backend.now()
            backend.advance(100)
            assert backend.now() == now + 100

    @pytest.mark.parametrize("version", ["Geth/v1.14.0", "HardhatNetwork/2.22", "my anvil"])
    def test_other_clients_are_real_whatever_their_chain_id(self, fake, version):
        fake.replies = [result(hex(31_337)), result(version)]
        with connect(fake.url) as backend:
            assert not backend.local


class TestEventQueries:
    """A node with an event in every block, which answers at most three blocks at a time."""

    LAST = 14

    @pytest.fixture
    def limited(self, fake):
        def limit(refusal: Reply) -> Any:
            self.asked = []

            def answer(request: dict[str, Any]) -> Reply:
                (query,) = request["params"]
                first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
                self.asked.append(last - first + 1)
                if self.asked[-1] > 3:
                    return refusal
                return result([self.event(block) for block in range(first, last + 1)])

            fake.answer = answer
            return Web3(NodeProvider(fake.url, timeout=1.0 if refusal.seconds else 10.0))

        return limit

    @staticmethod
    def event(block: int) -> dict[str, Any]:
        return {
            "address": PAYEE,
            "topics": [],
            "data": "0x",
            "blockNumber": hex(block),
            "transactionHash": "0x" + "01" * 32,
            "transactionIndex": "0x0",
            "blockHash": "0x" + "02" * 32,
            "logIndex": "0x0",
            "removed": False,
        }

    @pytest.mark.parametrize(
        "refusal",
        [
            Reply(504, b"upstream request timeout"),
            Reply(408, b"Request Timeout"),
            Reply(400, b"query returned more than 10000 results", (("Content-Type", "text/plain"),)),
            Reply(400, b'{"error": "block range is too wide"}'),
            Reply(body=b'{"error": "block range is too wide"}'),
            error(code="range", message="block range is too wide"),
            Reply(413, b"too large"),
            Reply(500, b"<html>oops</html>"),
            Reply(502),
            Reply(503),
            Reply(524, b"a timeout occurred"),
            Reply(body=b'{"message": "response size exceeded"}'),
            Reply(seconds=1.5),
            error(code=-32_005, message="query timeout exceeded"),
        ],
        ids=lambda reply: f"{reply.status}-{reply.body[:24].decode()}",
    )
    def test_refusal_of_a_long_range_in_any_words_halves_it(self, limited, refusal):
        logs = contract_logs(limited(refusal), PAYEE, 1, self.LAST)
        assert [log["blockNumber"] for log in logs] == list(range(1, self.LAST + 1))
        assert max(self.asked) > 3

    def test_ranges_grow_again_but_seldom_fail(self, limited):
        contract_logs(limited(error(code=-32_005, message="too wide")), PAYEE, 1, 100)
        refused = sum(blocks > 3 for blocks in self.asked)
        assert 0 < refused < len(self.asked) / 3

    @pytest.mark.parametrize("busy", [Reply(429), Reply(503, headers=(("Retry-After", "1"),))], ids=["429", "pause"])
    def test_node_that_asks_to_be_asked_less_is_waited_for_and_not_asked_for_halves(self, fake, busy):
        fake.replies = [busy, busy, result([])]
        assert contract_logs(Web3(NodeProvider(fake.url)), PAYEE, 1, 1_000_000) == []
        assert len(fake.methods) == 3

    def test_node_that_stays_throttled_or_is_gone_is_given_up(self, limited, fake):
        web3 = limited(Reply(429))
        fake.answer, fake.replies = None, [Reply(429)]
        with pytest.raises(ChainUnavailable, match="429"):
            contract_logs(web3, PAYEE, 1, 1_000_000)
        assert 2 <= len(fake.methods) <= 6
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(ChainUnavailable, match="connection refused"):
            contract_logs(Web3(NodeProvider(f"http://127.0.0.1:{port}")), PAYEE, 1, 1_000_000)

    def test_single_block_that_is_refused_is_the_refusal(self, limited, fake):
        web3 = limited(Reply())
        fake.answer = lambda request: Reply(504)
        with pytest.raises(RequestUnanswered, match="504"):
            contract_logs(web3, PAYEE, 7, 8)

    def test_no_blocks_have_no_events(self, limited):
        assert contract_logs(limited(Reply()), PAYEE, 8, 7) == []
        assert self.asked == []


HALF = [50, 55, 60, 65]


def bonded(provider: ChainProvider, terms: Any) -> Any:
    ledger = provider.deploy(terms)
    for index in range(4):
        ledger.deposit(index, 2 * ledger.decoded.liabilities[index])
    return ledger


def submit(ledger: Any, *indices: int) -> None:
    for index in indices:
        contribution = Contribution(HALF[index], 20, 3, b"\x05" * 32)
        ledger.submit(index, contribution, ledger.attest(index, contribution))


class TestConsortium:
    @pytest.mark.slow
    def test_round_goes_on_after_the_node_was_killed_and_restarted(self, start_anvil, make_terms, tmp_path):
        state = ("--state", str(tmp_path / "state.json"), "--state-interval", "1")
        first = start_anvil(*state)
        port = int(first.url.rpartition(":")[2])
        with connect(first.url, attempts=2) as backend:
            provider = ChainProvider(backend, 7)
            ledger = bonded(provider, make_terms(4))
            ledger.open_round()
            submit(ledger, 0, 1)
            before = ledger.state()
            first.stop()
            with pytest.raises(ChainUnavailable):
                submit(ledger, 2)
            second = start_anvil(*state, port=port)
            assert second.url == first.url
            # the node's clock starts anew: it forgets how far it had been moved
            ask(backend, "evm_setTime", before.now)
            again = provider.connect(ledger.terms, ledger.deployment)
            assert replace(again.state(), now=0) == replace(before, now=0)
            submit(again, 2, 3)
            again.record()
            again.wait_until(again.state().deadline + 1)
            outcome = again.settle()
        assert outcome.status == "settled"
        assert sum(outcome.transfers) == 0
        assert any(outcome.transfers)

    @pytest.mark.slow
    def test_reorganization_takes_outcomes_back(self, anvil, make_terms):
        provider = ChainProvider(anvil, 7)
        ledger = bonded(provider, make_terms(4))
        ledger.open_round()
        assert [outcome.status for outcome in ledger.outcomes()] == ["open"]
        events = len(ledger.collect().events)
        ask(anvil, "anvil_reorg", 1, [])
        assert ledger.outcomes() == ()
        assert len(ledger.collect().events) == events - 1
        assert ledger.state().phase == "idle"
        ledger.open_round()
        assert [outcome.status for outcome in ledger.outcomes()] == ["open"]

    def test_node_that_refuses_long_ranges_gives_the_same_events_once_each(self, anvil, make_terms, monkeypatch):
        ledger = bonded(ChainProvider(anvil, 7), make_terms(4))
        expected = ledger.contract.logs()
        get_logs, asked = anvil.web3.eth.get_logs, []

        def at_most_three_blocks(query):
            asked.append(query["toBlock"] - query["fromBlock"] + 1)
            if asked[-1] > 3:
                raise Web3RPCError("query exceeds max block range", rpc_response=None)
            return get_logs(query)

        monkeypatch.setattr(anvil.web3.eth, "get_logs", at_most_three_blocks)
        assert ledger.contract.logs() == expected
        assert len(expected) == 8
        assert max(asked) > 3 >= min(asked)

    def test_node_that_answers_no_event_query_at_all_is_named(self, anvil, make_terms, monkeypatch):
        ledger = ChainProvider(anvil, 7).deploy(make_terms(4))

        def never(_query):
            raise Web3RPCError("eth_getLogs is disabled", rpc_response=None)

        monkeypatch.setattr(anvil.web3.eth, "get_logs", never)
        with pytest.raises(TransactionRejected, match="disabled"):
            ledger.contract.logs()

    def test_wrong_chain_address_and_code_are_refused_through_a_node(self, anvil, make_terms):
        provider = ChainProvider(anvil, 7)
        ledger = provider.deploy(make_terms(4))
        deployed = ledger.deployment
        with pytest.raises(WrongChain, match=r"chain 1337.*31337"):
            provider.connect(ledger.terms, replace(deployed, chain_id=1_337))
        with pytest.raises(NoContract):
            provider.connect(ledger.terms, replace(deployed, address="0x" + "79" * 20))
        with pytest.raises(ArtifactMismatch):
            provider.connect(ledger.terms, replace(deployed, address=ledger.contract.view("termsBlob")))

    @pytest.mark.slow
    def test_connection_that_drops_all_the_time_still_settles_a_round(self, anvil, make_terms, cutting_proxy):
        proxy = cutting_proxy(str(anvil.web3.provider.endpoint_uri), cut_answers_of=b"eth_", times=1 << 30, every=7)
        with connect(proxy.url) as backend:
            provider = ChainProvider(backend, 7)
            ledger = bonded(provider, make_terms(4))
            ledger.open_round()
            submit(ledger, *range(4))
            ledger.record()
            ledger.wait_until(ledger.state().deadline + 1)
            outcome = ledger.settle()
            predicted = ledger.predict([Contribution(data, 20, 3, b"\x05" * 32) for data in HALF])
        assert outcome.transfers == predicted
        assert proxy.cuts > 20


@pytest.mark.parametrize("url", ["http://", "http://:80", "https://host:99999", "http://host:x"])
def test_impossible_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="no node can be reached"):
        open_backend(url)


def test_url_that_was_stored_without_its_secret_asks_for_the_whole():
    with pytest.raises(ConfigurationError, match="without its secret") as failure:
        open_backend("https://host.example/v3/***")
    assert "COCOGEN_LEDGER" in failure.value.hint


def test_backend_of_a_node_that_is_not_there_leaves_nothing_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ChainUnavailable):
        RpcBackend(NodeProvider(f"http://127.0.0.1:{port}", attempts=1))
