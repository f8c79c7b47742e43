"""``cocogen keys``: encrypted keystores, and where their passwords come from.

A password comes from a file, from an environment variable or from the person at the terminal, a private key from a
file or from standard input: neither is ever an argument, and neither is ever printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import key_options
from cli.output import emit, table, word

if TYPE_CHECKING:
    from chain.accounts import KeySource
    from chain.keys import KeyFolder, Keystore

__all__ = ["key_folder", "key_source", "keys"]

_VARIABLE = "COCOGEN_PASSWORD"


def key_folder(path: str | None) -> KeyFolder:
    """The key folder that was named, else the one in the user's configuration folder."""
    from platformdirs import user_config_path

    from chain.keys import KeyFolder

    return KeyFolder(Path(path).expanduser() if path else user_config_path("cocogen") / "keys")


def key_source(path: str | None, password_file: str | None, addresses: Mapping[str, str]) -> KeySource:
    """Keystores with their passwords, for terms that name these addresses."""
    from chain.accounts import KeySource

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
    required=True,
    metavar="FILE|-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="File with the private key, 64 hexadecimal digits; - reads standard input.",
)
@key_options
def import_(name: str, private_key_file: str, keys: str | None, password_file: str | None, format_: str) -> None:
    """Keep an existing private key under NAME; delete the file that it came from afterwards."""
    from chain.keys import parse_private_key

    _added(name, lambda: parse_private_key(_text(private_key_file)), keys, password_file, format_)


@keys.command("list")
@key_options
def list_(keys: str | None, password_file: str | None, format_: str) -> None:
    """List names and addresses."""
    del password_file
    folder = key_folder(keys)
    found = folder.list()
    data = {"folder": str(folder.path), "keys": [_data(keystore) for keystore in found]}

    def text() -> None:
        table(f"keystores in {folder.path}", ["name", "address"], [[each.name, each.address] for each in found])

    emit(data, text if found else f"no keystores in {folder.path}", as_json=format_ == "json")


@keys.command()
@click.argument("name")
@key_options
def show(name: str, keys: str | None, password_file: str | None, format_: str) -> None:
    """Print the address of NAME; no password is needed."""
    del password_file
    keystore = key_folder(keys).get(name)
    emit(_data(keystore), keystore.address, as_json=format_ == "json")


def _added(name: str, key: Callable[[], bytes], path: str | None, password_file: str | None, format_: str) -> None:
    folder = key_folder(path)
    folder.check_free(name)
    secret = key()
    keystore = folder.add(name, secret, _password(None, password_file))
    kept = f"kept in {word(keystore.path)}; back it up: neither file nor password can be restored"
    text = f"{name}: {keystore.address}\n{kept}"
    emit(_data(keystore), text, as_json=format_ == "json")


def _data(keystore: Keystore) -> dict[str, Any]:
    return {"name": keystore.name, "address": keystore.address, "file": str(keystore.path)}


def _password(keystore: Keystore | None, password_file: str | None) -> str:
    """The password of a keystore, or of one that is about to be created (None)."""
    from chain.key_errors import PasswordMissing

    if password_file is not None:
        password = (_text(password_file).splitlines() or [""])[0]
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


def _text(path: str) -> str:
    from chain.key_errors import KeystoreError

    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError:
        raise KeystoreError(f"{path} is no text file", hint="check the path") from None
