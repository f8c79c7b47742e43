"""The coming round as it looks now: who takes part, and what silence costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cocogen.errors import LearningError
from cocogen.operations.outlook import coming_round, coming_silence, plain_silence
from cocogen.operations.session import Session, open_consortium


@pytest.fixture
def consortium(deployed, memory) -> Iterator[Session]:
    with open_consortium(deployed.workspace, memory) as opened:
        yield opened


def test_before_enough_have_bonded_everybody_is_expected(consortium):
    assert coming_round(consortium) == (1, [True] * 6)


def test_between_rounds_those_who_can_and_stay_are_expected_and_then_those_who_take_part(consortium):
    consortium.loop.bond()
    consortium.ledger.exit(5)
    assert coming_round(consortium) == (1, [True] * 5 + [False])
    consortium.loop.open()
    consortium.ledger.exit(0)
    assert coming_round(consortium) == (1, [True] * 5 + [False])


def test_silence_is_told_to_the_wei_and_not_to_whoever_takes_no_part(consortium):
    consortium.loop.bond()
    consortium.ledger.exit(5)
    number, participants = coming_round(consortium)
    told = plain_silence(consortium, consortium.loop.plan(number, participants), participants)
    assert told["lakeview"] is None
    for entry in (told[name] for name in consortium.resolved.names[:5]):
        assert int(entry["saved"]) == int(entry["silent"]) - int(entry["contributing"])
        assert list(entry) == ["contributing", "silent", "saved", "most_saved", "settles_without"]
    assert coming_silence(consortium, 0) == (1, told["north"])
    assert coming_silence(consortium, 5) == (1, None)


def test_a_deposit_does_not_depend_on_the_plan(consortium, monkeypatch):
    def fails(*_):
        raise LearningError("the evidence of an earlier round is elsewhere")

    monkeypatch.setattr(consortium.loop, "plan", fails)
    assert coming_silence(consortium, 0) == (1, None)
