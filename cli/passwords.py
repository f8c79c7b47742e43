"""Where the keys of a command come from: a folder of keystores, and a password for each.

A password comes from a file, from an environment variable or from the person at the terminal, a private key from a
file or from standard input: neither is ever an argument, and neither is ever printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.errors.keys import KeystoreError, PasswordMissing
from chain.keys.private import check_private
from cli.output import word

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from chain.keys.keystores import KeyFolder, Keystore

__all__ = ["key_folder", "key_source", "password_of", "secret_of"]

_VARIABLE = "COCOGEN_PASSWORD"


def key_folder(path: str | None) -> KeyFolder:
    """The key folder that was named, else the one in the user's configuration folder."""
    from platformdirs import user_config_path

    from chain.keys.keystores import KeyFolder

    return KeyFolder(Path(path).expanduser() if path else user_config_path("cocogen") / "keys")


def key_source(path: str | None, password_file: str | None, addresses: Mapping[str, str]) -> KeySource:
    """Keystores with their passwords, for terms that name these addresses."""
    from chain.keys.accounts import KeySource

    return KeySource(key_folder(path), lambda keystore: password_of(keystore, password_file), addresses)


def password_of(keystore: Keystore | None, password_file: str | None) -> str:
    """The password of a keystore, or of one that is about to be created (None).

    A keystore that others can reach is refused before anybody is asked.
    """
    if keystore is not None:
        check_private(keystore.path)

    if password_file is not None:
        password = (secret_of(password_file).splitlines() or [""])[0]
        source = password_file
    elif _VARIABLE in os.environ:
        password, source = os.environ[_VARIABLE], _VARIABLE
    elif sys.stdin is not None and sys.stdin.isatty():
        what = "Password for the new keystore" if keystore is None else f"Password of {word(keystore.name)}"
        return str(click.prompt(what, hide_input=True, confirmation_prompt=keystore is None, err=True))
    else:
        raise PasswordMissing(
            f"no password for {'the new keystore' if keystore is None else f'the keystore {keystore.name}'}",
            hint=f"run this in a terminal, name a file with --password-file, or set {_VARIABLE}",
        )
    if not password:
        raise PasswordMissing(f"the password in {source} is empty", hint="put the password into its first line")
    return password


def secret_of(path: str) -> str:
    """The text of a file that nobody else can reach, or of standard input."""
    try:
        if path == "-":
            return sys.stdin.read()
        with Path(path).open(encoding="utf-8") as file:
            check_private(path, file.fileno())
            return file.read()
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError:
        raise KeystoreError(f"{path} is no text file", hint="check the path") from None
