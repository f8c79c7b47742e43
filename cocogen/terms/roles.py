"""Who judges whom: accounts that hold two roles of which one is there to check the other.

The contract allows it, and a consortium may want it; nobody should find it out later. The operator judges nobody.
"""

from __future__ import annotations

from cocogen.terms.resolved import ResolvedTerms

__all__ = ["shared_roles"]


def shared_roles(resolved: ResolvedTerms) -> list[str]:
    """One sentence for each account that holds two roles of which one judges the other; empty where none does."""
    attester, arbiter = resolved.attester.lower(), resolved.arbiter.lower()
    found = []
    for organization in resolved.organization:
        address = organization.address.lower()
        if address == attester:
            found.append(
                f"{organization.name} and the attester are one account ({organization.address}): it measures and signs "
                "its own contributions, and those of its rivals"
            )
        if address == arbiter:
            found.append(
                f"{organization.name} and the arbiter are one account ({organization.address}): it rules on disputes "
                "to which it is a party"
            )
    if attester == arbiter:
        found.append(
            f"attester and arbiter are one account ({resolved.attester}): it rules on disputes over what it signed"
        )
    return found
