"""What it costs to use the ledger: gas and ether of every role, for all rounds of the terms or for those that are left.

Gas is that of rounds in which everybody contributes and nobody objects; an objection and its ruling stand apart. Pure:
gas and price are handed in (:class:`cocogen.fees.Paying` has both). Left out: bonds, which come back, unless they are
known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cocogen.fees import Gas

__all__ = ["ASSUMED_PRICE", "Costs", "Role", "Step", "costs", "gas_of_rounds"]

ASSUMED_PRICE = 5 * 10**9
"""Wei for a unit of gas where no ledger is asked: 5 gwei, ours."""

Role = Literal["operator", "attester", "organization", "arbiter"]


@dataclass(frozen=True, slots=True)
class Step:
    """What a role sends: ``times`` transactions that take ``gas`` in all; ``disputed``: only where somebody objects."""

    role: Role
    what: str
    times: int
    gas: int
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Costs:
    """What every role pays for gas.

    ``steps``: of an organization those of each; the one that deposits first pays ``founding`` gas more. ``price``: wei
    for a unit of gas, ``source`` says whose. ``liabilities``: the bond that each organization needs, in wei, by name;
    None where the terms have not been resolved. ``dispute_bond``: wei that an objection locks.
    """

    consortium: str
    names: tuple[str, ...]
    rounds: int
    wei_per_unit: int
    token: bool
    price: int
    source: str
    steps: tuple[Step, ...]
    founding: int
    dispute_bond: int
    liabilities: dict[str, int] | None

    def gas_of(self, role: Role) -> int:
        """Gas of one who has the role, over all rounds, if nobody objects."""
        return sum(step.gas for step in self.steps if step.role == role and not step.disputed)

    @property
    def gas(self) -> int:
        """Gas of everybody together, if nobody objects."""
        each = self.gas_of("organization") * len(self.names)
        return self.gas_of("operator") + self.gas_of("attester") + each + self.founding

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return {
            "consortium": self.consortium,
            "organizations": len(self.names),
            "rounds": self.rounds,
            "token": self.token,
            "gas_price": str(self.price),
            "gas_price_source": self.source,
            "roles": {
                role: {
                    "count": len(self.names) if role == "organization" else 1,
                    "gas": self.gas_of(role),
                    "fee": str(self.gas_of(role) * self.price),
                    "steps": [
                        {
                            "what": step.what,
                            "times": step.times,
                            "gas": step.gas,
                            "fee": str(step.gas * self.price),
                            "disputed": step.disputed,
                        }
                        for step in self.steps
                        if step.role == role
                    ],
                }
                for role in ("operator", "attester", "organization", "arbiter")
            },
            "first_deposit_more": {"gas": self.founding, "fee": str(self.founding * self.price)},
            "all": {"gas": self.gas, "fee": str(self.gas * self.price)},
            "dispute_bond": str(self.dispute_bond),
            "bonds": None
            if self.liabilities is None
            else {name: {"liability": str(wei), "deposit": str(2 * wei)} for name, wei in self.liabilities.items()},
        }


def costs(
    *,
    consortium: str,
    names: tuple[str, ...],
    rounds: int,
    gas: Gas,
    price: int,
    source: str,
    wei_per_unit: int,
    token: bool = False,
    dispute_bond: int = 0,
    liabilities: dict[str, int] | None = None,
) -> Costs:
    """What every role pays from the deployment to the last withdrawal; see :class:`Costs` for the arguments.

    ``gas``: of a consortium of so many organizations; ``rounds``: at least 1.
    """
    later = rounds - 1
    approvals = [Step("organization", "let the contract take the tokens", 1, gas.approve)] if token else []
    steps = (
        Step("operator", "deploy", 1, gas.deploy),
        Step("operator", "record", rounds, gas.record_first + later * gas.record),
        Step("operator", "settle", 2 * rounds, rounds * (gas.calculate + gas.transfer)),
        Step("attester", "open a round", rounds, gas.open_first + later * gas.open),
        *approvals,
        Step("organization", "deposit", 1, gas.first_deposit),
        Step("organization", "submit", rounds, gas.submit_first + later * gas.submit),
        Step("organization", "withdraw", 1, gas.withdraw),
        Step("organization", "object", 1, gas.dispute, disputed=True),
        Step("arbiter", "rule", 1, gas.resolve, disputed=True),
    )
    return Costs(
        consortium=consortium,
        names=names,
        rounds=rounds,
        wei_per_unit=wei_per_unit,
        token=token,
        price=price,
        source=source,
        steps=steps,
        founding=gas.founding,
        dispute_bond=dispute_bond,
        liabilities=liabilities,
    )


def gas_of_rounds(gas: Gas, role: Role, rounds: int) -> int:
    """Gas that a role needs for so many more rounds, an organization with its withdrawal at the end."""
    if role == "operator":
        return rounds * (gas.record + gas.calculate + gas.transfer)
    if role == "attester":
        return rounds * gas.open
    if role == "organization":
        return rounds * gas.submit + gas.withdraw
    return 0
