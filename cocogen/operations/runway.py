"""Who will fall out, and whose ether will not last: said while there is time to do something about it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from cocogen.amounts import in_ether, runway
from cocogen.errors import KeyUnavailable, LedgerError
from cocogen.ledger import LedgerState
from cocogen.operations.costs import Role, gas_of_rounds
from cocogen.operations.session import Session

__all__ = ["bond_warnings", "gas_warnings", "warnings"]

_ENOUGH = 2
"""Worst-case rounds that a balance should cover: the coming one, and one to deposit in."""


def warnings(session: Session, state: LedgerState) -> tuple[str, ...]:
    """What somebody should do something about before the next rounds, a sentence each."""
    rounds = session.resolved.consortium.rounds
    return (*bond_warnings(state, session.resolved.names, rounds), *gas_warnings(session, state))


def bond_warnings(state: LedgerState, names: Sequence[str], rounds: int) -> tuple[str, ...]:
    """Which members, of those who have accepted and stay, cannot last two worst-case rounds of the agreed ones."""
    found = []
    for n, name in enumerate(names):
        covered = runway(state.balances[n], state.liabilities[n])
        if not state.accepted[n] or state.exiting[n] or covered is None or covered >= _ENOUGH:
            continue
        last = _finished(state) + covered
        if last >= rounds:
            continue
        if covered == 0:
            found.append(f"{name} is below its bond: it takes no part in the next round unless it deposits")
        else:
            found.append(f"{name} covers one worst-case round: it falls out after round {last} at worst")
    return tuple(found)


def gas_warnings(session: Session, state: LedgerState) -> tuple[str, ...]:
    """Whose account, on a chain that is not local, holds less ether than the gas of the rounds left takes at present.

    Contract wallets are left out: who sends for them pays. A node that names no price says nothing of anybody.
    """
    provider, resolved = session.provider, session.resolved
    if provider.local:
        return ()
    gas = provider.gas(len(resolved.names), token=resolved.settlement.token is not None)
    left = max(0, resolved.consortium.rounds - _finished(state))
    accounts: list[tuple[str, str, Role, int]] = [
        (o.name, o.address, "organization", max(0, left - state.submitted[n]))
        for n, o in enumerate(resolved.organization)
    ]
    accounts.append(("the attester", resolved.attester, "attester", left - (state.phase != "idle")))
    with contextlib.suppress(KeyUnavailable):  # whose account the operator's is, only the operator can tell
        accounts.append(("the operator", provider.account("operator"), "operator", left))
    found = []
    with contextlib.suppress(LedgerError):
        price = provider.gas_price()
        for who, address, role, rounds in accounts:
            needed, held = gas_of_rounds(gas, role, rounds) * (price or 0), provider.ether(address)
            if held is not None and held < needed and not provider.is_wallet(address):
                what = f"{rounds} more round{'s' * (rounds != 1)}" if rounds else "its withdrawal"
                found.append(
                    f"{who} holds {in_ether(held, 6)} ether in {address}; gas for {what} takes about "
                    f"{in_ether(needed, 6)} at the present price"
                )
    return tuple(found)


def _finished(state: LedgerState) -> int:
    """Rounds that are over."""
    return state.round if state.phase == "idle" else state.round - 1
