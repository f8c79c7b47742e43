"""The organization's agreement and key for a node, ledger and rounds for the server that Flower starts.

The server finds its files as every command does, in the environment: COCOGEN_WORKSPACE, COCOGEN_LEDGER, COCOGEN_KEYS,
COCOGEN_PASSWORD_FILE, COCOGEN_PASSWORD and COCOGEN_DATA. A node needs ``resolved.json`` and ``deployment.json`` in its
workspace, and no ledger: it signs for the chain and the contract that the record names. Left out: the processes
(:mod:`cli.flower.runtime`, :mod:`cli.flower.supernode`).
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chain.backends.journal import Journal
from chain.backends.urls import is_url
from chain.open import open_ledger
from cli.output import note
from cli.request import Request
from cocogen.data.own.conform import file_digest
from cocogen.data.own.site import load_site
from cocogen.errors import CoCoGenError, ConfigurationError
from cocogen.files import canonical_json
from cocogen.ledger import Deployment, Ledger
from cocogen.operations.sent import once_by_state
from cocogen.operations.session import deployed_folders, load_resolved, stated_addresses
from cocogen.operations.sources import own, registrations
from cocogen.rounds.workspace import Workspace
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from flwr.app import Context
    from flwr.serverapp import Grid

    from cocogen.data.sets import DataFolders
    from cocogen.evidence.member import Member
    from cocogen.flower.node import Node
    from cocogen.terms.resolved import ResolvedTerms

__all__ = [
    "OpenMember",
    "lines_file",
    "open_node",
    "outcome_file",
    "own_site",
    "rehearsing",
    "request_from_environment",
    "serve",
]

OpenMember = Callable[["ResolvedTerms", int, Callable[[], bytes]], "Member"]
"""Opens the samples of organization n of the agreement; the last argument makes the secret that privacy needs."""


def outcome_file(workspace: Workspace) -> Path:
    """Where the server leaves how its run ended, for whoever started it."""
    return workspace.root / "flower" / "outcome.json"


def lines_file(workspace: Workspace) -> Path:
    """Where the server says how the rounds go, a line at a time."""
    return workspace.root / "flower" / "rounds.txt"


def request_from_environment() -> Request:
    """The shared options of a command, from the variables that stand for them."""
    variables = {name: os.environ.get(f"COCOGEN_{name.upper()}") for name in ("workspace", "ledger", "keys", "sites")}
    return Request(config=None, as_json=False, password_file=os.environ.get("COCOGEN_PASSWORD_FILE"), **variables)


def open_node(request: Request, organization: str, state: Path, open_member: OpenMember | None = None) -> Node:
    """The node of an organization, whose own files are in ``state``.

    ``open_member`` opens its samples, by default the site file that was named, or its part of the terms' data set.

    Raises
    ------
    ConfigurationError
        The organization is none of the agreement's, or the agreement is not the deployed one.

    What it signs, and under agreed privacy its member, needs the organization's key; MissingKey where it is not here.
    """
    from chain.encoding.codec import encode
    from chain.encoding.signatures import Domain, sign
    from chain.keys.accounts import Accounts
    from cocogen.flower.node import Node
    from cocogen.flower.orders import AnsweredOrders
    from cocogen.flower.settling import Settling
    from cocogen.operations.deployment import load_deployment

    workspace = request.find_workspace()
    resolved, deployment = load_resolved(workspace), load_deployment(workspace.deployment)
    if organization not in resolved.names:
        raise ConfigurationError(
            f"this node was started for {organization!r}, which is none of {', '.join(resolved.names)}",
            hint="name the organization with -o NAME",
        )
    recorded = bytes.fromhex(deployment.terms_hash.removeprefix("0x"))
    terms_hash = encode(resolved.settlement_terms()).hashed_as(recorded).terms_hash
    if terms_hash != recorded:
        raise ConfigurationError(
            f"{workspace.deployment} records the terms {deployment.terms_hash}, not those of {workspace.resolved}",
            hint="take both files from the operator, and read the terms before you agree to them",
        )
    n = resolved.names.index(organization)
    local = not is_url(request.deployed_ledger(workspace, deployment))
    accounts = Accounts(resolved.consortium.seed, local=local, source=request.key_source(stated_addresses(resolved)))
    domain = Domain(deployment.chain_id, deployment.address)

    def signed(digest: bytes) -> bytes:
        key = accounts.signer(organization, resolved.organization[n].address).key
        return sign(domain.evidence_digest(digest), bytes(key))

    own_ledger = ledger_of_a_node(request, workspace, resolved, deployment, state)
    opener = open_member or (
        own_site(workspace, request.site_files())
        if resolved.learning.dataset == OWN
        else rehearsing(deployed_folders(deployment, workspace, request.data_dir))
    )
    consortium = hashlib.sha256(domain.separator + terms_hash).hexdigest()[:16]
    return Node(
        organization=organization,
        terms_hash=terms_hash,
        rounds=resolved.consortium.rounds,
        maximum=resolved.organization[n].generation_maximum,
        orders=AnsweredOrders(workspace.root / "flower-orders" / consortium),
        sign=signed,
        settling=own_ledger and Settling(n, resolved.settlement_terms().members[n], terms_hash, state, own_ledger),
        member=partial(opener, resolved, n, partial(_salt, terms_hash, signed)),
    )


def ledger_of_a_node(
    request: Request, workspace: Workspace, resolved: ResolvedTerms, deployment: Deployment, state: Path
) -> Callable[[], AbstractContextManager[Ledger]] | None:
    """Opens the ledger that a node hands its contribution in to; None on a chain that is in the server's process.

    The node looks there with its own request alone: it neither has nor needs the workspace's lock.
    """
    specification = request.deployed_ledger(workspace, deployment)
    if not is_url(specification):
        return None

    @contextmanager
    def opened() -> Iterator[Ledger]:
        keys, journal = request.key_source(stated_addresses(resolved)), Journal(state / "sent.json")
        provider = open_ledger(specification, seed=resolved.consortium.seed, keys=keys, journal=journal)
        with closing(provider):
            yield provider.connect(resolved.settlement_terms(), deployment)

    return opened


def _salt(terms_hash: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """32 bytes that follow from the organization's key alone: the hash of a signature that it shows to nobody.

    The signed document is none that evidence or a node's identity could have, and it is signed for one contract.
    Signatures are deterministic, so a round that is resumed gets the same noise.
    """
    document = {"purpose": "salt", "terms_hash": terms_hash.hex()}
    signature = sign(hashlib.sha256(canonical_json(document)).digest())
    return hashlib.sha256(b"CoCoGen salt" + signature).digest()


def rehearsing(folders: DataFolders) -> OpenMember:
    """Opens an organization's part of a data set that everybody has: loaded once, then kept."""
    kept: list[Member] = []

    def opened(resolved: ResolvedTerms, n: int, salt: Callable[[], bytes]) -> Member:
        from cocogen.evidence.member import Agreed, Member

        if not kept:
            agreed = Agreed.of(resolved)
            # The public salt gives the very bundles of local runs; noise must not follow from it.
            secret = salt() if resolved.learning.privacy else None
            kept.append(Member(agreed, agreed.source(folders), n, salt=secret))
        return kept[0]

    return opened


def own_site(workspace: Workspace, sites: Sequence[Path]) -> OpenMember:
    """Opens an organization's own data, as its site file says: read once, and looked at again for every order.

    Its file is read again where its bytes have changed, and refused where its rows are not those that were registered.
    """
    kept: list[tuple[str, Member]] = []

    def opened(resolved: ResolvedTerms, n: int, salt: Callable[[], bytes]) -> Member:
        from cocogen.evidence.member import Agreed, Member

        if len(sites) != 1:
            raise ConfigurationError("no site file was named", hint="name the organization's own: cocogen node SITE")
        digest = file_digest(load_site(sites[0]))
        if not kept or kept[0][0] != digest:
            kept.clear()
            source = own(registrations(workspace, resolved), sites)
            agreed = Agreed.of(resolved)
            kept.append((digest, Member(agreed, source(agreed), n, salt=salt() if resolved.learning.privacy else None)))
        return kept[0][1]

    return opened


def serve(grid: Grid, context: Context) -> None:
    """Play the rounds that are left, as the ServerApp; how it ended is written down in the workspace."""
    from cocogen.flower.strategy import SettledRounds

    request = request_from_environment()
    workspace = request.find_workspace()
    _tell_in(lines_file(workspace))
    try:
        with request.opened() as session:
            bonds, most = bool(context.run_config["bonds"]), int(context.run_config["rounds"])
            state, rounds = session.ledger.state(), session.resolved.consortium.rounds
            strategy = SettledRounds(
                session.loop,
                context.run_id,
                deadline=float(context.run_config["deadline"]),
                patience=float(context.run_config["patience"]),
                before_round=partial(once_by_state, session.journal, session.loop.bond, note) if bonds else _nothing,
                members_submit=is_url(request.deployed_ledger(workspace, session.deployment)),
            )
            left = rounds - (state.round if state.phase == "idle" else state.round - 1)
            if left > 0:
                strategy.play(grid, min(left, most) if most else left)
        workspace.write_json(outcome_file(workspace), {"status": "ok"})
    except CoCoGenError as error:
        failure = {"status": "error", "code": error.code, "message": error.message, "hint": error.hint}
        workspace.write_json(outcome_file(workspace), failure)
        raise


def _tell_in(path: Path) -> None:
    """Write what the rounds tell into a file, a line each, for whoever started this process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.getLogger("flwr.cocogen").addHandler(handler)


def _nothing() -> None:
    """Each member deposits itself."""
