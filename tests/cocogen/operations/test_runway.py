"""Who will fall out, and whose ether will not last, is said in time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from chain.gas import measured_gas
from cocogen.errors import KeyUnavailable, LedgerError
from cocogen.ledger import LedgerState
from cocogen.operations.costs import gas_of_rounds
from cocogen.operations.runway import bond_warnings, gas_warnings
from cocogen.operations.session import open_consortium
from cocogen.operations.status import status

NAMES = ("north", "harbor", "meadow")
PRICE = 3 * 10**9


def state(*balances: int, **changes: object) -> LedgerState:
    three = (True,) * 3
    plain = LedgerState(
        round=3, phase="idle", now=0, deadline=0, relay_from=0, next_round_from=0, accepted=three, solvent=three,
        exiting=(False,) * 3, participants=(False,) * 3, submitted=(False,) * 3, balances=balances,
        liabilities=(100,) * 3, total_balance=sum(balances), ledger_hash=b"",
    )  # fmt: skip
    return replace(plain, **changes)


def test_a_balance_of_less_than_two_worst_cases_is_told_with_its_last_round():
    assert bond_warnings(state(200, 199, 99), NAMES, 10) == (
        "harbor covers one worst-case round: it falls out after round 4 at worst",
        "meadow is below its bond: it takes no part in the next round unless it deposits",
    )


def test_the_running_round_counts_as_one_that_is_still_to_be_paid():
    (found,) = bond_warnings(state(200, 200, 100, phase="open"), NAMES, 10)
    assert found.endswith("falls out after round 3 at worst")


@pytest.mark.parametrize(
    "changes",
    [
        {"exiting": (True,) * 3},
        {"accepted": (False,) * 3},
        {"liabilities": (0,) * 3},
        {"round": 9},
        {"round": 10},
    ],
    ids=str,
)
def test_nobody_is_warned_who_leaves_has_not_come_cannot_lose_or_lasts_to_the_end(changes):
    assert bond_warnings(state(150, 150, 150, **changes), NAMES, 10) == ()


class Provider:
    """A chain whose money counts; ``held`` by address."""

    local = False

    def __init__(self, held: dict[str, int], *, wallet: str = "", operator: bool = True, price: object = PRICE):
        self.held, self.wallet, self.operator, self.price = held, wallet, operator, price

    def gas(self, members, *, token):
        return measured_gas(members, token=token)

    def gas_price(self):
        if self.price is None:
            raise LedgerError("no price")
        return self.price

    def ether(self, address):
        return self.held[address]

    def is_wallet(self, address):
        return address == self.wallet

    def account(self, name):
        if not self.operator:
            raise KeyUnavailable("elsewhere")
        return "0xoperator"


def session(provider: Provider) -> SimpleNamespace:
    organizations = tuple(SimpleNamespace(name=name, address=f"0x{name}") for name in NAMES)
    resolved = SimpleNamespace(
        names=NAMES,
        organization=organizations,
        attester="0xattester",
        settlement=SimpleNamespace(token=None),
        consortium=SimpleNamespace(rounds=5),
    )
    return SimpleNamespace(provider=provider, resolved=resolved)


def enough(rounds: int = 2) -> dict[str, int]:
    gas = measured_gas(3)
    each = {f"0x{name}": gas_of_rounds(gas, "organization", rounds) * PRICE for name in NAMES}
    return each | {f"0x{role}": gas_of_rounds(gas, role, rounds) * PRICE for role in ("attester", "operator")}


def test_whoever_holds_a_wei_less_than_the_rounds_that_are_left_need_is_told():
    now = state(200, 200, 200)
    assert gas_warnings(session(Provider(enough())), now) == ()
    for address in enough():
        (found,) = gas_warnings(session(Provider(enough() | {address: enough()[address] - 1})), now)
        assert address in found
        assert "gas for 2 more rounds takes about 0." in found


def test_what_was_sent_in_the_running_round_is_not_needed_again():
    running = state(200, 200, 200, round=4, phase="open", submitted=(True, False, True))
    less = enough(1) | {"0xharbor": enough(2)["0xharbor"], "0xoperator": enough(2)["0xoperator"]}
    assert gas_warnings(session(Provider(less)), running) == ()
    (found,) = gas_warnings(session(Provider(enough(1) | {"0xoperator": enough(2)["0xoperator"]})), running)
    assert found.startswith("harbor holds")


def test_wallets_unknown_operators_nodes_without_a_price_and_local_chains_are_left_out():
    now, poor = state(200, 200, 200), dict.fromkeys(enough(), 0)
    names = [text.split(" holds")[0] for text in gas_warnings(session(Provider(poor, wallet="0xnorth")), now)]
    assert names == ["harbor", "meadow", "the attester", "the operator"]
    assert len(gas_warnings(session(Provider(poor, operator=False)), now)) == 4
    assert gas_warnings(session(Provider(poor, price=None)), now) == ()
    local = Provider(poor)
    local.local = True
    assert gas_warnings(session(local), now) == ()


def test_the_status_says_who_falls_out(deployed, memory):
    with open_consortium(deployed.workspace, memory) as opened:
        assert status(opened).warnings == ()
        opened.ledger.deposit(0, opened.ledger.state().liabilities[0])
        found = status(opened)
        name = opened.resolved.names[0]
        expected = f"{name} covers one worst-case round: it falls out after round 1 at worst"
        assert found.warnings == ((expected,) if opened.resolved.consortium.rounds > 1 else ())
        assert found.plain()["warnings"] == list(found.warnings)
