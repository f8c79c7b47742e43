"""What a site registers of its data: computed here, shown before it leaves, and remembered by the site.

Two registrations whose rows differ by a few would disclose those few, as the difference of their sums: the site itself
refuses the second. Left out: reading the file (:mod:`cocogen.data.own.conform`), and whose key signs (``cli``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cocogen.data.own.conform import file_digest, read_table
from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.reading import unchanged
from cocogen.data.own.rows import Rows
from cocogen.data.own.site import Site
from cocogen.data.own.split import site_rng, split
from cocogen.data.own.sums import Sums, filled
from cocogen.data.own.table import Images, Table
from cocogen.errors import ConfigurationError, SiteError, WorkspaceError
from cocogen.evidence.registered import Registration, RegistrationDocument
from cocogen.files import write_atomically
from cocogen.operations.differences import check_far, differences
from cocogen.operations.site_state import Kept, SiteState, row_hashes
from cocogen.terms.consortium import Consortium
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = [
    "Prepared",
    "check_unchanged",
    "own_rows",
    "prepare",
    "register",
    "registered_rows",
    "schema_of",
    "site_rows",
]

Progress = Callable[[str, int, int], None]


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A registration that nobody has signed yet. ``before``: the one that it takes the place of, under the same terms.

    ``kept``: what the site will remember of it, without the signature.
    """

    document: RegistrationDocument
    sums: Sums
    kept: Kept
    before: Kept | None

    @property
    def made_before(self) -> bool:
        """Whether this very document was registered already: registering it again discloses nothing."""
        return self.before is not None and self.before.registration.document == self.document


def schema_of(terms: Consortium) -> TableSchema | ImageSchema:
    """The schema of terms for own data; ConfigurationError where they name a data set."""
    if (schema := terms.learning.schema_) is None:
        raise ConfigurationError(
            f"learning.dataset is {terms.learning.dataset!r}: these terms have no schema to register own data for",
            file=terms.file,
            hint='a consortium of own data says dataset = "own" and [learning.schema]; docs/own-data.md has both',
        )
    return schema


def own_rows(data: Table | Images, validation: float, secret: bytes) -> Rows:
    """A site's canonical rows: split by its secret, few missing values filled."""
    return filled(data, *split(data.labels, data.groups, validation, site_rng(secret)))


def prepare(site: Site, terms: Consortium, state: SiteState, address: str, progress: Progress = _silent) -> Prepared:
    """Read a site's data and make everything that its registration says; nothing leaves, and nothing is remembered.

    ``address``: of the key that will sign.

    Raises
    ------
    ConfigurationError
        The terms or the site file do not fit.
    SiteError
        The data do not fit the schema, a count of few would leave, or they differ by few from an earlier registration.
    WorkspaceError
        The state folder is damaged, or others can read it.
    """
    schema = schema_of(terms)
    if not site.is_attester:
        terms.index(site.organization)
    secret = state.secret(create=True)
    progress("reading the data", 0, 1)
    rows, data, said = site_rows(site, schema, secret)
    progress("adding up", 0, 1)
    sums = Sums.of(rows)
    total = len(rows)
    leaves = leaf_digests(secret, rows, lambda done: progress("salting and hashing rows", done, total))
    progress("hashing the tree", 0, 1)
    top = root(leaves)
    document = RegistrationDocument.of(terms, site.organization, address, sums, top, attester=site.is_attester)
    hashes = row_hashes(secret, rows, lambda done: progress("comparing with what was registered", done, total))
    kept = Kept(Registration(document, b""), schema, data, said, leaves, hashes)
    for earlier in state.registrations():
        check_far(kept, earlier, site.file)
    return Prepared(document, sums, kept, state.registered(terms.source_digest))


def register(prepared: Prepared, signature: bytes, state: SiteState, path: Path, leaves: Path | None) -> Registration:
    """Remember a registration, then write it to ``path``, and its leaves for the attester to ``leaves``.

    ``signature``: of ``prepared.document.digest()``, empty while a contract wallet's owners have not signed.
    """
    kept = prepared.kept
    registration = Registration(prepared.document, signature)
    digest = prepared.document.digest().hex()
    state.keep(Kept(registration, kept.schema, kept.data, kept.site, kept.leaves, kept.rows))
    state.disclose(
        "registration", "everybody in the consortium", digest=digest, consortium=prepared.document.consortium
    )
    registration.save(path)
    if leaves is not None:
        state.disclose("leaves", "the attester", digest=digest, leaves=len(kept.leaves))
        write_atomically(leaves, kept.leaves.tobytes(), private=True)
    return registration


def site_rows(site: Site, schema: TableSchema | ImageSchema, secret: bytes) -> tuple[Rows, str, str]:
    """A site's canonical rows, and the digests of its data and of its site file; raises as reading does."""
    with unchanged(site.path):
        data = file_digest(site)
        said = hashlib.sha256(Path(site.file).read_bytes()).hexdigest()
        table = read_table(site, schema)
    return own_rows(table, 0.0 if site.is_attester else site.split.validation, secret), data, said


def check_unchanged(state: SiteState, site: Site, terms: Consortium) -> Rows:
    """The rows that a site registered under these terms, read again; raises as :func:`registered_rows`."""
    return registered_rows(state, site, schema_of(terms), terms.source_digest)


def registered_rows(
    state: SiteState,
    site: Site,
    schema: TableSchema | ImageSchema,
    terms_digest: str,
    registration: Registration | None = None,
) -> Rows:
    """The rows that a site registered under the terms of this digest, read again: a round works on them, or not at all.

    ``registration``: the one that a consortium rests on; the site's own must be it.

    Raises
    ------
    SiteError
        The data, or what the site file makes of them, are not what was registered; the message says what differs.
    WorkspaceError
        There is no registration under these terms, or the folder is damaged.
    """
    before = state.registered(terms_digest)
    if before is None:
        raise WorkspaceError(
            f"{site.organization} has registered nothing under these terms",
            hint="cocogen register SITE --terms TERMS, or restore the folder: cocogen backup SITE --restore FILE",
        )
    if registration is not None and before.registration.document != registration.document:
        raise SiteError(
            f"the consortium rests on another registration of {site.organization} than its latest",
            file=site.file,
            hint="register the rows of that one again: cocogen register, with the same data and terms",
        )
    secret = state.secret()
    rows, data, said = site_rows(site, schema, secret)
    now = Kept(before.registration, schema, data, said, before.leaves, row_hashes(secret, rows))
    found = differences(before, now, Sums.counted(rows))
    if not found and data == before.data:
        return rows
    changed = site.path if data != before.data else Path(site.file)
    if data == before.data and said == before.site:
        found.append("neither file has changed: it is read otherwise than when it was registered")
    raise SiteError(
        f"changed since it was registered: {'; '.join(found) or 'its rows are the same, but not its bytes'}",
        file=str(changed),
        hint="put back what was registered; cocogen register takes the same rows in a new file as they are, and others "
        "where the consortium takes them",
    )
