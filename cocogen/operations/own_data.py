"""What a consortium of own data is deployed from: signed registrations, and the sites that are here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cocogen.errors import ConfigurationError, RegistrationRefused
from cocogen.evidence.registered import ATTESTER, Registration, check_registration, read_registration
from cocogen.files import write_atomically
from cocogen.operations.sources import own
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium

if TYPE_CHECKING:
    from cocogen.evidence.agreed import Agreed
    from cocogen.evidence.local import Local
    from cocogen.operations.exchange import Exchanged

__all__ = ["OwnData", "read_registrations"]

_SUFFIX = ".registration"
Verify = Callable[[str, bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class OwnData:
    """``files``: a registration of each organization and of the attester, by name; ``registrations``: what they say.

    ``leaves``: files of the registered leaves, by name, which the attester needs. ``sites``: site files of those who
    are here: everybody where one machine plays all, the attester's where it deploys. ``exchange``: the folder of
    questions and answers. ``verify``: tells whether a signature over a digest is that of an address.
    """

    files: Mapping[str, Path]
    registrations: Mapping[str, Registration]
    leaves: Mapping[str, Path]
    sites: tuple[Path, ...]
    exchange: Path
    verify: Verify

    def check(self, consortium: Consortium) -> None:
        """Everybody registered, for these terms, with its own signature.

        Raises
        ------
        RegistrationRefused
            Naming whose it is and what does not fit.
        """
        wanted = (*consortium.names, ATTESTER)
        if missing := [name for name in wanted if name not in self.registrations]:
            raise RegistrationRefused(
                missing[0],
                f"there is none; missing are those of {', '.join(missing)}",
                hint="each runs `cocogen register site.toml --terms …` and hands over NAME.registration",
            )
        if strangers := [name for name in self.registrations if name not in wanted]:
            raise RegistrationRefused(
                strangers[0], "no organization of the terms is called so", hint=f"they name {', '.join(wanted)}"
            )
        for registration in self.registrations.values():
            check_registration(registration, consortium, self.verify)

    def task(self, agreed: Agreed, consortium: Consortium) -> Local | Exchanged:
        """Everybody's part in one process where all sites are here, otherwise by questions and answers."""
        from cocogen.evidence.local import Local

        source = own(self.registrations, self.sites, self.leaves)(agreed)
        if len(self.sites) == len(self.registrations):
            return Local(agreed, source)
        from cocogen.evidence.attester import Attester
        from cocogen.operations.exchange import Exchanged

        for name, path in self.files.items():
            # The sites derive the scale from what everybody registered.
            write_atomically(self.exchange / f"{name}{_SUFFIX}", path.read_bytes())
        models = agreed.models(source)
        return Exchanged(
            agreed,
            source.counts,
            math.prod(source.shape),
            models,
            Attester(agreed, source, models=models) if agreed.generates else None,
            self.exchange,
            consortium.source_digest,
            {name: registration.document.address for name, registration in self.registrations.items()},
            self.verify,
        )

    def save(self, workspace: Workspace) -> None:
        """Keep registrations and leaves in the workspace of the deployment."""
        for name, path in self.files.items():
            write_atomically(workspace.registration(name), path.read_bytes())
        for name, path in self.leaves.items():
            write_atomically(workspace.leaves(name), path.read_bytes())


def read_registrations(
    folder: Path, verify: Verify, *, sites: tuple[Path, ...] = (), exchange: Path | None = None
) -> OwnData:
    """All registrations in a folder, and the leaves beside them.

    Raises
    ------
    ConfigurationError
        There is no such folder, or no registration in it.
    RegistrationRefused
        One cannot be read, or two are of one organization.
    """
    found: dict[str, Path] = {}
    read: dict[str, Registration] = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        registration = read_registration(path)
        name = registration.document.organization
        if name in found:
            raise RegistrationRefused(
                name, f"there are two, {found[name]} and {path}", hint="keep the one that its organization names"
            )
        found[name], read[name] = path, registration
    if not found:
        raise ConfigurationError(
            f"there is no file *{_SUFFIX} in {folder}",
            hint="each organization, and the attester, runs `cocogen register` and hands its file over",
        )
    leaves = {name: path for name in found if (path := found[name].with_suffix(".leaves")).exists()}
    return OwnData(found, read, leaves, sites, exchange or folder / "exchange", verify)
