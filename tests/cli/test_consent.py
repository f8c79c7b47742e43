"""What is shown before money is spent, who is asked, and what an answer does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cli.consent import Consent, Purchase, Rehearsed, spends
from cocogen.errors import NotAgreed
from cocogen.fees import Spending

SENDER = "0x1111111111111111111111111111111111111111"
REAL = Spending(
    operation="depositSubmit",
    sender=SENDER,
    amount=250 * 10**15,
    gas=64_000,
    price=2 * 10**9,
    ceiling=320_000 * 10**9,
    value=250 * 10**15,
    held=10**18,
    worthless=False,
)
DEPOSIT = Purchase("deposit", "north", wei_per_unit=10**15, bond=50 * 10**15)
LINES = [
    f"deposit of 250.000000 (250000000000000000 wei) by north, {SENDER}",
    "fee: about 0.000128 ether, at most 0.00032 (64,000 gas at 2 gwei)",
    "afterwards: 300.000000 in the consortium, about 0.749872 ether in the account",
]


@pytest.fixture
def person(monkeypatch):
    """Somebody at a terminal, who gives these answers; returns what was asked."""
    asked: list[str] = []

    def sit(*answers: bool) -> list[str]:
        replies = iter(answers)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.confirm", lambda text, **options: asked.append(text) or next(replies))
        return asked

    return sit


def consent(*, yes: bool = False, dry_run: bool = False, as_json: bool = False) -> Consent:
    return Consent(yes=yes, dry_run=dry_run, as_json=as_json)


def test_a_person_sees_amount_fee_sender_and_what_is_left_and_is_asked_once(person, capsys):
    asked, agreed = person(True), consent()
    agreed.ask(DEPOSIT, REAL)
    agreed.ask(DEPOSIT, REAL)  # a token's approval and its deposit are one purchase
    assert asked == ["Send it?"]
    assert capsys.readouterr().err.splitlines() == LINES


def test_a_no_sends_nothing(person):
    person(False)
    with pytest.raises(NotAgreed, match="you did not agree") as caught:
        consent().ask(DEPOSIT, REAL)
    assert caught.value.exit_code == 2


def test_yes_asks_nobody_but_shows_all_the_same(monkeypatch, capsys):
    monkeypatch.setattr("click.confirm", lambda *_, **__: pytest.fail("it asked"))
    consent(yes=True).ask(DEPOSIT, REAL)
    assert capsys.readouterr().err.splitlines() == LINES


@pytest.mark.parametrize("as_json", [True, False])
def test_a_script_without_yes_is_told_what_it_would_have_sent_and_to_add_it(as_json, person, monkeypatch):
    person(True)
    if not as_json:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(NotAgreed) as caught:
        consent(as_json=as_json).ask(DEPOSIT, REAL)
    assert all(line in str(caught.value) for line in LINES)
    assert "--yes" in caught.value.hint


def test_a_process_without_standard_input_is_a_script(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(NotAgreed, match="was not sent"):
        consent().ask(DEPOSIT, REAL)


def test_nothing_is_asked_or_shown_on_a_local_chain(person, capsys):
    asked = person()
    consent().ask(DEPOSIT, replace(REAL, worthless=True))
    assert asked == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("worthless", [True, False])
def test_a_dry_run_shows_the_same_on_every_chain_and_goes_no_further(worthless, person):
    person()
    with pytest.raises(Rehearsed) as caught:
        consent(dry_run=True, yes=True).ask(DEPOSIT, replace(REAL, worthless=worthless))
    assert caught.value.lines[:2] == LINES[:2]
    assert caught.value.data["fee"] == str(64_000 * 2 * 10**9)
    assert caught.value.data["fee_at_most"] == str(320_000 * 10**9)
    assert caught.value.data["balance_after"] == str(300 * 10**15)
    assert caught.value.data["local"] is worthless


def test_what_comes_back_to_the_sender_counts_as_held_afterwards():
    taken = replace(REAL, operation="withdraw", value=0)
    bond = Purchase("withdrawal", "north", wei_per_unit=10**15, bond=300 * 10**15, sign=-1)
    for returned, left in ((True, 10**18 - taken.fee + taken.amount), (False, 10**18 - taken.fee)):
        with pytest.raises(Rehearsed) as caught:
            consent(dry_run=True).ask(replace(bond, returned=returned), taken)
        assert caught.value.data["account_after"] == str(left)
        assert caught.value.data["balance_after"] == str(50 * 10**15)


def test_what_moves_no_amount_shows_none():
    with pytest.raises(Rehearsed) as caught:
        consent(dry_run=True).ask(Purchase("ruling", "arbiter"), replace(REAL, amount=0, value=0))
    assert caught.value.lines[0] == f"ruling by arbiter, {SENDER}"
    assert "consortium" not in caught.value.lines[2]
    assert caught.value.data["balance_after"] is None


class Asked:
    as_json = True


def test_json_of_a_dry_run_is_one_object(capsys):
    spends(lambda request, consent: consent.ask(DEPOSIT, REAL))(Asked(), yes=False, dry_run=True)
    found = json.loads(capsys.readouterr().out)["data"]
    assert (found["dry_run"], found["sender"], found["amount"]) == (True, SENDER, str(REAL.amount))
