"""All sites of a consortium of own data on one machine: registered as each would do it, for ``cocogen run --sites``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chain.encoding.signatures import verify
from cli.signer import site_signer
from cocogen.data.own.site import load_site
from cocogen.errors import ConfigurationError
from cocogen.evidence.registered import ATTESTER
from cocogen.operations.own_data import OwnData
from cocogen.operations.register import prepare, register
from cocogen.operations.site_state import SiteState

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.loop import Progress
    from cocogen.terms.consortium import Consortium

__all__ = ["register_all", "signed_by"]


def signed_by(address: str, digest: bytes, signature: bytes) -> bool:
    """Whether a signature over a digest is that of a key's address."""
    return verify(digest, signature, address)


def register_all(request: Request, consortium: Consortium, progress: Progress) -> OwnData:
    """Register every site in ``--sites``; registrations and leaves lie beside each site file.

    Raises
    ------
    ConfigurationError
        No sites were named, or they are not those of the terms.
    SiteError
        The data of one do not fit the terms.
    """
    sites = request.site_files()
    wanted = (*consortium.names, ATTESTER)
    if not sites:
        raise ConfigurationError(
            "every organization brings its own data, and none was named",
            file=consortium.file,
            hint="on one machine: --sites DIR, with one site.toml in each folder; else docs/own-data.md",
        )
    loaded = {load_site(path).organization: path for path in sites}
    if len(loaded) != len(sites) or set(loaded) != set(wanted):
        raise ConfigurationError(
            f"the sites are those of {', '.join(load_site(path).organization for path in sites)}",
            file=str(request.sites),
            hint=f"one of each is needed: {', '.join(wanted)}",
        )
    files: dict[str, Path] = {}
    leaves: dict[str, Path] = {}
    registrations = {}
    for number, name in enumerate(wanted):
        progress("registering sites", number, len(wanted))
        path = loaded[name]
        site, state = load_site(path), SiteState.beside(path, name)
        signer = site_signer(name, consortium, request.keys, request.password_file)
        prepared = prepare(site, consortium, state, signer.address)
        files[name] = path.parent / f"{name}.registration"
        given = None if name == ATTESTER else path.parent / f"{name}.leaves"
        if given is not None:
            leaves[name] = given
        signature = signer.sign(prepared.document.digest()) or b""
        registrations[name] = register(prepared, signature, state, files[name], given)
    progress("registering sites", len(wanted), len(wanted))
    ordered = tuple(loaded[name] for name in wanted)
    return OwnData(files, registrations, leaves, ordered, Path(request.sites or "."), signed_by)
