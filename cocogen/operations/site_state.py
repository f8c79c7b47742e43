"""What a site remembers of its own data, in a folder beside its site file that nobody else can enter.

::

    NAME.state/               0700; files 0600
      secret                  32 bytes: whoever has them can guess rows from leaves
      disclosed.jsonl         what has left the site, a line each, oldest first
      registrations/DIGEST/   each registration that was made, by the digest that was signed
        registration          the signed document
        facts.json            the schema, digests of the data and of the site file
        leaves                (n, 32) bytes: goes to the attester alone
        rows                  (n,) uint64, keyed hashes of the rows: tells what changed, and nothing without the secret

Left out: what a registration is made of (:mod:`.register`), and taking the folder elsewhere (:mod:`.site_backup`).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from cocogen.data.own.leaves import DIGEST_BYTES
from cocogen.data.own.rows import Rows, packed
from cocogen.data.own.secret import SECRET_BYTES, derived_key, new_secret
from cocogen.errors import RegistrationRefused, WorkspaceError
from cocogen.evidence.registered import Registration, read_registration
from cocogen.files import canonical_json, parse_json, read_bounded, write_atomically
from cocogen.terms.schema import ImageSchema, Schema, TableSchema

__all__ = ["Kept", "SiteState", "changed_rows", "check_owner_only", "row_hashes"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FILE = stat.S_IRUSR | stat.S_IWUSR
_PURPOSE = "cocogen: rows of registrations"
_MAXIMUM_FACTS = 64 * 2**20
_RESTORE = "restore the folder from a backup: cocogen backup SITE --restore FILE"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A registration that was made. ``data``, ``site``: digests of the data and of the site file then.

    ``leaves``: (n, 32) uint8. ``rows``: (n,) uint64 of :func:`row_hashes`, both in the order of the leaves.
    """

    registration: Registration
    schema: TableSchema | ImageSchema
    data: str
    site: str
    leaves: NDArray[np.uint8]
    rows: NDArray[np.uint64]


class SiteState:
    """The folder of one site. Creating the object touches nothing on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def beside(cls, site_file: str | Path, organization: str) -> SiteState:
        """The folder that belongs to a site file: ``NAME.state`` beside it."""
        return cls(Path(site_file).parent / f"{organization}.state")

    def secret(self, *, create: bool = False) -> bytes:
        """The site's secret; with ``create`` it is drawn where the site has none.

        Raises
        ------
        WorkspaceError
            There is none, it is damaged, or others can read it.
        """
        path = self.root / "secret"
        if create and not path.exists():
            if (self.root / "registrations").exists():
                raise WorkspaceError(f"{path} is gone, and registrations were made with it", hint=_RESTORE)
            self._folder(self.root)
            write_atomically(path, new_secret(), private=True)
        content = self._read(path, SECRET_BYTES)
        if len(content) != SECRET_BYTES:
            raise WorkspaceError(f"{path} holds {len(content)} bytes, not {SECRET_BYTES}", hint=_RESTORE)
        return content

    def keep(self, kept: Kept) -> None:
        """Remember a registration, in the place of the same one."""
        digest = kept.registration.document.digest().hex()
        folder = self.root / "registrations" / digest
        for path in (self.root, folder.parent, folder):
            self._folder(path)
        facts = {"schema": kept.schema.model_dump(mode="json"), "data": kept.data, "site": kept.site}
        write_atomically(folder / "leaves", kept.leaves.tobytes(), private=True)
        write_atomically(folder / "rows", kept.rows.astype("<u8").tobytes(), private=True)
        write_atomically(folder / "facts.json", canonical_json(facts), private=True)
        write_atomically(folder / "registration", kept.registration.encode(), private=True)

    def registrations(self) -> list[Kept]:
        """All that were made; WorkspaceError where one is damaged, or others can read it."""
        folder = self.root / "registrations"
        if not folder.exists():
            return []
        # A folder without its document is one that a kill left: nothing was given away.
        return [self._kept(path) for path in sorted(folder.iterdir()) if (path / "registration").exists()]

    def registered(self, terms_digest: str) -> Kept | None:
        """The registration that was made last under a terms file, by its digest; None where there is none."""
        found = [kept for kept in self.registrations() if kept.registration.document.terms_digest == terms_digest]
        order = [entry.get("digest") for entry in self.disclosed()]

        def made(kept: Kept) -> int:
            digest = kept.registration.document.digest().hex()
            return max((n for n, entry in enumerate(order) if entry == digest), default=-1)

        return max(found, key=made, default=None)

    def disclose(self, what: str, to: str, **facts: Any) -> None:
        """Note that something is about to leave the site: before it does, so that the list is never short."""
        self._folder(self.root)
        path = self.root / "disclosed.jsonl"
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = canonical_json({"at": now, "what": what, "to": to, **facts}) + b"\n"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _FILE)
            with os.fdopen(descriptor, "ab") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}", hint=_RESTORE) from error

    def disclosed(self) -> list[dict[str, Any]]:
        """What has left the site, oldest first; a last line that a kill cut short is left out."""
        path = self.root / "disclosed.jsonl"
        if not path.exists():
            return []
        found = []
        for line in self._read(path, _MAXIMUM_FACTS).splitlines():
            with contextlib.suppress(ValueError):
                entry = parse_json(line)
                found += [entry] if isinstance(entry, dict) else []
        return found

    def _kept(self, folder: Path) -> Kept:
        try:
            registration = read_registration(self._read(folder / "registration", _MAXIMUM_FACTS))
        except RegistrationRefused as error:
            raise WorkspaceError(f"{folder} is damaged: {error.reason}", hint=_RESTORE) from error
        rows = registration.document.leaves
        leaves = self._read(folder / "leaves", rows * DIGEST_BYTES)
        hashes = self._read(folder / "rows", rows * 8)
        try:
            facts = parse_json(self._read(folder / "facts.json", _MAXIMUM_FACTS))
            schema: TableSchema | ImageSchema = TypeAdapter(Schema).validate_json(json.dumps(facts["schema"]))
            data, site = str(facts["data"]), str(facts["site"])
            if len(leaves) != rows * DIGEST_BYTES or len(hashes) != rows * 8:
                raise ValueError(f"leaves or rows are not {rows}")
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise WorkspaceError(f"{folder} is damaged: {error}", hint=_RESTORE) from error
        return Kept(
            registration,
            schema,
            data,
            site,
            np.frombuffer(leaves, dtype=np.uint8).reshape(rows, DIGEST_BYTES),
            np.frombuffer(hashes, dtype="<u8").astype(np.uint64),
        )

    def _folder(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{path} cannot be made: {error.strerror or error}", hint="check the folder"
            ) from error
        check_owner_only(path)

    def _read(self, path: Path, maximum: int) -> bytes:
        try:
            check_owner_only(self.root)
            check_owner_only(path)
            return read_bounded(path, maximum)
        except FileNotFoundError as error:
            raise WorkspaceError(f"there is no {path}", hint=f"register first, or {_RESTORE}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WorkspaceError(f"{path} cannot be read: {reason}", hint=_RESTORE) from error


def check_owner_only(path: Path) -> None:
    """See that nobody but its owner can reach a file or folder; WorkspaceError where others can, OSError without it."""
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        letters = "700" if stat.S_ISDIR(mode) else "600"
        raise WorkspaceError(
            f"others can reach {path}, which is this site's alone (its mode is {stat.S_IMODE(mode):o})",
            hint=f"make it yours alone: chmod {letters} {path}",
        )


def row_hashes(secret: bytes, rows: Rows, advance: Callable[[int], None] | None = None) -> NDArray[np.uint64]:
    """A keyed hash of each row with its label, (n,) uint64 in the order of the leaves: equal rows have equal ones.

    BLAKE2b of 8 bytes: of two million rows two different ones meet with a chance of 10^-7. ``advance`` hears of rows.
    """
    state = hashlib.blake2b(digest_size=8, key=derived_key(secret, _PURPOSE))
    found = bytearray()
    for start, stop in rows.pieces():
        cells = rows.cells(start, stop)
        labels = cells.labels.astype(">u4").view(np.uint8).reshape(stop - start, 4)
        content = np.concatenate([packed(rows.schema, cells), labels], axis=1)
        width, buffer = content.shape[1], content.data.cast("B")
        for at in range(0, len(buffer), width):
            one = state.copy()
            one.update(buffer[at : at + width])
            found += one.digest()
        if advance is not None:
            advance(stop)
    return np.frombuffer(bytes(found), dtype=">u8").astype(np.uint64)


def changed_rows(before: NDArray[np.uint64], after: NDArray[np.uint64]) -> tuple[int, int]:
    """How many rows are only in the first, and only in the second, of two multisets of hashes."""
    values, index = np.unique(np.concatenate([before, after]), return_inverse=True)
    index = index.reshape(-1)
    difference = np.bincount(index[len(before) :], minlength=len(values)) - np.bincount(
        index[: len(before)], minlength=len(values)
    )
    return int(-difference[difference < 0].sum()), int(difference[difference > 0].sum())
