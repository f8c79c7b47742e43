"""Evidence on its way to the attester: what was handed in for a round, and why the rest of it does not count.

A file counts for the organization that it speaks for, if that takes part; a file that cannot be read, or that speaks
for somebody else, is refused by the name it lies under. Left out: whether the evidence holds
(``cocogen.evidence.attester``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cocogen.errors import REASON_LIMIT, EvidenceRejected, WorkspaceError
from cocogen.files import write_atomically
from cocogen.ledger import LedgerState
from cocogen.printable import shorten
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle

__all__ = ["handed_in", "keep"]


def keep(
    workspace: Workspace, names: Sequence[str], number: int, evidence: Mapping[int, bytes], absent: Mapping[int, str]
) -> None:
    """Store what came of training elsewhere: the bytes of bundles, unread, and why the others have sent none."""
    for n, content in evidence.items():
        write_atomically(workspace.bundle(number, names[n]), content)
    reasons = {names[n]: reason for n, reason in absent.items()}
    workspace.write_json(workspace.absent(number), reasons)


def handed_in(
    resolved: ResolvedTerms,
    workspace: Workspace,
    state: LedgerState,
    verify: Callable[[str, bytes, bytes], bool],
    files: Sequence[Path] | None = None,
) -> tuple[list[Bundle | None], dict[str, str]]:
    """Each organization's evidence of the running round, and why what else was handed in, or never came, is not there.

    ``files``: where the evidence is, by default in its places in the workspace. Of several files that speak for an
    organization the last one counts, but none after one whose signature holds: ``verify`` says of an address, the 32
    bytes signed and a signature whether it does.

    Raises
    ------
    WorkspaceError
        There is nothing, or the file that says why organizations have sent nothing is malformed.
    """
    from cocogen.evidence.bundle import Bundle

    number, names = state.round, resolved.names

    def is_signed(bundle: Bundle, n: int) -> bool:
        return verify(resolved.organization[n].address, bundle.digest(), bundle.signature)

    paths = files if files is not None else [workspace.bundle(number, name) for name in names]
    found: list[Bundle | None] = [None] * len(names)
    rejected: dict[str, str] = {}
    if files is None and workspace.absent(number).exists():
        reasons = _absent(workspace, names, number)
        rejected |= {name: why for name, why in reasons if not workspace.bundle(number, name).exists()}
    for path in paths:
        if files is None and not path.exists():
            continue
        try:
            bundle = Bundle.load(path)
        except EvidenceRejected as error:
            rejected[path.stem] = error.reason
            continue
        if bundle.organization not in names or not state.participants[names.index(bundle.organization)]:
            rejected[path.stem] = f"{bundle.organization!r} takes no part in round {number}"
            continue
        n = names.index(bundle.organization)
        # A file in somebody else's name must not push out what that organization really signed.
        if files is None and path.stem != bundle.organization:
            rejected[path.stem] = f"its file holds evidence in the name of {bundle.organization}"
        elif (other := found[n]) is None or not is_signed(other, n):
            found[n] = bundle
    if not any(bundle is not None for bundle in found) and not rejected:
        raise WorkspaceError(
            f"there is no evidence of round {number} to attest", hint="let the organizations run `cocogen train`"
        )
    return found, rejected


def _absent(workspace: Workspace, names: Sequence[str], number: int) -> list[tuple[str, str]]:
    """Names of known organizations, and why each has sent nothing."""
    path = workspace.absent(number)
    reasons = workspace.read_json(path)
    if not isinstance(reasons, dict) or not all(isinstance(reason, str) for reason in reasons.values()):
        raise WorkspaceError(f"{path} does not hold a reason for each name", hint="remove it, or restore a copy")
    return [(name, shorten(reasons[name], REASON_LIMIT)) for name in names if name in reasons]
