"""``cocogen keys``: encrypted keystores, and where their passwords come from.

A password comes from a file, from an environment variable or from the person at the terminal, a private key from a
file or from standard input: neither is ever an argument, and neither is ever printed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import key_options
from cli.output import emit, note, table, word

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from chain.keys.keystores import KeyFolder, Keystore

__all__ = ["key_folder", "key_source", "keys"]

_VARIABLE = "COCOGEN_PASSWORD"


def key_folder(path: str | None) -> KeyFolder:
    """The key folder that was named, else the one in the user's configuration folder."""
    from platformdirs import user_config_path

    from chain.keys.keystores import KeyFolder

    return KeyFolder(Path(path).expanduser() if path else user_config_path("cocogen") / "keys")


def key_source(path: str | None, password_file: str | None, addresses: Mapping[str, str]) -> KeySource:
    """Keystores with their passwords, for terms that name these addresses."""
    from chain.keys.accounts import KeySource

    return KeySource(key_folder(path), lambda keystore: _password(keystore, password_file), addresses)


@click.group(short_help="Create, import and list keystores.")
def keys() -> None:
    """Work with encrypted keys.

    The keystore called NAME signs for the organization or role NAME: "operator" pays for deploying, recording and
    settling, "attester" opens rounds and signs contributions, "arbiter" rules on disputes. Where the terms name an
    address, the keystore must hold it. Local chains need no keystores.
    """


@keys.command()
@click.argument("name")
@key_options
def new(name: str, keys: str | None, password_file: str | None, format_: str) -> None:
    """Create a key called NAME and print its address."""
    import secrets

    _added(name, lambda: secrets.token_bytes(32), keys, password_file, format_)


@keys.command("import")
@click.argument("name")
@click.option(
    "--private-key-file",
    metavar="FILE|-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="File with the private key, 64 hexadecimal digits; - reads standard input.",
)
@click.option(
    "--keystore",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Encrypted keystore of any Ethereum client (version 3); it keeps its password.",
)
@key_options
def import_(
    name: str,
    private_key_file: str | None,
    keystore: str | None,
    keys: str | None,
    password_file: str | None,
    format_: str,
) -> None:
    """Keep an existing key under NAME: a private key or a keystore; delete the file that it came from afterwards."""
    from chain.keys.keystores import parse_private_key
    from cocogen.errors import ConfigurationError

    if (private_key_file is None) == (keystore is None):
        raise ConfigurationError("give either --private-key-file or --keystore")
    if keystore is not None:
        _copied(name, Path(keystore), keys, password_file, format_)
        return
    _added(name, lambda: parse_private_key(_secret(str(private_key_file))), keys, password_file, format_)


@keys.command("list")
@key_options
def list_(keys: str | None, password_file: str | None, format_: str) -> None:
    """List names and addresses; what is called as a keystore and is none is said on standard error."""
    del password_file
    folder = key_folder(keys)
    found = folder.list()
    data = {"folder": str(folder.path), "keys": [_data(keystore) for keystore in found]}

    def text() -> None:
        rows = [[each.name, each.address or "(shown by its password alone)"] for each in found]
        table(f"keystores in {folder.path}", ["name", "address"], rows)

    emit(data, text if found else f"no keystores in {folder.path}", as_json=format_ == "json")
    for error in folder.damaged():
        note(f"left out: {error}")


@keys.command()
@click.argument("name")
@key_options
def show(name: str, keys: str | None, password_file: str | None, format_: str) -> None:
    """Print the address of NAME; no password is needed unless its file, of another client, leaves the address out."""
    folder = key_folder(keys)
    keystore = folder.get(name)
    address = keystore.address or folder.load(keystore, _password(keystore, password_file)).address
    emit({**_data(keystore), "address": address}, address, as_json=format_ == "json")


def _copied(name: str, file: Path, path: str | None, password_file: str | None, format_: str) -> None:
    """Encrypt the key of a keystore anew, under the password that it has."""
    from chain.keys.keystore_file import read_keystore
    from chain.keys.keystores import Keystore

    folder = key_folder(path)
    folder.check_free(name)
    source = Keystore(file.stem, read_keystore(file)[0], file)
    password = _password(source, password_file)
    _kept(folder.add(name, bytes(folder.load(source, password).key), password), format_)


def _added(name: str, key: Callable[[], bytes], path: str | None, password_file: str | None, format_: str) -> None:
    folder = key_folder(path)
    folder.check_free(name)
    secret = key()
    _kept(folder.add(name, secret, _password(None, password_file)), format_)


def _kept(keystore: Keystore, format_: str) -> None:
    kept = f"kept in {word(keystore.path)}; back it up: neither file nor password can be restored"
    text = f"{keystore.name}: {keystore.address}\n{kept}"
    emit(_data(keystore), text, as_json=format_ == "json")


def _data(keystore: Keystore) -> dict[str, Any]:
    return {"name": keystore.name, "address": keystore.address, "file": str(keystore.path)}


def _password(keystore: Keystore | None, password_file: str | None) -> str:
    """The password of a keystore, or of one that is about to be created (None)."""
    from chain.errors.keys import PasswordMissing

    if password_file is not None:
        password = (_secret(password_file).splitlines() or [""])[0]
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


def _secret(path: str) -> str:
    """The text of a file that nobody else may read, or of standard input."""
    from chain.errors.keys import KeystoreError

    try:
        if path == "-":
            return sys.stdin.read()
        with Path(path).open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
                raise KeystoreError(
                    f"others can read {path}, which holds a secret (its mode is {stat.S_IMODE(mode):o})",
                    hint=f"make it yours alone: chmod 600 {path}; if others use this machine, change the secret, too",
                )
            return file.read()
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError:
        raise KeystoreError(f"{path} is no text file", hint="check the path") from None
