"""A system that nobody has thought of moves in: registered, planned and settled, with no other file touched."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal

import numpy as np

from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution, LedgerProvider, Member, SettlementTerms
from cocogen.mechanisms.resources import IntegerProfile
from cocogen.systems import SYSTEMS
from cocogen.systems.base import System
from cocogen.terms.load import load_terms
from cocogen.terms.reading import read_terms, validate_terms
from cocogen.terms.sections import ConsortiumSection, Count, TermsSection

EVIDENCE = bytes([7] * 32)
FILE = 'price = 3\ncost = [9, 2, 4]\n[consortium]\nname = "b"\nmechanism = "bazaar"\n'


class Bazaar(TermsSection):
    class Section(ConsortiumSection):
        mechanism: Literal["bazaar"]

    consortium: Section
    price: Count  # wei a sample, of which everybody has 100; the first organization buys
    cost: tuple[Count, ...]
    names: tuple[str, ...] = ("buyer", "near", "far")


@dataclass(frozen=True)
class Priced:
    terms: Bazaar
    provider: LedgerProvider

    def settlement_terms(self) -> SettlementTerms:
        account, most = self.provider.account, {"buyer": 200 * self.terms.price}
        members = [Member(n, account(n), 100, 0, 0, 1.0, 0.0, most.get(n, 0)) for n in self.terms.names]
        roles = account("attester"), account("arbiter")
        return SettlementTerms(tuple(members), ((0.0,) * 3,) * 3, 0.0, 1, *roles, EVIDENCE, mode="vector", test=True)


class SellAboveCost:
    def plan(self, market: Bazaar, rng: np.random.Generator) -> SimpleNamespace:
        sold, none = np.where(np.array(market.cost) < market.price, 100, 0), np.zeros(3, dtype=np.int64)
        return SimpleNamespace(profile=IntegerProfile(sold, none, none, none))


def pay(priced: Priced, recorded: tuple[Contribution, ...]) -> tuple[int, ...]:
    paid = [priced.terms.price * contribution.data for contribution in recorded[1:]]
    return (-sum(paid), *paid)


def test_a_third_system_is_registered_planned_and_settled_by_the_transfers_that_were_signed(tmp_path):
    rules, read = {"bazaar": SellAboveCost()}, lambda path: validate_terms(Bazaar, read_terms(path)[1], path)
    offer, agree = lambda priced, decoded: priced.terms, lambda priced, decode: priced
    bazaar = System(rules=rules, load=read, state=Priced, agree=agree, market=offer, clear=pay, models="personal")
    systems, provider = SYSTEMS.extended(bazaar), MemoryProvider(7)
    (tmp_path / "terms.toml").write_text(FILE)
    terms = load_terms(tmp_path / "terms.toml", systems.table)
    system = systems.of(terms)
    assert (system, system.settlement, "bazaar" in SYSTEMS) == (bazaar, "vector", False)
    agreed = system.agree(system.state(terms, provider), provider.decode)
    ledger = system.deploy(agreed, provider)
    plan = system.rules["bazaar"].plan(system.market(agreed, ledger.decoded), np.random.default_rng(0))
    for n, bond in enumerate(ledger.state().liabilities):
        ledger.deposit(n, bond)
    ledger.open_round()
    for n, data in enumerate(plan.profile.data.tolist()):
        contribution = Contribution(data, 0, 0, EVIDENCE)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.record()
    transfers = system.clear(agreed, ledger.outcomes()[-1].contributions)
    ledger.submit_transfers(transfers, EVIDENCE, ledger.attest_transfers(transfers, EVIDENCE))
    ledger.wait_until(ledger.state().deadline + 1)
    assert (ledger.settle().transfers, ledger.state().balances) == ((-300, 300, 0), (300, 300, 0))
