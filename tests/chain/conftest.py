"""What the tests of the package ``chain`` share: terms of any size, and the golden settlements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain.attestation import address_of
from chain.keys import development_key
from cocogen.ledger import Member, SettlementTerms

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
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


@pytest.fixture(scope="session", params=["tester", "embedded"])
def shared_backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from chain.backends import open_backend

    file = tmp_path_factory.mktemp("chain") / "chain.sqlite"
    with open_backend("tester" if request.param == "tester" else f"embedded:{file}") as backend:
        yield backend


@pytest.fixture
def backend(shared_backend: Any) -> Iterator[Any]:
    """Each local backend in turn, as fresh for every test."""
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


class Stage:
    """A deployed contract with its accounts, and the steps of a round; indices are the contract's."""

    def __init__(self, backend: Any, terms: SettlementTerms, seed: int = SEED) -> None:
        from chain.arithmetic import encode
        from chain.attestation import Domain
        from chain.contract import ConsortiumContract
        from chain.keys import development_account

        self.backend = backend
        self.encoded = encode(terms)
        self.attester = development_account(seed, "attester")
        self.operator = development_account(seed, "operator")
        by_position = [terms.members[n].name for n in self.encoded.organizations]
        self.accounts = [development_account(seed, name) for name in by_position]
        for account in (self.attester, self.operator, *self.accounts):
            backend.fund(account.address, 10**18 + 4 * max(self.encoded.liabilities))
        self.contract, self.deployed = ConsortiumContract.deploy(backend, self.encoded, self.operator)
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
        from chain.attestation import contribution_struct_hash, sign

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

    def calculate(self) -> None:
        self.backend.wait_until(self.contract.round().deadline + 1)
        self.contract.payoff_calculate(account=self.operator)

    def transfer(self) -> None:
        self.contract.payoff_transfer(account=self.operator)


@pytest.fixture(scope="session")
def make_stage() -> Callable[..., Stage]:
    return Stage


@pytest.fixture(scope="session")
def fresh_stage(shared_tester: Any) -> Callable[..., Any]:
    """A context manager: a stage for the given terms on the chain in memory, taken back at the end."""

    @contextmanager
    def stage(terms: SettlementTerms, seed: int = SEED) -> Iterator[Stage]:
        with rolled_back(shared_tester):
            yield Stage(shared_tester, terms, seed)

    return stage


@pytest.fixture(scope="session")
def shared_stage(shared_backend: Any, make_terms: Callable[..., SettlementTerms]) -> Stage:
    return Stage(shared_backend, make_terms(4, maximum_rounds=1))


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    """A deployed contract of four members and one round on each local backend in turn, as fresh for every test."""
    with rolled_back(shared_stage.backend):
        yield shared_stage
