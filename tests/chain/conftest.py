"""What the tests of the package ``chain`` share: terms of any size, and the golden settlements."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chain.encoding.signatures import address_of
from chain.keys.keystores import development_key
from cocogen.ledger import Member, SettlementTerms

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MOCKS = Path(__file__).resolve().parents[1] / "fixtures" / "mocks.json"
SEED = 7


@pytest.fixture(scope="session")
def make_terms() -> Callable[..., SettlementTerms]:
    """Terms for ``count`` organizations o0, o1, … with development accounts of seed 7; keywords replace fields."""

    def make(count: int = 4, **changes: Any) -> SettlementTerms:
        members = tuple(
            Member(
                name=f"o{n}",
                address=address_of(development_key(SEED, f"o{n}")),
                data_cap=100 + 10 * n,
                generated_cap=50 + n,
                compute_cap=7,
                score_weight=1.0 + 0.25 * n,
                score_offset=-20.0 * n,
            )
            for n in range(count)
        )
        fields: dict[str, Any] = {
            "members": members,
            "competition": tuple(
                tuple(0.0 if n == m else (1 + (3 * n + 5 * m) % 7) / 100 for m in range(count)) for n in range(count)
            ),
            "incentive": 0.37,
            "wei_per_unit": 10**15,
            "attester": address_of(development_key(SEED, "attester")),
            "arbiter": address_of(development_key(SEED, "arbiter")),
            "document_hash": bytes(range(32)),
            "generated_weight": 0.75,
            "compute_weight": 1.5,
            "submit_window": 101,
            "dispute_window": 50,
            "arbiter_window": 60,
            "minimum_gap": 40,
            "quorum_bps": 6_000,
            "minimum_members": 2,
            "maximum_rounds": 3,
            "test": True,
        }
        return SettlementTerms(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def golden_settlements() -> list[tuple[SettlementTerms, dict[str, Any]]]:
    """The golden games as settlement terms, each with its expected settlement."""
    games = json.loads((GOLDEN / "cocogen_plus.json").read_text())
    settlements = json.loads((GOLDEN / "settlement.json").read_text())
    pairs = []
    for game, settlement in zip(games, settlements, strict=True):
        terms = game["terms"]
        members = tuple(
            Member(
                name=organization["name"],
                address=address_of(development_key(game["id"], organization["name"])),
                data_cap=data,
                generated_cap=generated,
                compute_cap=compute,
                score_weight=organization["score_weight"],
                score_offset=organization["score_offset"],
            )
            for organization, (data, generated, compute) in zip(terms["organizations"], settlement["caps"], strict=True)
        )
        settlement_terms = SettlementTerms(
            members=members,
            competition=tuple(map(tuple, terms["competition"])),
            incentive=terms["incentive"],
            wei_per_unit=terms["wei_per_unit"],
            attester=address_of(development_key(game["id"], "attester")),
            arbiter=address_of(development_key(game["id"], "arbiter")),
            document_hash=b"\x01" * 32,
            compute_weight=terms["lambda"],
            test=True,
        )
        pairs.append((settlement_terms, settlement))
    return pairs


@contextmanager
def rolled_back(backend: Any) -> Iterator[Any]:
    """Give the chain away and take back every block that was mined meanwhile."""
    provider = backend.web3.provider
    snapshot = provider.make_request("evm_snapshot", [])["result"]
    try:
        yield backend
    finally:
        provider.make_request("evm_revert", [snapshot])


# By default in memory: what a file or a node adds has tests of its own. With CI=true those marked ``every_ledger``,
# a sample, run on the others too; all run on all of them with make deep.
OTHERS = ("embedded", "anvil", "ganache")
BACKENDS = ["tester", *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        chosen = getattr(item, "callspec", None)
        if chosen and chosen.params.get("shared_backend") in OTHERS and not item.get_closest_marker("every_ledger"):
            item.add_marker(pytest.mark.deep)


@pytest.fixture(scope="session", params=BACKENDS)
def shared_backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, needs_node: Callable[[str], None]
) -> Iterator[Any]:
    from chain.backends import open_backend

    kind = request.param
    if kind in ("anvil", "ganache"):
        needs_node(kind)
    file = tmp_path_factory.mktemp("chain") / "chain.sqlite"
    with open_backend(f"embedded:{file}" if kind == "embedded" else kind) as backend:
        yield backend


@pytest.fixture(scope="session")
def shared_anvil(needs_node: Callable[[str], None]) -> Iterator[Any]:
    from chain.backends import open_backend

    needs_node("anvil")
    with open_backend("anvil") as backend:
        yield backend


def _http_message(connection: socket.socket) -> bytes:
    """One whole request or answer with its Content-Length; empty at the end of the connection."""
    content = b""
    while True:
        head, end, body = content.partition(b"\r\n\r\n")
        if end:
            size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            if len(body) >= size:
                return content
        more = connection.recv(1 << 16)
        if not more:
            return b""
        content += more


class CuttingProxy:
    """A TCP proxy before a node: it cuts the connection instead of passing on the answer to every ``every``-th request
    that holds ``marker``, ``times`` times in all."""

    def __init__(self, target: str, marker: bytes, times: int, every: int) -> None:
        self._target = (urlsplit(target).hostname, urlsplit(target).port)
        self._marker, self._times, self._every = marker, times, every
        self._matched = self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._target) as node:
            self._open += [client, node]
            while request := _http_message(client):
                node.sendall(request)
                answer = _http_message(node)
                self._matched += self._marker in request
                if self._marker in request and self._matched % self._every == 0 and self.cuts < self._times:
                    self.cuts += 1
                    return
                client.sendall(answer)

    def close(self) -> None:
        for each in self._open:
            each.close()


@pytest.fixture
def cutting_proxy() -> Iterator[Callable[..., CuttingProxy]]:
    started = []

    def start(target: str, *, cut_answers_of: bytes, times: int, every: int = 1) -> CuttingProxy:
        started.append(CuttingProxy(target, cut_answers_of, times, every))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


@pytest.fixture
def start_anvil(needs_node: Callable[[str], None]) -> Iterator[Callable[..., Any]]:
    """Starts bare anvil nodes with the given arguments; they end with the test."""
    from chain.backends.process import HOST, NodeProcess

    needs_node("anvil")
    started = []

    def start(*arguments: str, port: int | None = None) -> Any:
        def command(number: int) -> list[str]:
            return ["--host", HOST, "--port", str(number), "--silent", "--accounts", "2", *arguments]

        started.append(NodeProcess("anvil", command, port=port))
        return started[-1]

    yield start
    for node in started:
        node.stop()


@pytest.fixture
def anvil(shared_anvil: Any) -> Iterator[Any]:
    """A chain on a private anvil node, as fresh for every test."""
    with rolled_back(shared_anvil) as fresh:
        yield fresh


@pytest.fixture
def backend(shared_backend: Any) -> Iterator[Any]:
    """Each backend in turn, as fresh for every test."""
    with rolled_back(shared_backend) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def shared_tester() -> Iterator[Any]:
    from chain.backends import open_backend

    with open_backend("tester") as backend:
        yield backend


@pytest.fixture
def tester(shared_tester: Any) -> Iterator[Any]:
    """The chain in memory, as fresh for every test."""
    with rolled_back(shared_tester) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def vector_terms(make_terms: Callable[..., SettlementTerms]) -> Callable[..., SettlementTerms]:
    """Terms in vector mode: organization n can be debited n + 1 million wei."""

    def make(count: int = 4, **changes: Any) -> SettlementTerms:
        terms = make_terms(count, mode="vector", **changes)
        members = tuple(replace(member, max_debit=10**6 * (n + 1)) for n, member in enumerate(terms.members))
        return replace(terms, members=members)

    return make


class Mock:
    """A mock contract of ``contracts/test/mocks`` on a chain; anyone may call it."""

    def __init__(self, backend: Any, name: str, *arguments: Any) -> None:
        eth = backend.web3.eth
        mock = json.loads(MOCKS.read_text())[name]
        self._caller = eth.accounts[0]
        factory = eth.contract(abi=mock["abi"], bytecode=mock["bytecode"])
        receipt = eth.get_transaction_receipt(factory.constructor(*arguments).transact({"from": self._caller}))
        self.address = receipt["contractAddress"]
        self._contract = eth.contract(address=self.address, abi=mock["abi"])

    def send(self, function: str, *arguments: Any) -> None:
        self._contract.functions[function](*arguments).transact({"from": self._caller})

    def ask(self, function: str, *arguments: Any) -> Any:
        return self._contract.functions[function](*arguments).call()


@pytest.fixture(scope="session")
def deploy_mock() -> Callable[..., Mock]:
    """Puts a mock token or wallet on a local chain: (backend, name, *constructor arguments)."""
    return Mock


@pytest.fixture(scope="session")
def tester_token(shared_tester: Any) -> Mock:
    """A standard token on the chain in memory."""
    return Mock(shared_tester, "Token")


class Stage:
    """A deployed contract with its accounts, and the steps of a round; indices are the contract's."""

    def __init__(self, backend: Any, terms: SettlementTerms, seed: int = SEED) -> None:
        from chain.contract.client import ConsortiumContract
        from chain.encoding.codec import encode
        from chain.encoding.signatures import Domain
        from chain.keys.keystores import development_account

        self.backend = backend
        self.encoded = encode(terms)
        self.attester = development_account(seed, "attester")
        self.arbiter = development_account(seed, "arbiter")
        self.operator = development_account(seed, "operator")
        by_position = [terms.members[n].name for n in self.encoded.organizations]
        self.accounts = [development_account(seed, name) for name in by_position]
        for account in (self.attester, self.arbiter, self.operator, *self.accounts):
            backend.fund(account.address, 10**18 + 4 * max(self.encoded.liabilities))
        self.contract, self.deployed = ConsortiumContract.deploy(backend, self.encoded, self.operator)
        self.everyone = (self.attester, self.arbiter, self.operator, *self.accounts)
        self.domain = Domain(backend.chain_id, self.contract.address)

    def bond(self, *indices: int) -> None:
        """Deposit twice the liability for each index (all of them if none is named)."""
        for index in indices or range(len(self.accounts)):
            amount = 2 * self.encoded.liabilities[index]
            self.contract.deposit_submit(index, self.encoded.terms_hash, account=self.accounts[index], value=amount)

    def open(self) -> None:
        self.contract.round_open(account=self.attester)

    def attested(self, index: int, data: int, generated: int, compute: int, *, signer: Any = None) -> tuple[Any, ...]:
        """The arguments of contributionSubmit, signed for the current round."""
        from chain.encoding.signatures import contribution_struct_hash, sign

        evidence, number = b"\x05" * 32, self.contract.round().number
        member = self.encoded.members[index].account
        struct_hash = contribution_struct_hash(
            self.encoded.terms_hash, number, member, data, generated, compute, evidence
        )
        signature = sign(self.domain.digest(struct_hash), bytes((signer or self.attester).key))
        return index, data, generated, compute, evidence, signature

    def submit(self, *indices: int) -> None:
        """Hand in half of every cap for each index (all of them if none is named)."""
        for index in indices or range(len(self.accounts)):
            member = self.encoded.members[index]
            parts = (member.data_cap // 2, member.generated_cap // 2, member.compute_cap // 2)
            self.contract.contribution_submit(*self.attested(index, *parts), account=self.accounts[index])

    def record(self) -> None:
        self.contract.profile_record(account=self.operator)

    def attested_transfers(self, transfers: tuple[int, ...], *, signer: Any = None) -> tuple[Any, ...]:
        """The arguments of transfersSubmit, signed for the current round."""
        from chain.encoding.signatures import sign, transfers_hash, transfers_struct_hash

        evidence, number = b"\x05" * 32, self.contract.round().number
        struct_hash = transfers_struct_hash(self.encoded.terms_hash, number, transfers_hash(transfers), evidence)
        return transfers, evidence, sign(self.domain.digest(struct_hash), bytes((signer or self.attester).key))

    def dispute(self, index: int) -> None:
        self.contract.dispute_raise(index, b"\x0d" * 32, account=self.accounts[index])

    def calculate(self) -> None:
        self.backend.wait_until(self.contract.round().deadline + 1)
        self.contract.payoff_calculate(account=self.operator)

    def transfer(self) -> None:
        self.contract.payoff_transfer(account=self.operator)


@pytest.fixture(scope="session")
def make_stage() -> Callable[..., Stage]:
    return Stage


@pytest.fixture(scope="session")
def stage_on() -> Callable[..., Any]:
    """A context manager: a stage for the given terms on any backend with snapshots, taken back at the end."""

    @contextmanager
    def stage(backend: Any, terms: SettlementTerms, seed: int = SEED) -> Iterator[Stage]:
        with rolled_back(backend):
            yield Stage(backend, terms, seed)

    return stage


@pytest.fixture(scope="session")
def fresh_stage(shared_tester: Any, stage_on: Callable[..., Any]) -> Callable[..., Any]:
    """The same on the chain in memory."""
    return partial(stage_on, shared_tester)


@pytest.fixture(scope="session")
def shared_stage(shared_backend: Any, make_terms: Callable[..., SettlementTerms]) -> Stage:
    return Stage(shared_backend, make_terms(4, maximum_rounds=1, dispute_bond=1_000))


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    """A deployed contract of four members and one round on each backend in turn, as fresh for every test."""
    with rolled_back(shared_stage.backend):
        yield shared_stage
