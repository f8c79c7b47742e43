"""A deployed consortium, opened: its workspace held, its resolved terms read, its ledger at hand.

Which settlement system that is, is handed in as a :class:`cocogen.ledger.LedgerProvider`. Left out: the name of a
ledger and how it is opened (``chain.open``), and whose keys sign.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cocogen.errors import ConfigurationError, SettlementRefused, WorkspaceError
from cocogen.files import read_bounded
from cocogen.ledger import Deployment, Ledger, LedgerProvider
from cocogen.operations.deployment import load_deployment
from cocogen.operations.sent import NOTHING_SENT, Journal
from cocogen.operations.sources import Sourcing, named, own, registrations
from cocogen.rounds.loop import Progress, RoundLoop
from cocogen.rounds.workspace import Workspace
from cocogen.systems import SYSTEMS
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.sections import OWN

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders

__all__ = [
    "EMBEDDED",
    "Opener",
    "Session",
    "data_folders",
    "deployed_folders",
    "load_resolved",
    "open_consortium",
    "opened",
    "stated_addresses",
]

EMBEDDED = "embedded"
"""What a deployment record calls the chain in its own workspace."""

Opener = Callable[[ResolvedTerms, Deployment], contextlib.AbstractContextManager[LedgerProvider]]
"""Opens the settlement system that a deployment is on, for as long as the consortium is open."""


class Session:
    """A deployed consortium: resolved terms, provider, deployment record and, on first use, ledger and loop.

    ``data_dir``: where the files of data sets are looked for first; ``sites``: site files of the own data that are
    here; ``journal``: what was sent, and nobody was told of yet. ``progress`` may be set before the loop is used: it is
    told (description, done, total).
    """

    def __init__(
        self,
        workspace: Workspace,
        resolved: ResolvedTerms,
        provider: LedgerProvider,
        deployment: Deployment,
        *,
        data_dir: str | None = None,
        sites: Sequence[Path] = (),
        journal: Journal = NOTHING_SENT,
    ) -> None:
        self.workspace = workspace
        self.resolved = resolved
        self.provider = provider
        self.deployment = deployment
        self.data_dir = data_dir
        self.sites = tuple(sites)
        self.journal = journal
        self.progress: Progress | None = None

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, after making sure that it holds exactly the resolved terms."""
        return self.provider.connect(self.resolved.settlement_terms(), self.deployment)

    @cached_property
    def loop(self) -> RoundLoop:
        """All steps of all rounds over this workspace and ledger."""
        rule = SYSTEMS.of(self.resolved).rules[self.resolved.consortium.mechanism]
        return RoundLoop(
            self.resolved,
            self.ledger,
            self.workspace,
            rule=rule,
            progress=self.progress,
            source=self.sourcing(),
            everybody=self.resolved.learning.dataset != OWN or len(self.sites) > len(self.resolved.names),
        )

    def folders(self) -> DataFolders:
        """Where the data of the deployed terms are looked for."""
        return deployed_folders(self.deployment, self.workspace, self.data_dir)

    def sourcing(self) -> Sourcing:
        """Where samples come from: the data set of the deployed terms, or the sites that are here."""
        if self.resolved.learning.dataset == OWN:
            known = registrations(self.workspace, self.resolved)
            given = {name: path for name in known if (path := self.workspace.leaves(name)).exists()}
            return own(known, self.sites, given)
        return named(self.folders())

    def index(self, name: str) -> int:
        """The index of an organization; ConfigurationError lists the known names."""
        if name not in self.resolved.names:
            raise ConfigurationError(
                f"no organization is called {name!r}", hint=f"choose one of {', '.join(self.resolved.names)}"
            )
        return self.resolved.names.index(name)

    def _name_members(self, error: SettlementRefused) -> None:
        """Put names in the place of the ledger's member indices and addresses in an error's message."""
        by_position = sorted(self.resolved.organization, key=lambda o: int(o.address, 16))
        text = str(error)
        if isinstance(index := getattr(error, "index", None), int) and index < len(by_position):
            text = text.replace(f"member {index}", by_position[index].name)
        for organization in by_position:
            text = re.sub(organization.address, organization.name, text, flags=re.IGNORECASE)
        error.message = text
        error.args = (text,)


@contextlib.contextmanager
def opened(
    workspace: Workspace,
    opener: Opener,
    *,
    journal: Journal = NOTHING_SENT,
    data_dir: str | None = None,
    sites: Sequence[Path] = (),
    reading: bool = False,
) -> Iterator[Session]:
    """Hold the workspace of a deployed consortium, and open the ledger that its record names.

    Raises
    ------
    WorkspaceError
        Nothing is deployed there, a file of it cannot be read, or another process holds it.
    ConfigurationError
        Its record or its resolved terms are malformed.
    """
    if not workspace.deployment.exists():
        raise WorkspaceError(
            f"nothing is deployed in {workspace.root}", hint="deploy first: cocogen deploy examples/clinics.toml"
        )
    with workspace.locked(reading=reading):
        deployment = load_deployment(workspace.deployment)
        resolved = load_resolved(workspace)
        with opener(resolved, deployment) as provider:
            session = Session(
                workspace, resolved, provider, deployment, data_dir=data_dir, sites=sites, journal=journal
            )
            try:
                yield session
            except SettlementRefused as error:
                session._name_members(error)
                raise


@contextlib.contextmanager
def open_consortium(
    workspace: str | Path,
    ledger: LedgerProvider,
    *,
    journal: Journal = NOTHING_SENT,
    data_dir: str | None = None,
    sites: Sequence[str | Path] = (),
    reading: bool = False,
) -> Iterator[Session]:
    """Open a deployed consortium, and hold its workspace meanwhile.

    Parameters
    ----------
    workspace : str or Path
        The folder that :func:`cocogen.deploy` wrote.
    ledger : LedgerProvider
        The settlement system on which it was deployed, for example of ``chain.open_ledger``; it stays open.
    journal : Journal, optional
        What was sent to the ledger, and nobody was told of yet; that with which the ledger was opened.
    data_dir : str, optional
        Where the files of data sets are looked for first.
    sites : sequence of str or Path, optional
        Site files of the own data that are here.
    reading : bool
        Nothing is written there, so that it works where nobody here may write.

    Raises
    ------
    WorkspaceError
        Nothing is deployed there, a file of it cannot be read, or another process holds it.
    ConfigurationError
        Its record or its resolved terms are malformed.
    LedgerError
        On first use of the ledger: it is not there, or does not hold these terms.
    """
    with opened(
        Workspace(workspace),
        lambda *_: contextlib.nullcontext(ledger),
        journal=journal,
        data_dir=data_dir,
        sites=[Path(site) for site in sites],
        reading=reading,
    ) as session:
        yield session


def data_folders(terms: Path, data_dir: str | None) -> DataFolders:
    """Where data are looked for, with paths relative to the folder ``terms``."""
    from cocogen.data.sets import DataFolders

    return DataFolders(terms, Path(data_dir) if data_dir else None)


def deployed_folders(deployment: Deployment, workspace: Workspace, data_dir: str | None) -> DataFolders:
    """Where the data are: paths are relative to the terms file that was deployed, or to the copy of it here."""
    deployed = Path(str(deployment.details.get("config", "")))
    return data_folders(deployed.parent if deployed.is_file() else workspace.root, data_dir)


def load_resolved(workspace: Workspace) -> ResolvedTerms:
    """The resolved terms of a workspace; typed errors when they are missing or malformed."""
    try:
        text = read_bounded(workspace.resolved).decode("utf-8")
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{workspace.resolved} cannot be read: {error}", hint="restore it from a copy") from error
    return ResolvedTerms.from_json(text, file=str(workspace.resolved))


def stated_addresses(terms: Consortium | ResolvedTerms) -> dict[str, str | None]:
    """The addresses that a terms file (None: left open) or the resolved terms give to organizations and roles."""
    roles = terms.settlement if isinstance(terms, Consortium) else terms
    stated: dict[str, str | None] = {organization.name: organization.address for organization in terms.organization}
    return stated | {"attester": roles.attester, "arbiter": roles.arbiter}
