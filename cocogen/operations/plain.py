"""Values of the ledger as plain JSON: amounts of wei are strings, since numbers lose their last digits."""

from __future__ import annotations

from typing import Any

from cocogen.ledger import Contribution, Deployment, Receipt

__all__ = ["plain_contribution", "plain_deployment", "plain_receipt"]


def plain_deployment(deployment: Deployment) -> dict[str, Any]:
    """Where a consortium's ledger lives."""
    return {
        "backend": deployment.backend.partition(":")[0],
        "address": deployment.address,
        "terms_hash": deployment.terms_hash,
        "chain_id": deployment.chain_id,
    }


def plain_contribution(contribution: Contribution | None) -> Any:
    """A contribution; None stays None."""
    if contribution is None:
        return None
    return {
        "data": contribution.data,
        "generated": contribution.generated,
        "compute": contribution.compute,
        "evidence_hash": "0x" + contribution.evidence_hash.hex(),
    }


def plain_receipt(receipt: Receipt | None) -> dict[str, Any] | None:
    """An executed operation; None stays None."""
    if receipt is None:
        return None
    return {
        "operation": receipt.operation,
        "transaction": receipt.transaction,
        "gas": receipt.gas,
        "time": receipt.time,
    }
