"""One sqlite file as a chain's key-value store: exclusive to one process, and always at a block boundary.

Writes gather in memory and reach the file in one sqlite transaction per mined block, so a process killed at any
point leaves the chain as it was after its last whole block. The file carries its own identity (sqlite's
``application_id``), a schema version (``user_version``) and the chain's parameters, and anything else is refused
before a byte of it is changed. Left out: what the keys and values mean (py-evm).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from eth.db.backends.base import BaseDB
from filelock import FileLock, Timeout

from chain.abi import keccak256
from chain.errors.chain import ChainLocked, ChainUnavailable, IncompatibleChainFile

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "ChainStore"]

APPLICATION_ID = 0x43_6F_43_6F
"""Marks a file as a chain of ours, in sqlite's own header field ("CoCo")."""

SCHEMA_VERSION = 1

_HASH_BYTES = 32

_KEPT = 1 << 14
"""Entries that lie under their own hash are kept once read, the ones used last: a few megabytes, as a call on an early
block reads the same few dozen nodes again and again."""

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system answers where one may not write."""

_SCHEMA = (
    "CREATE TABLE entry (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE parameter (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


class ChainStore(BaseDB):
    """The key-value store in ``path``.

    Parameters
    ----------
    path
        The file; created with ``parameters`` when missing or empty. A lock file ``path`` + ".lock" lies beside it.
    parameters
        What must agree between the file and this program, e.g. the chain id.
    lock_timeout
        Seconds to wait for another process to let go of the file.

    Raises
    ------
    ChainLocked
        Another process has the chain open.
    IncompatibleChainFile
        The file is something else, damaged, or written under other parameters or by a newer version.
    ChainUnavailable
        The file cannot be created, read or written.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str], *, lock_timeout: float = 0.0) -> None:
        self.path = path
        self._changes: dict[bytes, bytes | None] = {}
        self._hashed = lru_cache(maxsize=_KEPT)(self._checked)
        self._lock = _acquire(path, lock_timeout)
        self._connection: sqlite3.Connection | None = None
        try:
            with self._file_errors():
                self._connection = _connect(path, readonly=self._lock is None)
                self.created = self._prepare(self._connection, parameters)
        except BaseException:
            self.close()
            raise

    def _prepare(self, connection: sqlite3.Connection, parameters: Mapping[str, str]) -> bool:
        """Check the file's identity, or give it one; tell whether it was empty."""
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if identity == 0 and version == 0 and tables == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.executemany("INSERT INTO parameter VALUES (?, ?)", sorted(parameters.items()))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
            return True
        if identity != APPLICATION_ID:
            raise IncompatibleChainFile(f"{self.path} is an sqlite file of another program", hint=_OTHER_FILE)
        if version != SCHEMA_VERSION:
            raise IncompatibleChainFile(
                f"{self.path} has schema version {version}, this program reads version {SCHEMA_VERSION}",
                hint="use the version of CoCoGen that wrote the file, or start a new chain in another file",
            )
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise IncompatibleChainFile(f"{self.path} is damaged: {damage}", hint="restore it from a copy")
        held = dict(connection.execute("SELECT name, value FROM parameter"))
        if held != dict(parameters):
            raise IncompatibleChainFile(
                f"{self.path} holds a chain with {held}, this program runs {dict(parameters)}", hint=_OTHER_FILE
            )
        return not connection.execute("SELECT EXISTS (SELECT 1 FROM entry)").fetchone()[0]

    # -- the mapping that py-evm works on

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._changes:
            value = self._changes[key]
            if value is None:
                raise KeyError(key)
            return value
        return self._hashed(key) if len(key) == _HASH_BYTES else self._read(key)

    def _checked(self, key: bytes) -> bytes:
        """Headers, code and trie nodes lie under their own hash: whoever altered one is found when it is read."""
        value = self._read(key)
        if keccak256(value) != key:
            raise IncompatibleChainFile(
                f"{self.path} was altered: the entry {key.hex()} does not have its hash",
                hint="restore the file from a copy",
            )
        return value

    def _read(self, key: bytes) -> bytes:
        with self._file_errors():
            row = self._open().execute("SELECT value FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._changes[key] = value

    def __delitem__(self, key: bytes) -> None:
        if not self._exists(key):
            raise KeyError(key)
        self._changes[key] = None

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    # -- block boundaries

    def commit(self) -> None:
        """Make everything since the last commit durable, all or nothing."""
        written = [(key, value) for key, value in self._changes.items() if value is not None]
        deleted = [(key,) for key, value in self._changes.items() if value is None]
        connection = self._open()
        with self._file_errors():
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", written)
                connection.executemany("DELETE FROM entry WHERE key = ?", deleted)
                connection.execute("COMMIT")
            except sqlite3.Error:
                # sqlite has already rolled back by itself after some failures, a full disk among them
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._changes.clear()
        if deleted:
            self._hashed.cache_clear()

    def discard(self) -> None:
        """Forget everything since the last commit."""
        self._changes.clear()

    def close(self) -> None:
        """Discard what is not committed and let go of the file; closing twice is harmless."""
        self._changes.clear()
        self._hashed.cache_clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ChainUnavailable(f"{self.path} is closed", hint="open the backend again")
        return self._connection

    @contextmanager
    def _file_errors(self) -> Iterator[None]:
        """Turn sqlite's errors into ours: first what the file is, then what the system did not allow."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ChainUnavailable(
                f"{self.path} cannot be used: {error}",
                hint="check that the folder exists, that you may write the file, and that the disk has space",
            ) from error
        except sqlite3.DatabaseError as error:
            raise IncompatibleChainFile(f"{self.path} is not a chain: {error}", hint=_OTHER_FILE) from error


_OTHER_FILE = "name another file, or remove this one if you are sure that nobody needs it"


def _connect(path: Path, *, readonly: bool) -> sqlite3.Connection:
    if not readonly:
        return sqlite3.connect(path, isolation_level=None)
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)


def _acquire(path: Path, timeout: float) -> FileLock | None:
    """Lock ``path`` for this process until it ends (by kill -9 too: the lock is the operating system's).

    None where this process may not write beside a file that is there: it can read it, and needs no lock for that.
    """
    # filelock would create the folder, and a mistyped path a chain in the wrong place
    if not path.parent.is_dir():
        raise ChainUnavailable(f"{path} cannot be created: there is no folder {path.parent}", hint="create the folder")
    lock_path = path.with_name(path.name + ".lock")
    lock = FileLock(lock_path)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.02)
        # a contender's error message names the holder; filelock never truncates the file
        lock_path.write_text(f"{os.getpid()}\n", encoding="ascii")
    except Timeout as error:
        holder = "another process"
        with suppress(OSError):
            holder = f"process {lock_path.read_text(encoding='ascii', errors='replace').strip()}"
        raise ChainLocked(
            f"{path} is in use by {holder}",
            hint="wait until that command has ended; one process at a time has the chain",
        ) from error
    except OSError as error:
        lock.release()
        if error.errno in _UNWRITABLE and path.is_file() and path.stat().st_size:
            return None
        raise ChainUnavailable(
            f"{path} cannot be locked: {error}", hint="check that the folder exists and that you may write to it"
        ) from error
    return lock
