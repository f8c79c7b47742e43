"""A SuperNode connects as it is told, never with a key in the clear, and is started again when it ends."""

from __future__ import annotations

import os
import sys
import time

import pytest

from cli.flower import supernode
from cli.flower.supernode import Connection, SuperNode
from cocogen.errors import ConfigurationError


def test_on_this_machine_it_needs_no_certificate_and_elsewhere_those_of_the_system():
    assert Connection("127.0.0.1:9").options() == ["--superlink", "127.0.0.1:9", "--insecure"]
    assert Connection("superlink.example.org:8443").options() == ["--superlink", "superlink.example.org:8443"]


def test_certificate_and_key_are_handed_on_by_their_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ca.crt", "key"):
        (tmp_path / name).touch()
    made = Connection("127.0.0.1:9", tmp_path / "ca.crt", tmp_path / "key").options()
    assert made == [
        *("--superlink", "127.0.0.1:9"),
        *("--root-certificates", str(tmp_path / "ca.crt")),
        *("--auth-supernode-private-key", str(tmp_path / "key")),
    ]


def test_a_key_goes_over_no_open_connection(tmp_path):
    with pytest.raises(ConfigurationError, match="proves itself over TLS alone"):
        Connection("localhost:9", None, tmp_path / "key").options()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"ca\.crt is not there"):
        Connection("127.0.0.1:9", tmp_path / "ca.crt").options()


def test_it_is_started_again_after_a_pause_that_grows(tmp_path, monkeypatch, capfd):
    program = tmp_path / "flower-supernode"
    program.write_text(f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'starts')!r}, 'a').write('x')\n")
    program.chmod(0o755)
    now = [0.0]
    monkeypatch.setattr(supernode.time, "monotonic", lambda: now[0])
    starts = tmp_path / "starts"

    def ended():
        until = time.time() + 20
        while node._process.poll() is None and time.time() < until:
            time.sleep(0.02)

    node = SuperNode("north", Connection("127.0.0.1:9"), os.environ | {"PATH": str(tmp_path)})
    with node:
        for pause, count in ((1, 1), (3, 2), (7, 3)):
            ended()
            assert starts.read_text() == "x" * count
            node.look()
            assert f"started again in {pause} s" in capfd.readouterr().err
            now[0] += pause - 0.5
            node.look()
            assert node._process is None
            now[0] += 1
            node.look()
            assert node._process is not None
        ended()
