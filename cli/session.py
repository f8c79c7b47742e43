"""From the options of a command to the consortium, workspace, ledger and loop that it works on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain.backends.journal import Journal
from chain.errors.reverts import ContractError
from chain.open import AuditableProvider, open_ledger
from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.files import read_bounded
from cocogen.ledger import Contribution, Deployment, Ledger
from cocogen.operations.deployment import load_deployment
from cocogen.rounds.loop import Progress, RoundLoop
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium, load_consortium
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from cocogen.data.sets import DataFolders
    from cocogen.terms.load import Terms

__all__ = [
    "EMBEDDED",
    "HOME",
    "Request",
    "Session",
    "absolute",
    "contribution_data",
    "ledger_data",
    "ledger_location",
    "load_resolved",
    "stated_addresses",
]

HOME = Path(".cocogen")
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Request:
    """The shared options as they were given."""

    config: str | None
    workspace: str | None
    ledger: str | None
    as_json: bool
    keys: str | None = None
    password_file: str | None = None
    data_dir: str | None = None

    def consortium(self) -> Consortium:
        """The terms file that was named; ConfigurationError when none was."""
        if self.config is None:
            raise ConfigurationError(
                "no terms file was named", hint="name one, for example: cocogen run examples/clinics.toml"
            )
        return load_consortium(self.config)

    def terms(self) -> Terms:
        """The terms file that was named, of either kind, or the one that was deployed; ConfigurationError without."""
        from cocogen.terms.load import load_terms

        if self.config is not None:
            return load_terms(self.config)
        try:
            workspace = self.find_workspace()
            deployed = Path(str(load_deployment(workspace.deployment).details.get("config", "")))
        except WorkspaceError:
            return self.consortium()
        return load_terms(deployed if deployed.is_file() else workspace.terms)

    def folders(self, consortium: Consortium) -> DataFolders:
        """Where the data of a terms file are looked for."""
        return data_folders(consortium.folder, self.data_dir)

    def new_workspace(self, consortium: Consortium) -> Workspace:
        """The workspace of a consortium that may not be deployed yet."""
        return Workspace(self.workspace or HOME / consortium.consortium.name)

    def find_workspace(self) -> Workspace:
        """The workspace of a deployed consortium: named, that of the terms file, or the only one there is."""
        if self.workspace is not None:
            return Workspace(self.workspace)
        if self.config is not None:
            with contextlib.suppress(ConfigurationError):
                named = Workspace(HOME / load_consortium(self.config).consortium.name)
                if named.deployment.exists():
                    return named
        # A dot marks a run that was set aside: names of consortia have none.
        found = sorted(path.parent for path in HOME.glob("*/deployment.json") if "." not in path.parent.name)
        if len(found) == 1:
            return Workspace(found[0])
        if not found:
            raise WorkspaceError(
                f"no deployed consortium in {HOME}/", hint="deploy one first: cocogen deploy examples/clinics.toml"
            )
        names = ", ".join(str(path) for path in found)
        raise WorkspaceError(f"there are several consortia: {names}", hint="choose one with --workspace")

    def key_source(self, addresses: Mapping[str, str | None]) -> KeySource:
        """The keystores, for terms that name these addresses (None: left open)."""
        from cli.keys import key_source

        stated = {name: address for name, address in addresses.items() if address is not None}
        return key_source(self.keys, self.password_file, stated)

    def ledger_specification(self) -> str:
        """Where a new deployment goes: as asked, else the embedded chain in the workspace."""
        return absolute(self.ledger) if self.ledger else EMBEDDED


def data_folders(terms: Path, data_dir: str | None) -> DataFolders:
    """Where data are looked for, with paths relative to the folder ``terms``."""
    from cocogen.data.sets import DataFolders

    return DataFolders(terms, Path(data_dir) if data_dir else None)


def deployed_folders(deployment: Deployment, workspace: Workspace, data_dir: str | None) -> DataFolders:
    """Where the data are: paths are relative to the terms file that was deployed, or to the copy of it here."""
    deployed = Path(str(deployment.details.get("config", "")))
    return data_folders(deployed.parent if deployed.is_file() else workspace.root, data_dir)


def absolute(ledger: str) -> str:
    """``embedded:PATH`` with an absolute path, so that later commands find it from any folder."""
    kind, _, path = ledger.partition(":")
    return f"{kind}:{Path(path).expanduser().resolve()}" if kind == EMBEDDED and path else ledger


def ledger_location(specification: str, workspace: Workspace) -> str:
    """The ledger as :func:`chain.open.open_ledger` takes it; "embedded" alone is the workspace's own chain."""
    return f"{EMBEDDED}:{workspace.chain.resolve()}" if specification == EMBEDDED else specification


def stated_addresses(terms: Consortium | ResolvedTerms) -> dict[str, str | None]:
    """The addresses that a terms file (None: left open) or the resolved terms give to organizations and roles."""
    roles = terms.settlement if isinstance(terms, Consortium) else terms
    stated: dict[str, str | None] = {organization.name: organization.address for organization in terms.organization}
    return stated | {"attester": roles.attester, "arbiter": roles.arbiter}


class Session:
    """A deployed consortium, opened: resolved terms, provider, deployment record and, on first use, ledger and loop."""

    def __init__(
        self,
        workspace: Workspace,
        resolved: ResolvedTerms,
        provider: AuditableProvider,
        deployment: Deployment,
        data_dir: str | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.workspace = workspace
        self.resolved = resolved
        self.provider = provider
        self.deployment = deployment
        self.data_dir = data_dir
        self.journal = journal or Journal(workspace.sent)
        self.progress: Progress | None = None

    @classmethod
    @contextlib.contextmanager
    def opened(cls, request: Request, *, reading: bool = False) -> Iterator[Session]:
        """Open the deployed consortium that the options name; hold its workspace and its local chain meanwhile.

        ``reading``: the command writes nothing there, and works where nobody here may write.
        """
        workspace = request.find_workspace()
        if not workspace.deployment.exists():
            raise WorkspaceError(
                f"nothing is deployed in {workspace.root}", hint="deploy first: cocogen deploy examples/clinics.toml"
            )
        with workspace.locked(reading=reading):
            deployment = load_deployment(workspace.deployment)
            resolved = load_resolved(workspace)
            spec = absolute(request.ledger) if request.ledger else str(deployment.details.get("ledger", EMBEDDED))
            keys = request.key_source(stated_addresses(resolved))
            journal = Journal(workspace.sent)
            provider = open_ledger(
                ledger_location(spec, workspace), seed=resolved.consortium.seed, keys=keys, journal=journal
            )
            session = cls(workspace, resolved, provider, deployment, request.data_dir, journal)
            try:
                yield session
            except ContractError as error:
                session.name_members(error)
                raise
            finally:
                provider.close()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, after making sure that it holds exactly the resolved terms."""
        return self.provider.connect(self.resolved.settlement_terms(), self.deployment)

    def disagreements(self, consortium: Consortium, *, measured: bool = True) -> list[str]:
        """In what the resolved terms are not those of a terms file: roles, rule and, if ``measured``, its data."""
        from cocogen.errors import KeyUnavailable
        from cocogen.operations.registration import measurement_disagreements, rule_disagreements

        resolved = self.resolved
        found = resolved.disagreements(consortium)
        if measured and not found:
            found = measurement_disagreements(resolved, data_folders(consortium.folder, self.data_dir))
        for role in ("attester", "arbiter"):
            if getattr(consortium.settlement, role) is not None:
                continue
            # whose keystore it was, only who has that keystore can tell
            with contextlib.suppress(KeyUnavailable):
                if getattr(resolved, role).lower() != self.provider.account(role).lower():
                    found.append(f"settlement.{role}")
        return found or rule_disagreements(resolved, self.provider.decode)

    def name_members(self, error: ContractError) -> None:
        """Put names in the place of the contract's member indices and addresses in an error's message."""
        by_position = sorted(self.resolved.organization, key=lambda o: int(o.address, 16))
        text = str(error)
        if isinstance(index := getattr(error, "index", None), int) and index < len(by_position):
            text = text.replace(f"member {index}", by_position[index].name)
        for organization in by_position:
            text = re.sub(organization.address, organization.name, text, flags=re.IGNORECASE)
        error.message = text
        error.args = (text,)

    @cached_property
    def loop(self) -> RoundLoop:
        """All steps of all rounds over this workspace and ledger."""
        return RoundLoop(self.resolved, self.ledger, self.workspace, progress=self.progress, folders=self.folders())

    def folders(self) -> DataFolders:
        """Where the data of the deployed terms are looked for."""
        return deployed_folders(self.deployment, self.workspace, self.data_dir)

    def index(self, name: str) -> int:
        """The index of an organization; ConfigurationError lists the known names."""
        if name not in self.resolved.names:
            raise ConfigurationError(
                f"no organization is called {name!r}", hint=f"choose one of {', '.join(self.resolved.names)}"
            )
        return self.resolved.names.index(name)


def ledger_data(deployment: Deployment) -> dict[str, Any]:
    """A deployment as plain JSON values."""
    return {
        "backend": deployment.backend.partition(":")[0],
        "address": deployment.address,
        "terms_hash": deployment.terms_hash,
        "chain_id": deployment.chain_id,
    }


def contribution_data(contribution: Contribution | None) -> Any:
    """A contribution as plain JSON values; None stays None."""
    if contribution is None:
        return None
    return {
        "data": contribution.data,
        "generated": contribution.generated,
        "compute": contribution.compute,
        "evidence_hash": "0x" + contribution.evidence_hash.hex(),
    }


def load_resolved(workspace: Workspace) -> ResolvedTerms:
    """The resolved terms of a workspace; typed errors when they are missing or malformed."""
    try:
        text = read_bounded(workspace.resolved).decode("utf-8")
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{workspace.resolved} cannot be read: {error}", hint="restore it from a copy") from error
    return ResolvedTerms.from_json(text, file=str(workspace.resolved))
