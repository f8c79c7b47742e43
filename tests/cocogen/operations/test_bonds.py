"""A bond is brought to twice what it has to be, and what is taken out is what the contract lets go, to the wei."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chain.encoding.signatures import address_of
from chain.errors.contract import BondLocked
from chain.keys.keystores import development_key
from chain.twin.ledger import MemoryProvider
from cocogen.errors import LedgerError
from cocogen.ledger import Contribution, Member, SettlementTerms
from cocogen.operations.bonds import free_amount, top_up
from cocogen.operations.session import open_consortium

EVIDENCE = b"\x05" * 32
BOND = 10**15


def terms(stand_in, bond=BOND):
    members = tuple(
        Member(f"o{n}", address_of(development_key(7, f"o{n}")), 100 + n, 50, 0, 1.0, 0.0, stand_in=stand_in)
        for n in range(4)
    )
    return SettlementTerms(
        members=members,
        competition=tuple(tuple(0.0 if n == m else 0.1 for m in range(4)) for n in range(4)),
        incentive=0.5,
        wei_per_unit=10**15,
        attester=address_of(development_key(7, "attester")),
        arbiter=address_of(development_key(7, "arbiter")),
        document_hash=b"\x01" * 32,
        quorum_bps=5_000,
        dispute_bond=bond,
        test=True,
    )


@pytest.mark.parametrize("disputant", [0, 3])
@pytest.mark.parametrize("stand_in", [(60, 10, 0), None])
@pytest.mark.parametrize("factor", [1, 100])
def test_what_a_disputant_can_take_is_what_the_contract_lets_go(disputant, stand_in, factor):
    agreed = terms(stand_in, factor * BOND)
    ledger = MemoryProvider(7).deploy(agreed)
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, 2 * liability + agreed.dispute_bond)
    ledger.open_round()
    for n in range(3):
        contribution = Contribution(90 + n, 20 * n, 0, EVIDENCE)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    ledger.dispute(disputant, b"\x0d" * 32)
    settlement = SimpleNamespace(dispute_bond=agreed.dispute_bond)
    resolved = SimpleNamespace(settlement=settlement, consortium=SimpleNamespace(rounds=9), names=["o0"] * 4)
    free = free_amount(SimpleNamespace(ledger=ledger, resolved=resolved), disputant, everything=False)
    with pytest.raises(BondLocked) as refused:
        ledger.withdraw(disputant, free + 1)
    assert refused.value.available == free
    ledger.withdraw(disputant, free)


def test_a_bond_is_brought_to_twice_the_liability_and_no_further(deployed, memory):
    with open_consortium(deployed.workspace, memory) as consortium:
        liability = consortium.ledger.state().liabilities[1]
        receipt, added = top_up(consortium, 1)
        assert (receipt.operation, added) == ("depositSubmit", 2 * liability)
        assert consortium.ledger.state().accepted[1]
        assert top_up(consortium, 1) == (None, 0)
        assert top_up(consortium, 1, 5)[1] == 5
        assert consortium.ledger.state().balances[1] == 2 * liability + 5


def test_all_of_a_bond_is_free_between_rounds_only_if_all_is_asked_for(deployed, memory):
    with open_consortium(deployed.workspace, memory) as consortium:
        liability = consortium.ledger.state().liabilities[1]
        top_up(consortium, 1, 2 * liability)
        assert free_amount(consortium, 1, everything=False) == liability
        assert free_amount(consortium, 1, everything=True) == 2 * liability
        consortium.ledger.exit(1)
        assert free_amount(consortium, 1, everything=False) == 2 * liability
        with pytest.raises(LedgerError, match="north has nothing to withdraw") as caught:
            free_amount(consortium, 0, everything=True)
        assert "takes the bond too" in caught.value.hint
