"""One site's rows as a round works on them: its own, unchanged since it registered, and what opens one of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.leaves import DIGEST_BYTES, opening, root
from cocogen.data.own.rows import Rows
from cocogen.data.own.site import load_site
from cocogen.data.own.split import site_rng, split
from cocogen.data.sources.own import SiteRows
from cocogen.errors import RegistrationRefused
from cocogen.evidence.registered import Registration
from cocogen.files import read_bounded
from cocogen.operations.register import registered_rows
from cocogen.operations.site_state import SiteState
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = ["holdout_rows", "member_rows", "read_leaves"]


def member_rows(site_file: Path, schema: TableSchema | ImageSchema, registration: Registration) -> SiteRows:
    """The rows of an organization, and what opens one of them.

    Raises
    ------
    SiteError
        They cannot be read, or are others now than were registered: not one row may differ.
    WorkspaceError
        The site's state is not there, is damaged, or others can read it.
    """
    rows, secret = _read(site_file, schema, registration)
    return SiteRows(rows, partial(opening, secret, rows))


def holdout_rows(site_file: Path, schema: TableSchema | ImageSchema, registration: Registration) -> Rows:
    """The attester's rows: on the training side those that measure generators and updates, on the other those that
    judge models. All are leaves of one tree; which is which is drawn from its secret. Raises as :func:`member_rows`."""
    rows, secret = _read(site_file, schema, registration)
    share = load_site(site_file).split.validation
    holdout, test = split(rows.data.labels, rows.data.groups, share, site_rng(secret))
    return Rows(rows.data, holdout, test, rows.number_fill, rows.level_fill)


def read_leaves(path: Path, registration: Registration) -> NDArray[np.uint8]:
    """The leaves, (n, 32) uint8, that an organization gave to the attester.

    Raises
    ------
    RegistrationRefused
        They cannot be read, or are not those under the root that it registered.
    """
    said = registration.document
    try:
        content = read_bounded(path, said.leaves * DIGEST_BYTES)
    except (OSError, ValueError) as error:
        raise RegistrationRefused(said.organization, f"{path} cannot be read: {error}", hint=_AGAIN) from error
    leaves = np.frombuffer(content, dtype=np.uint8)
    if leaves.size and leaves.size == said.leaves * DIGEST_BYTES:
        leaves = leaves.reshape(said.leaves, DIGEST_BYTES)
        if root(leaves).hex() == said.root:
            return leaves
    raise RegistrationRefused(said.organization, f"{path} holds other leaves than those it registered", hint=_AGAIN)


_AGAIN = "let it hand its leaves over again"


def _read(site_file: Path, schema: TableSchema | ImageSchema, registration: Registration) -> tuple[Rows, bytes]:
    site = load_site(site_file)
    state = SiteState.beside(site_file, site.organization)
    rows = registered_rows(state, site, schema, registration.document.terms_digest, registration)
    return rows, state.secret()
