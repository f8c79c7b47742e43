"""``cocogen keys``: encrypted keystores. Left out: where their passwords come from (:mod:`cli.passwords`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import key_options
from cli.output import emit, note, table, word
from cli.passwords import key_folder, password_of, secret_of

if TYPE_CHECKING:
    from chain.keys.keystores import Keystore

__all__ = ["keys"]


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
    _added(name, lambda: parse_private_key(secret_of(str(private_key_file))), keys, password_file, format_)


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
    address = keystore.address or folder.load(keystore, password_of(keystore, password_file)).address
    emit({**_data(keystore), "address": address}, address, as_json=format_ == "json")


def _copied(name: str, file: Path, path: str | None, password_file: str | None, format_: str) -> None:
    """Encrypt the key of a keystore anew, under the password that it has."""
    from chain.keys.keystore_file import read_keystore
    from chain.keys.keystores import Keystore

    folder = key_folder(path)
    folder.check_free(name)
    source = Keystore(file.stem, read_keystore(file)[0], file)
    password = password_of(source, password_file)
    _kept(folder.add(name, bytes(folder.load(source, password).key), password), format_)


def _added(name: str, key: Callable[[], bytes], path: str | None, password_file: str | None, format_: str) -> None:
    folder = key_folder(path)
    folder.check_free(name)
    secret = key()
    _kept(folder.add(name, secret, password_of(None, password_file)), format_)


def _kept(keystore: Keystore, format_: str) -> None:
    kept = f"kept in {word(keystore.path)}; back it up: neither file nor password can be restored"
    text = f"{keystore.name}: {keystore.address}\n{kept}"
    emit(_data(keystore), text, as_json=format_ == "json")


def _data(keystore: Keystore) -> dict[str, Any]:
    return {"name": keystore.name, "address": keystore.address, "file": str(keystore.path)}
