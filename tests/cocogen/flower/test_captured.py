"""All that leaves a site in registration, before a deployment and in three rounds, searched for what must not."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from flwr.app import ArrayRecord, ConfigRecord, MessageType, RecordDict

import cocogen.flower.node as node_module
from chain.encoding.signatures import address_of, sign, verify
from chain.keys.keystores import development_key
from chain.twin.ledger import MemoryProvider
from cocogen.data.own.leaves import salt
from cocogen.data.own.rows import MISSING, packed
from cocogen.data.own.site import load_site
from cocogen.data.own.sums import added
from cocogen.data.own.transform import Transform
from cocogen.evidence.member import Agreed, Assignment, Member
from cocogen.evidence.registered import ATTESTER
from cocogen.flower.messages import Order, read_evidence
from cocogen.flower.node import Node
from cocogen.flower.orders import AnsweredOrders
from cocogen.operations.deploy import deploy
from cocogen.operations.exchange import Waiting, answer
from cocogen.operations.own_data import OwnData, read_registrations
from cocogen.operations.register import prepare, register, registered_rows
from cocogen.operations.session import open_consortium
from cocogen.operations.site_state import SiteState
from cocogen.operations.sources import own
from cocogen.systems import load_consortium
from tests.own_sites import NAMES, SITES, write_consortium

ROUNDS = 3


def signed_by(address: str, digest: bytes, signature: bytes) -> bool:
    return verify(digest, signature, address)


class Capture:
    """A consortium of three sites in a folder, and every byte that left each of them."""

    def __init__(self, folder: Path, *, rounds: int = ROUNDS, maximum: int = 30, openings: int = 0) -> None:
        self.folder = folder
        terms = folder / "terms.toml"
        if not terms.exists():
            write_consortium(folder, rounds=rounds, maximum=maximum, openings=openings)
        self.consortium = load_consortium(terms)
        self.agreed = Agreed.of(self.consortium)
        self.sent: dict[str, list[bytes]] = {name: [] for name in NAMES}

    def site(self, name: str) -> Path:
        return self.folder / name / "site.toml"

    def data(self, *names: str) -> OwnData:
        sites = tuple(self.site(name) for name in names)
        return read_registrations(self.folder / "given", signed_by, sites=sites, exchange=self.folder / "exchange")

    def member(self, name: str) -> Member:
        source = own(self.data().registrations, [self.site(name)])(self.agreed)
        return Member(self.agreed, source, NAMES.index(name))

    def register(self) -> None:
        given = self.folder / "given"
        given.mkdir()
        for name in SITES:
            key, state = development_key(7, name), SiteState.beside(self.site(name), name)
            prepared = prepare(load_site(self.site(name)), self.consortium, state, address_of(key))
            leaves = None if name == ATTESTER else given / f"{name}.leaves"
            path = given / f"{name}.registration"
            register(prepared, sign(prepared.document.digest(), key), state, path, leaves)
            if leaves is not None:
                self.sent[name] += [path.read_bytes(), leaves.read_bytes()]

    def deploy(self, provider: MemoryProvider) -> Path:
        """Ask the sites until nothing is asked any more."""
        workspace = self.folder / "ws"
        while True:
            try:
                deploy(self.consortium, provider, workspace, own_data=self.data(ATTESTER))
                return workspace
            except Waiting:
                for name in NAMES:
                    key, state = development_key(7, name), SiteState.beside(self.site(name), name)
                    args = self.folder / "exchange", self.member(name), self.consortium.source_digest, state
                    written = answer(*args, lambda digest, key=key: sign(digest, key))
                    self.sent[name] += [path.read_bytes() for path in written]

    def play(self) -> None:
        provider = MemoryProvider(7)
        workspace = self.deploy(provider)
        with open_consortium(workspace, provider, sites=[self.site(ATTESTER)]) as session:
            loop, terms_hash = session.loop, session.ledger.decoded.terms_hash
            members = {name: self.member(name) for name in NAMES}
            for _ in range(ROUNDS):
                loop.bond()
                assert loop.begin()
                work = loop.pending()
                evidence = {}
                for n, name in enumerate(NAMES):
                    node = Node(
                        organization=name,
                        terms_hash=terms_hash,
                        rounds=ROUNDS,
                        maximum=30,
                        orders=AnsweredOrders(self.folder / name / "orders"),
                        sign=lambda digest, name=name: session.ledger.sign(name, digest),
                        member=lambda name=name: members[name],
                    )
                    assignment = work.assignments[n]
                    assert assignment is not None
                    order = Order(work.round, terms_hash, assignment, work.bases[n])
                    self.sent[name].append(b"".join(contents(node.answer(MessageType.QUERY, 1, n, RecordDict()))))
                    content = node.answer(MessageType.TRAIN, 1, n, order.content())
                    self.sent[name].append(b"".join(contents(content)))
                    evidence[n] = read_evidence(content)
                loop.keep(work.round, evidence, {})
                report = loop.finish()
                assert report.status == "settled", report.rejected

    def leaks(self, name: str, *, more: bytes = b"") -> set[str]:
        """Which kinds of secrets are in what a site sent."""
        everything = b"\x00".join([*self.sent[name], more])
        return {kind for kind, pattern in self.secrets(name) if pattern in everything}

    def secrets(self, name: str) -> Iterator[tuple[str, bytes]]:
        schema = self.consortium.learning.schema_
        assert schema is not None
        state = SiteState.beside(self.site(name), name)
        rows = registered_rows(state, load_site(self.site(name)), schema, self.consortium.source_digest)
        secret, cells = state.secret(), rows.cells(0, len(rows))
        total = added([registration.sums for who, registration in self.data().registrations.items() if who != ATTESTER])
        yield "secret", secret
        yield "secret", secret.hex().encode()
        for index in range(len(rows)):
            yield "salt", salt(secret, index)
            yield "salt", salt(secret, index).hex().encode()
        for row in packed(schema, cells):
            yield "row", row.tobytes()
        for sample in Transform.of(schema, total).apply(rows):
            yield "row, standardized", sample.tobytes()
        for line in (self.folder / name / "data.csv").read_text().splitlines()[1:]:
            dose = line.split(";")[1]
            yield "value, as text", dose.encode()
            yield "value, binary", struct.pack("<d", float(dose))
        for q in cells.numbers[cells.numbers != MISSING].tolist():
            if len(set(int(q).to_bytes(6, "big"))) > 4:  # an age of 50 is a one among zeros, as any file has
                yield "value, as an integer", int(q).to_bytes(8, "big")
                yield "value, as an integer", int(q).to_bytes(8, "little")


def contents(content: RecordDict) -> Iterator[bytes]:
    """All bytes of a message's records, at the door of Flower: before it packs, and before TLS."""
    for key, record in content.items():
        yield key.encode()
        if isinstance(record, ArrayRecord):
            for array in record.values():
                yield array.data
        elif isinstance(record, ConfigRecord):
            for name, value in record.items():
                yield name.encode()
                yield value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    found = Capture(tmp_path_factory.mktemp("captured"))
    found.register()
    found.play()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_row_no_value_and_no_salt_leaves_a_site(captured: Capture, name: str) -> None:
    # registration and leaves, two answers, and in every round an identity and the evidence
    assert len(captured.sent[name]) == 2 + 2 + 2 * ROUNDS
    assert sum(map(len, captured.sent[name])) > 10_000
    assert captured.leaks(name) == set()


def test_each_kind_of_leak_would_be_found(captured: Capture) -> None:
    kinds: dict[str, bytes] = {}
    for kind, pattern in captured.secrets("north"):
        kinds.setdefault(kind, pattern)
    assert len(kinds) == 7
    for kind, pattern in kinds.items():
        assert kind in captured.leaks("north", more=b"..." + pattern + b"...")


@pytest.mark.parametrize("kind", ["row", "salt", "value, as text"])
def test_a_node_that_leaks_is_caught(
    captured: Capture, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A node whose evidence carries one secret beside what it should."""
    leak = next(pattern for found, pattern in captured.secrets("harbor") if found == kind)
    honest = node_module.bytes_of_bundle
    monkeypatch.setattr(node_module, "bytes_of_bundle", lambda bundle: honest(bundle) + leak)
    member = captured.member("harbor")
    shared = member.models.initial
    node = Node(
        organization="harbor",
        terms_hash=bytes(32),
        rounds=1,
        maximum=30,
        orders=AnsweredOrders(tmp_path),
        sign=lambda digest: digest,
        member=lambda: member,
    )
    order = Order(1, bytes(32), Assignment(data=member.registered, raw=0), shared)
    sent = b"".join(contents(node.answer(MessageType.TRAIN, 1, 1, order.content())))
    assert kind in captured.leaks("harbor", more=sent)
