"""Joining a deployed consortium from one's own machine: what a member looks at, and what it agrees to.

The file that the operator hands over is compared with the chain, seen through the member's own node; its own line with
what it registered itself. Everything else is said in words before a bond is paid.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cocogen.errors import ConfigurationError, RegistrationRefused, WorkspaceError
from cocogen.evidence.registered import Registration
from cocogen.ledger import Deployment
from cocogen.operations.consortium_file import ConsortiumFile
from cocogen.operations.deployment import load_deployment
from cocogen.operations.session import Session
from cocogen.rounds.workspace import Workspace
from cocogen.terms.sections import OWN

__all__ = ["Offer", "offer", "open_file", "own_line"]


def open_file(file: ConsortiumFile, workspace: Workspace, *, ledger: str, terms_file: str) -> None:
    """Write a consortium file into a workspace, which must be held; one that holds this consortium already stays.

    Raises
    ------
    WorkspaceError
        The workspace holds another consortium.
    """
    if workspace.deployment.exists():
        record = load_deployment(workspace.deployment)
        if _place(record) != _place(file.deployment):
            raise WorkspaceError(
                f"{workspace.root} holds another deployment, {record.address}",
                hint="choose another folder with --workspace",
            )
        return
    file.unpack(workspace, ledger=ledger, terms_file=terms_file)


def _place(deployment: Deployment) -> tuple[str, str, int]:
    return deployment.address.lower(), deployment.terms_hash, deployment.chain_id


def own_line(file: ConsortiumFile, name: str, registration: Registration | None) -> None:
    """Compare what the resolved terms say of ``name`` with what it registered itself.

    Raises
    ------
    ConfigurationError
        No organization is called so.
    RegistrationRefused
        The terms rest on another registration, or say other counts than it.
    """
    resolved = file.resolved
    if name not in resolved.names:
        raise ConfigurationError(
            f"no organization of {resolved.consortium.name} is called {name!r}",
            hint=f"choose one of {', '.join(resolved.names)}",
        )
    mine = resolved.organization[resolved.names.index(name)]
    if resolved.learning.dataset != OWN:
        return
    if registration is None:
        raise RegistrationRefused(
            name, "there is no registration of its own to compare with", hint="name it with --registration"
        )
    if mine.registration != registration.digest().hex():
        raise RegistrationRefused(
            name,
            "the terms rest on another registration than its own",
            hint="do not deposit; ask the operator which file it was given",
        )
    counts, rows = registration.sums.classes, registration.document.training
    mix = tuple(count / rows for count in counts)
    if mine.local != rows or any(abs(a - b) > 1e-9 for a, b in zip(mine.label_mix, mix, strict=True)):
        raise RegistrationRefused(
            name, "the terms say other counts than it registered", hint="do not deposit; ask the operator why"
        )
    if mine.address.lower() != registration.document.address.lower():
        raise RegistrationRefused(
            name, f"the terms name the account {mine.address}, it registered {registration.document.address}"
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What an organization agrees to by its deposit; amounts in wei, durations in seconds.

    ``worst_round``: the most that one round can take from it, which the bond must cover; ``deposit``: what is missing
    to twice that. ``generates``: the most synthetic samples of a round; ``openings``: rows that it opens to the
    attester in a round.
    """

    organization: str
    address: str
    consortium: str
    mechanism: str
    rounds: int
    worst_round: int
    deposit: int
    balance: int
    submit_window: int
    dispute_window: int
    arbiter_window: int
    attester: str
    arbiter: str
    registered: int
    generates: int
    openings: int
    absence: str

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return asdict(self) | {name: str(getattr(self, name)) for name in ("worst_round", "deposit", "balance")}


def offer(session: Session, name: str) -> Offer:
    """What the ledger and the resolved terms of an opened consortium say of ``name``; opening the ledger compared its
    code and its documentHash with the terms."""
    n, resolved, state = session.index(name), session.resolved, session.ledger.state()
    mine, settlement = resolved.organization[n], resolved.settlement
    return Offer(
        organization=name,
        address=mine.address,
        consortium=resolved.consortium.name,
        mechanism=resolved.consortium.mechanism,
        rounds=resolved.consortium.rounds,
        worst_round=state.liabilities[n],
        deposit=max(0, 2 * state.liabilities[n] - state.balances[n]),
        balance=state.balances[n],
        submit_window=settlement.submit_window,
        dispute_window=settlement.dispute_window,
        arbiter_window=settlement.arbiter_window,
        attester=resolved.attester,
        arbiter=resolved.arbiter,
        registered=mine.local,
        generates=mine.generation_maximum if resolved.generates else 0,
        openings=resolved.attestation.openings,
        absence="masked" if resolved.masks else str(settlement.absence),
    )
