"""Certificates and keys are made once, by an authority of the folder's own, and lock nobody out who needs them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest

pytest.importorskip("flwr", reason="SKIPPED: Flower is not installed (pip install 'cocogen[flower]')")

from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from cli.flower.certificates import FILES, make_certificates, make_node_key
from cocogen.errors import ConfigurationError, WorkspaceError


def handshake(folder, name):
    """What a client that trusts ``ca.crt`` alone sees of a server with these certificates under a name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")

        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client = ssl.create_default_context(cafile=folder / "ca.crt")
            plain = socket.create_connection(server.getsockname())
            with plain, client.wrap_socket(plain, server_hostname=name) as secure:
                return secure.version()
        finally:
            thread.join()


def test_a_client_with_the_authority_reaches_the_server_by_its_names_alone(tmp_path):
    make_certificates(tmp_path, ["superlink.example.org", "127.0.0.1"])
    assert handshake(tmp_path, "superlink.example.org") == "TLSv1.3"
    assert handshake(tmp_path, "127.0.0.1") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tmp_path, "other.example.org")


def test_what_is_there_is_used_and_only_the_key_is_secret(tmp_path):
    options = make_certificates(tmp_path / "made", ["localhost"])
    content = [(tmp_path / "made" / name).read_bytes() for name in FILES]
    assert make_certificates(tmp_path / "made", ["elsewhere"]) == options
    assert [(tmp_path / "made" / name).read_bytes() for name in FILES] == content
    modes = [(tmp_path / "made" / name).stat().st_mode & 0o777 for name in FILES]
    assert (modes[0] & 0o077 != 0, modes[2]) == (True, 0o600)
    assert options[:2] == ["--ssl-ca-certfile", str(tmp_path / "made" / "ca.crt")]


def test_a_folder_with_a_part_of_the_files_is_named(tmp_path):
    make_certificates(tmp_path, ["localhost"])
    (tmp_path / "server.key").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks server\.key"):
        make_certificates(tmp_path, ["localhost"])


def test_a_node_has_one_key_whose_other_half_fits(tmp_path):
    public = make_node_key(tmp_path / "node-key")
    private = load_ssh_private_key((tmp_path / "node-key").read_bytes(), None)
    assert load_ssh_public_key(public.read_bytes()) == private.public_key()
    assert (tmp_path / "node-key").stat().st_mode & 0o777 == 0o600
    first = public.read_bytes()
    assert make_node_key(tmp_path / "node-key").read_bytes() == first


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot be written"):
        make_node_key(tmp_path / "file" / "node-key")
