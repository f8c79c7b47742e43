"""Where samples come from: the data set that the terms name, or the own data of the sites that are here.

Each is a function of what was agreed to learn, so that nothing is read before it is needed; it can be sent to another
process. Left out: what a source is asked for (:mod:`cocogen.data.sources`), and who registers (``register``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cocogen.data.own.site import load_site
from cocogen.data.own.sums import added
from cocogen.data.own.transform import Transform
from cocogen.data.sources.own import OwnSource, SiteRows
from cocogen.errors import ConfigurationError, RegistrationRefused
from cocogen.evidence.registered import ATTESTER, Registration, read_leaves, read_registration
from cocogen.operations.site_rows import holdout_rows, member_rows
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders
    from cocogen.data.sources.base import Source
    from cocogen.evidence.agreed import Agreed

__all__ = ["Sourcing", "named", "own", "registrations"]

Sourcing: TypeAlias = "Callable[[Agreed], Source]"
"""From what was agreed to learn to the source of samples for it."""


def named(folders: DataFolders | None = None) -> Sourcing:
    """The data set that the terms name, shared out as they say; ``folders``: where its files are looked for."""
    return partial(_named, folders)


def own(
    registered: Mapping[str, Registration], sites: Sequence[Path], leaves: Mapping[str, Path] | None = None
) -> Sourcing:
    """The own data of ``sites`` (site files); of everybody else there is what was ``registered``, by name.

    ``leaves``: files of the leaves that organizations gave to the attester, by name.
    """
    return partial(_own, dict(registered), tuple(sites), dict(leaves or {}))


def registrations(workspace: Workspace, resolved: ResolvedTerms) -> dict[str, Registration]:
    """The registrations of a workspace by name, the attester's among them.

    Raises
    ------
    RegistrationRefused
        One is not there, cannot be read, is not the one that the terms name by its digest, or is not for these terms
        and the organization in whose place it stands.
    """
    wanted = {o.name: o.registration for o in resolved.organization} | {ATTESTER: resolved.holdout}
    found = {}
    for name, digest in wanted.items():
        path = workspace.registration(name)
        found[name] = registration = read_registration(path)
        if registration.digest().hex() != digest:
            raise RegistrationRefused(
                name, f"{path} is not the registration that the terms name", hint="restore the file from a copy"
            )
        said = registration.document
        if (said.organization, said.terms_digest) != (name, resolved.terms_sha256):
            raise RegistrationRefused(
                name,
                f"the registration in its place is one of {said.organization} under the terms {said.terms_digest}",
                hint="do not trust this consortium before its operator explains it",
            )
    return found


def _named(folders: DataFolders | None, agreed: Agreed) -> Source:
    return agreed.source(folders)


def _own(
    registered: Mapping[str, Registration], sites: Sequence[Path], leaves: Mapping[str, Path], agreed: Agreed
) -> Source:
    if (schema := agreed.learning.schema_) is None:
        raise ValueError("terms without a schema have no own data")
    sums = [registered[name].sums for name in agreed.names]
    members: dict[int, Callable[[], SiteRows]] = {}
    attester = None
    for path in sites:
        name = load_site(path).organization
        if name == ATTESTER:
            attester = partial(holdout_rows, path, schema, registered[ATTESTER])
        elif name in agreed.names:
            members[agreed.names.index(name)] = partial(member_rows, path, schema, registered[name])
        else:
            raise ConfigurationError(
                f"no organization of the consortium is called {name!r}",
                file=str(path),
                hint=f"organization is one of {', '.join((*agreed.names, ATTESTER))}",
            )
    counts = np.array([own.classes for own in sums], dtype=np.int64)
    given = {
        n: partial(read_leaves, leaves[name], registered[name]) for n, name in enumerate(agreed.names) if name in leaves
    }
    return OwnSource(agreed.names, counts, Transform.of(schema, added(sums)), members, attester, given)
