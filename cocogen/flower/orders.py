"""Which orders a node has answered, and with what: one per round, so that nobody learns more from a second one.

Two answers of one round that differ in a known way tell more than either: about the samples that were added, and
under noise about the noise. Left out: whether an order is one that the terms allow (:mod:`.node`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from cocogen.errors import LearningError, WorkspaceError
from cocogen.files import canonical_json, write_atomically
from cocogen.flower.messages import Order

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle

__all__ = ["AnsweredOrders", "order_digest"]


def order_digest(order: Order) -> str:
    """SHA-256 over everything that an answer depends on, as hexadecimal text."""
    document = {
        "terms_hash": order.terms_hash.hex(),
        "round": order.round,
        "data": order.assignment.data,
        "raw": order.assignment.raw,
        "base": order.base.digest(),
        "variate": order.variate.digest() if order.variate else "",
    }
    if order.commitment is not None:
        document["commitment"] = order.commitment
    return hashlib.sha256(canonical_json(document)).hexdigest()


@dataclass(frozen=True, slots=True)
class AnsweredOrders:
    """The orders that nodes of one consortium have answered, in a file for each organization and round, and beside it
    the evidence that was the answer.

    ``folder``: of this deployment alone; nodes of several organizations may share it.
    """

    folder: Path

    def accept(self, organization: str, order: Order) -> None:
        """Note down ``order`` before it is answered; the same order may come again, for a round that is resumed.

        Raises
        ------
        LearningError
            Another order for this round was answered before.
        WorkspaceError
            The folder cannot be read or written.
        """
        path, digest = self.folder / f"{organization}-{order.round:04d}", order_digest(order)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.exists():
                    write_atomically(path, digest.encode())
                known = path.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"{path} cannot be used: {error.strerror or error}", hint="give the node a folder that it may write to"
            ) from error
        if known != digest.encode():
            raise LearningError(
                f"{organization} has answered another order for round {order.round}",
                hint=f"a second answer would tell more about its samples than was agreed; the first is in {path}",
            )

    def keep(self, organization: str, number: int, evidence: bytes) -> None:
        """Keep the ``evidence`` of round ``number``, so that the same order gets the same answer without training.

        Raises
        ------
        WorkspaceError
            The folder cannot be written.
        """
        write_atomically(self._evidence(organization, number), evidence)

    def evidence(self, organization: str, number: int) -> bytes | None:
        """What :meth:`keep` kept of round ``number``; None where there is nothing that can be read."""
        try:
            return self._evidence(organization, number).read_bytes()
        except OSError:
            return None

    def bundle(self, organization: str, number: int) -> Bundle:
        """The bundle that :meth:`keep` kept; EvidenceRejected where there is none that can be read."""
        from cocogen.evidence.bundle import Bundle

        return Bundle.load(self._evidence(organization, number))

    def _evidence(self, organization: str, number: int) -> Path:
        return self.folder / f"{organization}-{number:04d}.bundle"
