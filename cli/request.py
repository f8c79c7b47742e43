"""The options that every command shares, as they were given, and what they name: terms, workspace, ledger and keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chain.backends.journal import Journal
from chain.open import open_ledger
from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.ledger import Deployment, LedgerProvider
from cocogen.operations.deployment import load_deployment
from cocogen.operations.session import EMBEDDED, Session, data_folders, opened, stated_addresses
from cocogen.rounds.workspace import Workspace
from cocogen.systems import SYSTEMS, load_consortium
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from cocogen.data.sets import DataFolders
    from cocogen.terms.load import Terms

__all__ = ["HOME", "Request", "ledger_location"]

HOME = Path(".cocogen")


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
    sites: str | None = None

    def site_files(self) -> tuple[Path, ...]:
        """The site files of own data that are here; ConfigurationError where a folder holds none."""
        if self.sites is None:
            return ()
        given = Path(self.sites)
        if not given.is_dir():
            return (given,)
        found = tuple(sorted(given.glob("*/site.toml")))
        if not found:
            raise ConfigurationError(
                f"no folder in {given} holds a site.toml", hint="name a site file, or a folder of sites"
            )
        return found

    def consortium(self) -> Consortium:
        """The terms file that was named; ConfigurationError when none was."""
        if self.config is None:
            raise ConfigurationError(
                "no terms file was named", hint="name one, for example: cocogen run examples/clinics.toml"
            )
        return load_consortium(self.config)

    def at(self, workspace: Workspace) -> Request:
        """The same request for this workspace."""
        return replace(self, workspace=str(workspace.root))

    def terms(self) -> Terms:
        """The terms file that was named, of any system, or the one that was deployed; ConfigurationError without."""
        from cocogen.terms.load import load_terms

        if self.config is not None:
            return load_terms(self.config, SYSTEMS.table)
        try:
            workspace = self.find_workspace()
            deployed = Path(str(load_deployment(workspace.deployment).details.get("config", "")))
        except WorkspaceError:
            return self.consortium()
        return load_terms(deployed if deployed.is_file() else workspace.terms, SYSTEMS.table)

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
        from cli.passwords import key_source

        stated = {name: address for name, address in addresses.items() if address is not None}
        return key_source(self.keys, self.password_file, stated)

    def ledger_specification(self) -> str:
        """Where a new deployment goes: as asked, else the embedded chain in the workspace."""
        return _absolute(self.ledger) if self.ledger else EMBEDDED

    def deployed_ledger(self, workspace: Workspace, deployment: Deployment) -> str:
        """Where a deployment is, as :func:`chain.open.open_ledger` takes it: as asked, else as it was recorded."""
        if self.ledger:
            return ledger_location(_absolute(self.ledger), workspace)
        recorded = deployment.details.get("ledger")
        if recorded is None and not deployment.backend.startswith(EMBEDDED):
            raise ConfigurationError(
                f"{workspace.deployment} names no node: whoever deployed the consortium keeps its own to itself",
                hint=f"name yours, of chain {deployment.chain_id}, with --ledger or COCOGEN_LEDGER",
            )
        return ledger_location(str(recorded or EMBEDDED), workspace)

    @contextlib.contextmanager
    def opened(self, *, reading: bool = False) -> Iterator[Session]:
        """Open the deployed consortium that the options name; hold its workspace and its local chain meanwhile.

        ``reading``: the command writes nothing there, and works where nobody here may write.
        """
        workspace = self.find_workspace()
        journal = Journal(workspace.sent)

        def ledger(resolved: ResolvedTerms, deployment: Deployment) -> contextlib.closing[LedgerProvider]:
            specification = self.deployed_ledger(workspace, deployment)
            keys = self.key_source(stated_addresses(resolved))
            provider = open_ledger(specification, seed=resolved.consortium.seed, keys=keys, journal=journal)
            return contextlib.closing(provider)

        with opened(
            workspace, ledger, journal=journal, data_dir=self.data_dir, sites=self.site_files(), reading=reading
        ) as session:
            yield session


def _absolute(ledger: str) -> str:
    """``embedded:PATH`` with an absolute path, so that later commands find it from any folder."""
    kind, _, path = ledger.partition(":")
    return f"{kind}:{Path(path).expanduser().resolve()}" if kind == EMBEDDED and path else ledger


def ledger_location(specification: str, workspace: Workspace) -> str:
    """The ledger as :func:`chain.open.open_ledger` takes it; "embedded" alone is the workspace's own chain."""
    return f"{EMBEDDED}:{workspace.chain.resolve()}" if specification == EMBEDDED else specification
