"""The gas that is told beforehand is what transactions take."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from chain.errors.contract import MemberCountOutOfRange
from chain.gas import LARGEST, SMALLEST, measured_gas
from cocogen.ledger import Contribution

REASON = b"\x0d" * 32


def is_near(told: int, taken: int, share: float = 0.02) -> bool:
    """At least what was taken, but for a hundredth, and hardly more."""
    return taken * 0.99 <= told <= taken * (1 + share)


@pytest.mark.heavy
@pytest.mark.parametrize("members", [4, pytest.param(13, marks=pytest.mark.slow)])
def test_told_gas_is_that_of_receipts_at_sizes_that_were_not_measured(members, make_terms, tester):
    from chain.contract.provider import ChainProvider

    base = make_terms(members, dispute_bond=900, maximum_rounds=3)
    charged = tuple(replace(m, stand_in=(m.data_cap // 2, m.generated_cap // 2, 0)) for m in base.members)
    provider = ChainProvider(tester, 7)
    ledger = provider.deploy(replace(base, members=charged))
    gas = provider.gas(members, token=False)
    assert is_near(gas.deploy, ledger.deployment.details["gas"])
    first, *others = [ledger.deposit(n, 3 * ledger.decoded.liabilities[n] + 10**9).gas for n in range(members)]
    assert is_near(gas.first_deposit + gas.founding, first)
    assert all(is_near(gas.first_deposit, taken) for taken in others)
    assert is_near(gas.deposit, ledger.deposit(0, 10**9).gas)
    for number, opened, submitted, recorded in (
        (1, gas.open_first, gas.submit_first, gas.record_first),
        (2, gas.open, gas.submit, gas.record),
    ):
        ledger.wait_until(ledger.state().next_round_from)
        assert is_near(opened, ledger.open_round().gas)
        for n, member in enumerate(ledger.terms.members):
            contribution = Contribution(member.data_cap - number, member.generated_cap // 2, 0, b"\x05" * 32)
            assert is_near(submitted, ledger.submit(n, contribution, ledger.attest(n, contribution)).gas)
        assert is_near(recorded, ledger.record().gas)
        if number == 2:
            assert is_near(gas.dispute, ledger.dispute(0, REASON).gas)
            assert is_near(gas.resolve, ledger.resolve("settle-and-forfeit").gas)
        else:
            ledger.wait_until(ledger.state().deadline + 1)
        calculated, transferred = ledger.settle().receipts
        assert is_near(gas.calculate, calculated.gas)
        assert is_near(gas.transfer, transferred.gas)
    assert is_near(gas.withdraw, ledger.withdraw(1, 10**9).gas)


@pytest.mark.heavy
def test_told_gas_in_a_token_counts_approval_and_the_tokens_own_work(make_terms, tester, tester_token, monkeypatch):
    from chain.contract.provider import ChainProvider
    from chain.contract.token import Token

    approved, approve = [], Token.approve
    monkeypatch.setattr(
        Token, "approve", lambda *given, **named: approved.append(approve(*given, **named).gas) or approve
    )
    terms = make_terms(4, token=tester_token.address)
    charged = tuple(replace(m, stand_in=(m.data_cap // 2, m.generated_cap // 2, 0)) for m in terms.members)
    provider = ChainProvider(tester, 7)
    ledger = provider.deploy(replace(terms, members=charged))
    for member in terms.members:
        tester_token.send("mint", member.address, 10**24)
    gas = provider.gas(4, token=True)
    assert is_near(gas.deploy, ledger.deployment.details["gas"])
    first, second = (ledger.deposit(n, 10**18).gas for n in (0, 1))
    assert is_near(gas.first_deposit + gas.founding, first)
    assert is_near(gas.first_deposit, second)
    assert is_near(gas.deposit, ledger.deposit(0, 10**18).gas)
    assert len(approved) == 3
    assert all(is_near(gas.approve, taken) for taken in approved)
    assert is_near(gas.withdraw, ledger.withdraw(1, 10**17).gas)


def test_gas_grows_with_the_members_and_knows_every_size():
    sizes = [measured_gas(members) for members in range(SMALLEST, LARGEST + 1)]
    for name in ("deploy", "calculate", "transfer", "resolve"):
        values = [getattr(each, name) for each in sizes]
        assert all(a < b for a, b in itertools.pairwise(values)), name
    for members in (SMALLEST - 1, LARGEST + 1):
        with pytest.raises(MemberCountOutOfRange):
            measured_gas(members)
