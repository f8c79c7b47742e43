"""A round survives whoever disappears: the attester, a member, everyone but a stranger. On every backend."""

from __future__ import annotations

import pytest

from chain.encoding.states import CALCULATED, DISPUTED, IDLE, OPEN, RECORDED

LAST = 3
REASON = b"\x07" * 32


@pytest.fixture
def stranger(stage):
    """Somebody with a little ether and no part in the consortium."""
    from chain.keys.keystores import development_account

    account = development_account(99, "stranger")
    stage.backend.fund(account.address, 10**18)
    return account


def bring_to_idle(stage, stranger) -> int:
    """What a stranger does about a live round; returns how many calls it took."""
    contract, calls = stage.contract, 0
    default = contract.terms.dispute_default
    while (now := contract.round()).phase != IDLE:
        if now.phase in (OPEN, RECORDED, DISPUTED):
            stage.backend.wait_until(now.deadline + 1)
        steps = {
            OPEN: contract.profile_record,
            RECORDED: contract.payoff_calculate,
            CALCULATED: contract.payoff_transfer,
        }
        if now.phase == DISPUTED:
            contract.dispute_resolve(default, account=stranger)
        else:
            steps[now.phase](account=stranger)
        calls += 1
    return calls


def everybody_leaves_with(stage, balances) -> None:
    """All members take out exactly these amounts, and nothing is left."""
    for index, (account, balance) in enumerate(zip(stage.accounts, balances, strict=True)):
        stage.contract.withdraw(index, balance, account.address, account=account)
    assert stage.contract.view("totalBalance") == 0
    assert stage.backend.web3.eth.get_balance(stage.contract.address) == 0


def settled_balances(stage, contributions) -> list[int]:
    """Balances after the round, by the kernel alone: bonds of twice the liability, plus payoffs."""
    payoffs = stage.encoded.payoffs(contributions)
    return [2 * bond + payoff for bond, payoff in zip(stage.encoded.liabilities, payoffs, strict=True)]


def halves(stage, *missing):
    return [
        None if index in missing else (member.data_cap // 2, member.generated_cap // 2, member.compute_cap // 2)
        for index, member in enumerate(stage.encoded.members)
    ]


def test_the_attester_disappears_before_it_signed_anything(stage, stranger):
    stage.bond()
    stage.open()
    assert bring_to_idle(stage, stranger) == 1
    everybody_leaves_with(stage, [2 * bond for bond in stage.encoded.liabilities])


def test_the_attester_disappears_once_it_has_signed(stage, stranger):
    stage.bond()
    stage.open()
    signed = [stage.attested(index, *parts) for index, parts in enumerate(halves(stage))]
    for arguments, account in zip(signed, stage.accounts, strict=True):
        stage.contract.contribution_submit(*arguments, account=account)
    assert bring_to_idle(stage, stranger) == 3
    everybody_leaves_with(stage, settled_balances(stage, halves(stage)))


def test_a_member_disappears_before_its_contribution_is_signed(stage, stranger):
    stage.bond()
    stage.open()
    stage.submit(*range(LAST))
    assert bring_to_idle(stage, stranger) == 3
    everybody_leaves_with(stage, settled_balances(stage, halves(stage, LAST)))


def test_a_member_disappears_after_its_contribution_is_signed_and_a_stranger_hands_it_in(stage, stranger):
    stage.bond()
    stage.open()
    stage.submit(*range(LAST))
    signed = stage.attested(LAST, *halves(stage)[LAST])
    stage.backend.wait_until(stage.contract.round().deadline - 10)
    stage.contract.contribution_submit(*signed, account=stranger)
    assert bring_to_idle(stage, stranger) == 3
    everybody_leaves_with(stage, settled_balances(stage, halves(stage)))


@pytest.mark.parametrize("phase", [OPEN, RECORDED, pytest.param(DISPUTED, marks=pytest.mark.every_ledger), CALCULATED])
def test_everyone_but_a_stranger_disappears_in(stage, stranger, phase):
    stage.bond()
    stage.open()
    stage.submit()
    if phase != OPEN:
        stage.record()
    if phase == DISPUTED:
        stage.contract.dispute_raise(0, REASON, account=stage.accounts[0])
    if phase == CALCULATED:
        stage.calculate()
    assert stage.contract.round().phase == phase
    assert bring_to_idle(stage, stranger) <= 3
    everybody_leaves_with(stage, settled_balances(stage, halves(stage)))
