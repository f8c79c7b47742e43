"""What every role pays, from the first transaction to the last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cocogen.fees import Gas
from cocogen.operations.costs import costs, gas_of_rounds

GAS = Gas(
    deploy=3_000_000,
    approve=0,
    first_deposit=60_000,
    founding=30_000,
    deposit=40_000,
    open=38_000,
    open_first=75_000,
    submit=55_000,
    submit_first=73_000,
    record=39_000,
    record_first=56_000,
    calculate=90_000,
    transfer=70_000,
    withdraw=50_000,
    dispute=38_000,
    resolve=60_000,
)
STATED = {
    "consortium": "clinics",
    "names": ("north", "harbor", "meadow"),
    "gas": GAS,
    "price": 2 * 10**9,
    "source": "as stated",
    "wei_per_unit": 10**15,
}


@pytest.mark.parametrize("rounds", [1, 5])
def test_each_role_pays_for_what_it_sends_and_the_first_round_is_dearer(rounds):
    found = costs(rounds=rounds, **STATED)
    later = rounds - 1
    assert found.gas_of("operator") == 3_000_000 + 56_000 + later * 39_000 + rounds * 160_000
    assert found.gas_of("attester") == 75_000 + later * 38_000
    assert found.gas_of("organization") == 60_000 + 73_000 + later * 55_000 + 50_000
    assert found.gas_of("arbiter") == 0, "it sends nothing unless somebody objects"
    everybody = found.gas_of("operator") + found.gas_of("attester") + 3 * found.gas_of("organization")
    assert found.gas == everybody + 30_000
    assert [(step.role, step.gas) for step in found.steps if step.disputed] == [
        ("organization", 38_000),
        ("arbiter", 60_000),
    ]


def test_a_token_has_to_be_approved():
    plain = costs(rounds=2, **STATED)
    token = costs(rounds=2, **{**STATED, "gas": replace(GAS, approve=44_000)}, token=True)
    assert token.gas_of("organization") == plain.gas_of("organization") + 44_000
    assert [step.times for step in token.steps if "tokens" in step.what] == [1]


def test_plain_values_are_exact_and_bonds_say_when_they_are_unknown():
    unknown = costs(rounds=2, **STATED).plain()
    assert unknown["bonds"] is None
    assert unknown["all"] == {"gas": unknown["all"]["gas"], "fee": str(unknown["all"]["gas"] * 2 * 10**9)}
    assert unknown["roles"]["organization"]["count"] == 3
    assert sum(step["gas"] for step in unknown["roles"]["operator"]["steps"]) == unknown["roles"]["operator"]["gas"]
    known = costs(rounds=2, **STATED, liabilities={"north": 10**30 + 1}, dispute_bond=7).plain()
    assert known["bonds"] == {"north": {"liability": str(10**30 + 1), "deposit": str(2 * 10**30 + 2)}}
    assert known["dispute_bond"] == "7"


@pytest.mark.parametrize(
    ("role", "gas"), [("operator", 3 * 199_000), ("attester", 114_000), ("organization", 215_000), ("arbiter", 0)]
)
def test_the_rounds_that_are_left_need_what_later_rounds_take(role, gas):
    assert gas_of_rounds(GAS, role, 3) == gas
