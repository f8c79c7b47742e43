"""``cocogen answer``: what a deployment asks the sites, answered from a site's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common
from cli.output import emit, progress
from cli.signer import site_signer
from cli.sites import signed_by
from cocogen.data.own.site import load_site
from cocogen.errors import ConfigurationError, KeyUnavailable
from cocogen.operations.own_data import read_registrations
from cocogen.operations.site_state import SiteState
from cocogen.operations.sources import own

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["answer"]


@click.command(short_help="Own data: answer what a deployment asks the sites.")
@click.argument("site_file", metavar="SITE", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--exchange",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    required=True,
    help="The folder of questions and answers that the operator hands over.",
)
@common(config_argument=True)
def answer(request: Request, site_file: str, exchange: str) -> None:
    """Train the shared generator on the data of the site file SITE as the questions in --exchange ask, under the terms
    CONFIG, and leave signed answers there: the operator takes them, and asks on.

    A question is answered once; the same one again gets the same answer. What an answer holds is in docs/own-data.md.
    """
    from cocogen.evidence.member import Agreed, Member
    from cocogen.operations.exchange import answer as answer_all

    consortium, path, folder = request.consortium(), Path(site_file), Path(exchange)
    site = load_site(path)
    if site.organization not in consortium.names:
        raise ConfigurationError(
            f"no organization of {consortium.consortium.name} is called {site.organization!r}",
            file=site_file,
            hint=f"organization is one of {', '.join(consortium.names)}",
        )
    data = read_registrations(folder, signed_by, sites=(path,))
    data.check(consortium)
    signer = site_signer(site.organization, consortium, request.keys, request.password_file)

    def sign(digest: bytes) -> bytes:
        signature = signer.sign(digest)
        if signature is None:
            raise KeyUnavailable(f"the key of {signer.address} is not here", hint="name its folder with --keys")
        return signature

    with progress() as bars:
        bars("answering", 0, 1)
        agreed = Agreed.of(consortium)
        source = own(data.registrations, (path,))(agreed)
        member = Member(agreed, source, consortium.index(site.organization))
        state = SiteState.beside(path, site.organization)
        written = answer_all(folder, member, consortium.source_digest, state, sign)
        bars("answering", 1, 1)
    names = [str(answered) for answered in written]
    text = "\n".join(f"wrote {name}" for name in names) or "every question here is answered; nothing was written"
    emit({"organization": site.organization, "answers": names}, text, as_json=request.as_json)
