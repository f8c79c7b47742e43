"""Disputes from the command line: who may object, the arbiter's three rulings, and what happens without one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
BOND = 2 * 10**15


def balances(cocogen) -> dict[str, int]:
    return {name: int(entry["balance"]) for name, entry in cocogen.json("status")["organizations"].items()}


@pytest.fixture
def disputed(states, recorded):
    """North objects to the recorded round."""

    def reach(cocogen) -> None:
        cocogen("dispute raise -o north --reason my-count-is-wrong")

    return states("disputed", reach, after="recorded")


def test_an_objection_goes_on_the_ledger_as_a_digest_and_stays_in_the_workspace_as_text(recorded):
    said = recorded.json("dispute raise -o north --reason my-count-is-wrong")
    assert (recorded.folder / said["reason"]).read_text() == "my-count-is-wrong"
    status = recorded.json("status")
    assert status["phase"] == "disputed"
    assert status["history"][0]["status"] == "disputed"
    assert status["history"][0]["dispute"] == {
        "organization": "north",
        "reason_hash": "0x" + hashlib.sha256(b"my-count-is-wrong").hexdigest(),
        "ruling": None,
        "forfeited": "0",
    }
    assert "dispute resolve" in status["next"]
    assert "by the arbiter" in recorded("status").out


def test_a_reason_can_come_from_a_file(recorded):
    (recorded.folder / "why.txt").write_bytes(b"see the log\n")
    said = recorded.json("dispute raise -o meadow --reason-file why.txt")
    assert Path(said["reason"]).name.startswith("dispute-" + hashlib.sha256(b"see the log\n").hexdigest()[:16])


@pytest.mark.parametrize(
    "arguments",
    [
        "-o north",
        "-o north --reason a --reason-file why.txt",
        "-o nobody --reason a",
        "-o north --reason-file empty.txt",
    ],
)
def test_an_objection_needs_one_reason_and_a_known_organization(recorded, arguments):
    (recorded.folder / "why.txt").write_text("why")
    (recorded.folder / "empty.txt").write_text(" \n")
    assert recorded.json(f"dispute raise {arguments}", code=2)["code"] == "ConfigurationError"
    assert recorded.json("status")["phase"] == "recorded"


def test_the_bond_is_locked_while_the_dispute_is_open(disputed):
    before = disputed.json("status")["organizations"]["north"]
    free = int(before["balance"]) - int(before["liability"]) - BOND
    refused = disputed.json(f"withdraw -o north --amount {free + 1}wei", code=3)
    assert refused["code"] == "BondLocked"
    assert disputed.json(f"withdraw -o north --amount {free}wei")["withdrawn"] == str(free)


def test_a_disputed_round_cannot_be_settled(disputed):
    refused = disputed.json("round settle --advance", code=2)
    assert "disputed" in refused["message"]
    assert "dispute resolve" in refused["hint"]


def test_a_round_is_disputed_only_while_it_is_recorded_and_a_late_reason_leaves_no_file(settled):
    assert settled.json("dispute raise -o north --reason late", code=3)["code"] == "WrongPhase"
    assert not list(settled.folder.rglob("dispute-*"))


def test_settling_rules_that_the_contributions_stand(disputed):
    before = balances(disputed)
    ruled = disputed.json("dispute resolve settle")
    assert (ruled["ruling"], ruled["forfeited"], ruled["organization"]) == ("settle", "0", "north")
    assert disputed.json("dispute raise -o harbor --reason again", code=3)["code"] == "TooLate"
    settled = disputed.json("round settle")  # no window to wait for any more
    transfers = {name: int(wei) for name, wei in settled["transfers"].items()}
    assert sum(transfers.values()) == 0
    assert balances(disputed) == {name: before[name] + transfers[name] for name in NAMES}
    assert disputed.json("audit")["status"] == "PASS"


def test_forfeiting_shares_the_bond_among_the_others_to_the_wei(disputed):
    before = balances(disputed)
    ruled = disputed.json("dispute resolve settle-and-forfeit")
    share = BOND // 5
    assert int(ruled["forfeited"]) == 5 * share
    after = balances(disputed)
    assert after["north"] == before["north"] - 5 * share
    assert all(after[name] == before[name] + share for name in NAMES[1:])
    disputed("round settle")
    assert disputed.json("audit")["status"] == "PASS"


def test_voiding_ends_the_round_without_payoffs(disputed):
    before = balances(disputed)
    disputed("dispute resolve void")
    status = disputed.json("status")
    assert (status["phase"], status["history"][0]["status"]) == ("idle", "voided")
    assert status["history"][0]["dispute"]["ruling"] == "void"
    assert balances(disputed) == before
    assert disputed.json("audit")["status"] == "PASS"


def test_a_silent_arbiter_is_replaced_by_the_default_after_its_window(disputed):
    early = disputed.json("dispute resolve --default", code=3)
    assert early["code"] == "NotArbiter"
    assert disputed.json("dispute resolve --default --advance")["ruling"] == "settle"
    disputed("round settle")
    assert disputed.json("audit")["status"] == "PASS"


def test_after_its_window_the_arbiter_can_only_confirm_the_default(disputed):
    disputed("chain advance 86401")
    assert disputed.json("dispute resolve void", code=3)["code"] == "NotDefaultRuling"
    assert "--default" in disputed.json("status")["next"]


@pytest.mark.parametrize("arguments", ["", "settle --default", "settle --advance", "perhaps"])
def test_a_ruling_is_one_of_three_or_the_default(disputed, arguments):
    refused = disputed.json(f"dispute resolve {arguments}", code=2)
    assert refused["code"] in ("ConfigurationError", "UsageError")
    assert disputed.json("status")["phase"] == "disputed"
