"""Private keys: encrypted keystores for real money, and development accounts for local chains.

A keystore is one JSON file of the Web3 Secret Storage format (:mod:`chain.keys.keystore_file`). Its name is that of an
organization or role; the address of ours can be read without the password, so that terms can be drawn up before anybody
signs. A development account follows from a seed and a name: local runs need no files and can be
repeated, and whoever reads the terms file knows the key. Nothing in this module prints a key or a password. Left out:
which key signs what (``chain.keys.accounts``), and asking for passwords (``cli.passwords``).
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chain.abi import WORD, keccak256
from chain.encoding.signatures import address_of
from chain.errors.keys import KeystoreError, KeystoreExists, MalformedKey, MalformedKeystore, UnknownKeystore
from chain.keys.keystore_file import decrypted, read_keystore
from chain.keys.private import check_private

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["SCRYPT_COST", "KeyFolder", "Keystore", "development_account", "development_key", "parse_private_key"]

SCRYPT_COST = 1 << 18
"""Work of one try at a password: scrypt's N with r = 8, about 256 MiB and a second; a power of two."""

_PURPOSE = b"CoCoGen development account, worthless outside local chains"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PRIVATE_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_SUFFIX = ".json"


def development_key(seed: int, name: str) -> bytes:
    """Return the 32-byte private key of a development account: keccak-256 of purpose, seed and name.

    ``seed`` is any integer; ``name`` an organization's name or a role ("attester", "arbiter", "operator").
    """
    # a digest outside [1, group order) has probability 2^-127, below that of guessing a key
    return keccak256(b"\0".join((_PURPOSE, str(seed).encode(), name.encode())))


def development_account(seed: int, name: str) -> LocalAccount:
    """Return the ``eth_account`` signer of a development account, which signs transactions too."""
    # eth_account takes most of a second to import, and the in-memory ledger never needs it
    from eth_account import Account

    account: LocalAccount = Account.from_key(development_key(seed, name))
    return account


def parse_private_key(text: str) -> bytes:
    """Return the 32 bytes of a private key written as 64 hexadecimal digits, with or without 0x.

    Raises
    ------
    MalformedKey
        The text is no such number, or not between 1 and the order of the curve's group. It is not repeated.
    """
    digits = text.strip()
    if not _PRIVATE_KEY.fullmatch(digits):
        raise MalformedKey(
            f"this is no private key ({len(digits)} characters; not shown)",
            hint="give 64 hexadecimal digits, with or without 0x, and nothing else",
        )
    key = bytes.fromhex(digits.removeprefix("0x"))
    _checked_address(key)
    return key


@dataclass(frozen=True, slots=True)
class Keystore:
    """An encrypted key as its file describes it: EIP-55 address, not yet proven by the password.

    None where the file names no address: some clients write none, and only the password shows it.
    """

    name: str
    address: str | None
    path: Path


class KeyFolder:
    """The keystores in ``path``, one file NAME.json each.

    Parameters
    ----------
    path
        The folder; created, for its owner alone, with the first keystore.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_free(self, name: str) -> None:
        """Raise what :meth:`add` raises for a name that is not allowed or taken, before a password is asked for."""
        if not _NAME.fullmatch(name):
            raise KeystoreError(
                f"a keystore cannot be called {name!r}",
                hint="use up to 64 letters, digits, - and _, as for organizations; it starts with a letter or digit",
            )
        if self._file(name).exists():
            raise _exists(self._file(name))

    def add(self, name: str, key: bytes, password: str, *, cost: int = SCRYPT_COST) -> Keystore:
        """Encrypt the 32-byte private ``key`` into the keystore ``name``; the file is whole or not there.

        Raises
        ------
        KeystoreExists
            There is a keystore of this name.
        MalformedKey
            ``key`` is not 32 bytes, or not between 1 and the order of the curve's group.
        KeystoreError
            The name is not allowed, the password empty, or the file cannot be written.
        """
        self.check_free(name)
        if not password:
            raise KeystoreError("the password is empty", hint="choose one that nobody guesses; it cannot be recovered")
        address = _checked_address(key)

        from eth_account import Account

        document = Account.encrypt(key, password, kdf="scrypt", iterations=cost)
        path = self._file(name)
        self._write(path, json.dumps(document, indent=2) + "\n")
        return Keystore(name, address, path)

    def list(self) -> tuple[Keystore, ...]:
        """Return all keystores by name; files that are none, and a missing folder, count as nothing."""
        found = []
        for path in self._paths():
            with suppress(MalformedKeystore):
                found.append(_described(path))
        return tuple(found)

    def damaged(self) -> tuple[MalformedKeystore, ...]:
        """Why files that are called as keystores are none, by name."""
        found = []
        for path in self._paths():
            try:
                _described(path)
            except MalformedKeystore as error:
                found.append(error)
        return tuple(found)

    def get(self, name: str) -> Keystore:
        """Return the keystore ``name``; UnknownKeystore, MalformedKeystore when there is none."""
        keystore = self.find(name)
        if keystore is None:
            known = ", ".join(each.name for each in self.list()) or "none"
            raise UnknownKeystore(
                f"there is no keystore {name!r} in {self.path}; there is: {known}",
                hint=f"create it with `cocogen keys new {name}`, or choose another folder with --keys",
            )
        return keystore

    def find(self, name: str, address: str | None = None) -> Keystore | None:
        """Return the keystore ``name``; with an ``address``, the one that holds it, whatever it is called.

        One that does not say what it holds is taken by its name; loading it shows. MalformedKeystore if the file of
        that name is damaged.
        """
        path = self._file(name)
        named = _described(path) if _NAME.fullmatch(name) and path.exists() else None
        if address is None or (named is not None and named.address == address):
            return named
        stated = next((each for each in self.list() if each.address == address), None)
        unknown = named if named is not None and named.address is None else None
        return stated or unknown

    def load(self, keystore: Keystore, password: str) -> LocalAccount:
        """Decrypt a keystore.

        Raises
        ------
        ExposedSecret
            Others than the owner can reach the file.
        WrongPassword
            The password does not open it.
        MalformedKeystore
            It cannot be decrypted with any password, or holds the key of another address than it says.
        """
        from eth_account import Account

        stated, document = read_keystore(keystore.path)
        check_private(keystore.path)
        account: LocalAccount = Account.from_key(decrypted(document, password, keystore.path))
        if stated not in (None, account.address):
            raise MalformedKeystore(
                f"{keystore.path} says that it holds {stated}, but holds {account.address}",
                hint="somebody has edited the file: restore it from a copy",
            )
        return account

    def _paths(self) -> tuple[Path, ...]:
        try:
            return tuple(sorted(self.path.glob(f"*{_SUFFIX}")))
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{_SUFFIX}"

    def _write(self, path: Path, content: str) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # unlike a rename, a link never takes the place of a file that appeared meanwhile
            os.link(temporary, path)
        except FileExistsError:
            raise _exists(path) from None
        except OSError as error:
            raise KeystoreError(
                f"the keystore {path} cannot be written: {error.strerror}",
                hint="check that you may write to the folder, or choose another one with --keys",
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()


def _described(path: Path) -> Keystore:
    return Keystore(path.name.removesuffix(_SUFFIX), read_keystore(path)[0], path)


def _checked_address(key: bytes) -> str:
    try:
        if len(key) != WORD:
            raise ValueError
        return address_of(key)
    except ValueError:
        raise MalformedKey(
            "this is no private key (not shown): those have 32 bytes and lie between 1 and the order of the curve",
            hint="check that the whole key was copied",
        ) from None


def _exists(path: Path) -> KeystoreExists:
    return KeystoreExists(
        f"there is a keystore {path} already", hint="choose another name; keystores are never overwritten"
    )


def _unreadable(path: Path, error: OSError) -> KeystoreError:
    return KeystoreError(f"{path} cannot be read: {error.strerror}", hint="check that you may read it")
