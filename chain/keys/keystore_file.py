"""One encrypted key in a file: the Web3 Secret Storage format, version 3, as any Ethereum client writes it.

Clients differ in what they leave out and how they spell it: ``cast`` and ox name no address, ethers writes ``Crypto``.
What a file asks for is bounded before any work is done, since a file can come from anybody: a try at a password takes
at most a gibibyte of memory and some seconds. Left out: names, folders and passwords (:mod:`chain.keys.keystores`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chain.abi import checksum_address, is_address
from chain.errors.keys import KeystoreError, MalformedKeystore, WrongPassword

__all__ = ["decrypted", "read_keystore"]

_LARGEST_FILE = 1 << 16
_DEEPEST = 32
_MEMORY = 1 << 30
"""Bytes that scrypt may need: 128 · n · r."""
_WORK = 1 << 24
"""n · r · p: eight times the usual."""

_Hex = Annotated[str, Field(pattern="^(0x)?([0-9a-fA-F]{2}){0,128}$")]
_Word = Annotated[str, Field(pattern="^(0x)?[0-9a-fA-F]{64}$")]
_Length = Annotated[int, Field(ge=32, le=64)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Scrypt(_Part):
    n: Annotated[int, Field(ge=2, le=1 << 20)]
    r: Annotated[int, Field(ge=1, le=64)]
    p: Annotated[int, Field(ge=1, le=16)]
    dklen: _Length
    salt: _Hex

    @model_validator(mode="after")
    def _is_bounded(self) -> _Scrypt:
        if self.n & (self.n - 1):
            raise ValueError(f"n is {self.n}, which is no power of two")
        if 128 * self.n * self.r > _MEMORY:
            raise ValueError(f"128 · n · r is {128 * self.n * self.r} bytes of memory; at most {_MEMORY}")
        if self.n * self.r * self.p > _WORK:
            raise ValueError(f"n · r · p is {self.n * self.r * self.p}; at most {_WORK}")
        return self


class _Pbkdf2(_Part):
    c: Annotated[int, Field(ge=1, le=10_000_000)]
    prf: Literal["hmac-sha256"]
    dklen: _Length
    salt: _Hex


class _Cipher(_Part):
    iv: Annotated[str, Field(pattern="^(0x)?([0-9a-fA-F]{2}){1,16}$")]


class _Crypto(_Part):
    cipher: Literal["aes-128-ctr"]
    cipherparams: _Cipher
    ciphertext: _Word
    kdf: Literal["scrypt", "pbkdf2"]
    kdfparams: dict[str, Any]
    mac: _Word


class _Document(_Part):
    version: Literal[3]
    crypto: _Crypto
    address: str | None = None


def read_keystore(path: Path) -> tuple[str | None, dict[str, Any]]:
    """Read a keystore without its password: its EIP-55 address, None where the file names none, and its content.

    Raises
    ------
    KeystoreError
        The file cannot be read.
    MalformedKeystore
        It is none of version 3, or asks for more work than any client's does.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}", hint="check that you may read it") from error
    # the decoder recurses, and some libraries raise Python's limit so far that the process would crash
    if len(content) > _LARGEST_FILE or content.count(b"{") + content.count(b"[") > _DEEPEST:
        raise _malformed(path, "the file is too large or too deep for one")
    try:
        document = json.loads(content, object_pairs_hook=_lower_case)
    except ValueError as error:
        raise _malformed(path, str(error)) from None
    try:
        described = _Document.model_validate(document)
        (_Scrypt if described.crypto.kdf == "scrypt" else _Pbkdf2).model_validate(described.crypto.kdfparams)
    except ValidationError as error:
        raise _malformed(path, _first(error)) from None
    if described.address is None:
        return None, document
    address = "0x" + described.address.removeprefix("0x")
    if not is_address(address):
        raise _malformed(path, f"{address[:60]!r} is no address, or has a wrong checksum (EIP-55)")
    return checksum_address(address), document


def decrypted(document: dict[str, Any], password: str, path: Path) -> bytes:
    """Return the private key of what :func:`read_keystore` read, as it is in the file.

    Raises
    ------
    WrongPassword
        The password does not open it.
    MalformedKeystore
        No password does.
    """
    from eth_account import Account

    try:
        return bytes(Account.decrypt(document, password))
    except ValueError as error:
        # eth_account reports a wrong password and a damaged cipher text alike
        if "MAC" in str(error):
            raise WrongPassword(
                f"the password does not open the keystore {path.stem} ({path})",
                hint="try again; a lost password cannot be recovered",
            ) from None
        raise _malformed(path, "it cannot be decrypted") from None
    except (KeyError, TypeError, AttributeError, NotImplementedError):
        raise _malformed(path, "it cannot be decrypted") from None


def _lower_case(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {name.lower(): value for name, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a field stands there twice")
    return found


def _first(error: ValidationError) -> str:
    item = error.errors(include_url=False)[0]
    where = ".".join(map(str, item["loc"])) or "kdfparams"
    value = f" = {ascii(item['input'])[:40]}" if isinstance(item["input"], int | str | float) else ""
    return f"{where}{value}: {re.sub(r'^(Value error, |Input )', '', item['msg'])}"


def _malformed(path: Path, reason: str) -> MalformedKeystore:
    return MalformedKeystore(
        f"{path} is no encrypted keystore (version 3): {reason[:200]}", hint="restore the file from a copy"
    )
