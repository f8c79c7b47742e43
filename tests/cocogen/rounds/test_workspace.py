"""Files of a workspace appear whole or not at all, and two processes stay apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cocogen.errors import WorkspaceError
from cocogen.files import write_atomically
from cocogen.rounds.workspace import Workspace


def test_a_failed_write_keeps_the_old_content_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_a_real_full_disk_is_a_typed_error(tmp_path):
    # RLIMIT_FSIZE makes the kernel refuse the write as a full disk would.
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from cocogen.rounds.workspace import write_atomically; from cocogen.errors import WorkspaceError\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except WorkspaceError as error: print(error.hint)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "f")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "make room" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_a_typed_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "below", b"x")
    with pytest.raises(WorkspaceError), Workspace(tmp_path / "file").locked():
        pytest.fail("a file is not a folder")


@pytest.mark.parametrize(
    "content", ["", "{", "\x00", "[" * 10**6, "[" * 17 + "]" * 17, "9" * 5000, " " * 8_000_001 + "{}"]
)
def test_a_malformed_json_file_is_named(tmp_path, content):
    workspace = Workspace(tmp_path)
    workspace.report.write_text(content)
    with pytest.raises(WorkspaceError, match=r"report\.json"):
        workspace.read_json(workspace.report)


def test_a_missing_json_file_says_what_to_do(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(WorkspaceError, match=r"attested\.json is not there") as caught:
        workspace.read_json(workspace.attested(1))
    assert "cocogen status" in caught.value.hint


def test_nan_never_reaches_a_file(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        workspace.write_json(workspace.report, {"accuracy": float("nan")})
    assert not workspace.report.exists()


def test_a_second_process_is_refused_and_let_in_afterwards(tmp_path):
    script = (
        "import sys; from cocogen.rounds.workspace import Workspace; from cocogen.errors import WorkspaceError\n"
        "try:\n  with Workspace(sys.argv[1]).locked(): print('in')\n"
        "except WorkspaceError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "space")]
    with Workspace(tmp_path / "space").locked():
        assert "in use by another process" in subprocess.run(command, capture_output=True, text=True).stdout
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "in"


def test_setting_aside_keeps_everything_under_the_first_free_name(tmp_path):
    workspace = Workspace(tmp_path / "space")
    for number in (1, 2):
        workspace.root.mkdir(exist_ok=True)
        workspace.report.write_text(f"{number}")
        assert workspace.set_aside() == tmp_path / f"space.{number}"
    assert [(tmp_path / f"space.{n}" / "report.json").read_text() for n in (1, 2)] == ["1", "2"]
    assert list(workspace.root.iterdir()) == []
