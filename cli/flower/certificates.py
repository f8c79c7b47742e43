"""Keys and certificates of a SuperLink and of nodes, made where there are none: an authority of its own, P-384, PEM.

A SuperLink's folder holds ``ca.crt``, which every node is given, ``server.crt`` and ``server.key``; the authority's key
signs once and is not kept. Left out: certificates of an authority that the world knows, which go into the same files.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cocogen.errors import ConfigurationError, WorkspaceError

__all__ = ["FILES", "make_certificates", "make_node_key"]

FILES = ("ca.crt", "server.crt", "server.key")
_DAYS = 3650


def make_certificates(folder: Path, names: Sequence[str]) -> list[str]:
    """The options by which a SuperLink takes the certificates in ``folder``, which are made where there are none.

    ``names``: hosts and addresses by which nodes reach it.

    Raises
    ------
    ConfigurationError
        Some of the files are there, and some are not.
    WorkspaceError
        They cannot be written.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing and len(missing) < len(FILES):
        raise ConfigurationError(
            f"{folder} lacks {', '.join(missing)}", hint="put all three files there, or none to have them made"
        )
    if missing:
        _make(folder, names)
    authority, certificate, key = (str((folder / name).resolve()) for name in FILES)
    return ["--ssl-ca-certfile", authority, "--ssl-certfile", certificate, "--ssl-keyfile", key]


def make_node_key(path: Path) -> Path:
    """The public half of the private key at ``path``, beside it with ``.pub``; both are made where there is none."""
    public = path.with_name(f"{path.name}.pub")
    if not path.is_file():
        key = ec.generate_private_key(ec.SECP384R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        shown = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        _write(public, shown + b"\n", 0o644)
        _write(path, private, 0o600)
    return public


def _make(folder: Path, names: Sequence[str]) -> None:
    authority, server = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    ours, theirs = _name("CoCoGen consortium"), _name(names[0])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    root = _builder(ours, ours, authority).add_extension(constraints, critical=True).sign(authority, hashes.SHA384())
    leaf = (
        _builder(theirs, ours, server)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(authority, hashes.SHA384())
    )
    private = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    # the authority last of all: where it is there, the others are
    for name, content, mode in (
        ("server.key", private, 0o600),
        ("server.crt", leaf.public_bytes(pem), 0o644),
        ("ca.crt", root.public_bytes(pem), 0o644),
    ):
        _write(folder / name, content, mode)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that has its ``mode`` from the beginning."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        beside.replace(path)
    except OSError as error:
        raise WorkspaceError(
            f"{path} cannot be written: {error.strerror or error}", hint="name another folder"
        ) from error
