"""Objecting to a recorded round and ending the dispute, over a ledger and a workspace.

The ledger holds who objects, the digest of the reason and the ruling; the reason itself stays off it, for the arbiter's
eyes. Left out: what a good reason is, which is for the parties' agreement and the arbiter.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cocogen.files import write_atomically
from cocogen.ledger import Ledger, Receipt, Ruling
from cocogen.rounds.workspace import Workspace

__all__ = ["raise_dispute", "resolve_dispute"]


def raise_dispute(ledger: Ledger, workspace: Workspace, index: int, document: bytes) -> tuple[Receipt, Path]:
    """Dispute the recorded round as organization ``index``; the SHA-256 of ``document`` goes on the ledger.

    Returns the receipt and where the document is kept. It is written first, so that no digest on the ledger is ever
    without its text. Raises what the ledger raises, and WorkspaceError when the document cannot be written.
    """
    digest = hashlib.sha256(document).digest()
    state = ledger.state()
    path = workspace.reason(state.round, digest)
    if state.phase == "recorded":  # else the ledger refuses, and there is nothing to keep
        write_atomically(path, document)
    return ledger.dispute(index, digest), path


def resolve_dispute(ledger: Ledger, ruling: Ruling, *, as_arbiter: bool, advance: bool = False) -> Receipt:
    """End the dispute: as the arbiter within its window, or after it as anyone with the ruling that the terms name.

    ``advance`` waits for the end of the arbiter's window first; local ledgers jump. Raises what the ledger raises.
    """
    state = ledger.state()
    if advance and state.phase == "disputed" and state.now <= state.deadline:
        ledger.wait_until(state.deadline + 1)
    return ledger.resolve(ruling, as_arbiter=as_arbiter)
