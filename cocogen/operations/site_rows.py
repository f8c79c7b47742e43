"""One site's rows as a round works on them: its own, unchanged since it registered, and what opens one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cocogen.data.own.leaves import Opening, opening
from cocogen.data.own.rows import Rows
from cocogen.data.own.site import load_site
from cocogen.data.own.split import site_rng, split
from cocogen.data.sources.own import SiteRows
from cocogen.evidence.registered import Registration
from cocogen.operations.register import registered_rows
from cocogen.operations.site_state import SiteState
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = ["holdout_rows", "member_rows"]


def member_rows(site_file: Path, schema: TableSchema | ImageSchema, registration: Registration) -> SiteRows:
    """The rows of an organization, and what opens one of them, which its state notes before it is opened.

    Raises
    ------
    SiteError
        They cannot be read, or are others now than were registered: not one row may differ.
    WorkspaceError
        The site's state is not there, is damaged, or others can read it.
    """
    rows, secret, state = _read(site_file, schema, registration)
    digest = registration.document.digest().hex()

    def opened(index: int) -> Opening:
        shown = opening(secret, rows, index)
        said: dict[str, Any] = {
            "what": "a row, with its label and salt",
            "to": "the attester",
            "digest": digest,
            "leaf": index,
        }
        if not any(said.items() <= entry.items() for entry in state.disclosed()):
            state.disclose(**said)
        return shown

    return SiteRows(rows, opened)


def holdout_rows(site_file: Path, schema: TableSchema | ImageSchema, registration: Registration) -> Rows:
    """The attester's rows: on the training side those that measure generators and updates, on the other those that
    judge models. All are leaves of one tree; which is which is drawn from its secret. Raises as :func:`member_rows`."""
    rows, secret, _ = _read(site_file, schema, registration)
    share = load_site(site_file).split.validation
    holdout, test = split(rows.data.labels, rows.data.groups, share, site_rng(secret))
    return Rows(rows.data, holdout, test, rows.number_fill, rows.level_fill)


def _read(
    site_file: Path, schema: TableSchema | ImageSchema, registration: Registration
) -> tuple[Rows, bytes, SiteState]:
    site = load_site(site_file)
    state = SiteState.beside(site_file, site.organization)
    rows = registered_rows(state, site, schema, registration.document.terms_digest, registration)
    return rows, state.secret(), state
