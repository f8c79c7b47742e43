"""A backup is one file of its owner's alone, and what comes back of it is what was there, or nothing."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cocogen.errors import WorkspaceError
from cocogen.operations.site_backup import back_up, restore
from cocogen.operations.site_state import SiteState


@pytest.fixture
def state(tmp_path: Path) -> SiteState:
    found = SiteState(tmp_path / "north.state")
    found.secret(create=True)
    found.disclose("registration", "everybody")
    folder = found.root / "registrations" / "ab"
    folder.mkdir(parents=True)
    for path, content in ((folder / "leaves", bytes(100_000)), (found.root / "run" / "socket", b"1")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    for path in (folder.parent, folder, found.root / "run"):
        path.chmod(0o700)
    return found


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_was_backed_up_comes_back(state: SiteState, tmp_path: Path) -> None:
    backup = tmp_path / "north.backup"
    files = back_up(state, backup)
    assert sorted(files) == ["disclosed.jsonl", "registrations/ab/leaves", "secret"]
    assert backup.stat().st_mode & 0o777 == 0o600
    again = SiteState(tmp_path / "elsewhere.state")
    assert restore(backup, again) == files
    was = contents(state.root)
    del was["run/socket"]
    assert contents(again.root) == was
    assert again.secret() == state.secret()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (again.root, *again.root.rglob("*")))


def test_a_state_that_is_there_is_not_replaced(state: SiteState, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup")
    with pytest.raises(WorkspaceError, match="is there already, and a backup replaces nothing"):
        restore(tmp_path / "backup", state)


def test_nothing_is_backed_up_of_a_site_without_a_secret_or_with_files_that_others_reach(
    state: SiteState, tmp_path: Path
) -> None:
    with pytest.raises(WorkspaceError, match="there is no"):
        back_up(SiteState(tmp_path / "nobody.state"), tmp_path / "backup")
    (state.root / "disclosed.jsonl").chmod(0o644)
    with pytest.raises(WorkspaceError, match=r"others can reach .*disclosed"):
        back_up(state, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_backup_that_others_can_reach_is_refused(state: SiteState, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup")
    (tmp_path / "backup").chmod(0o640)
    with pytest.raises(WorkspaceError, match="others can reach"):
        restore(tmp_path / "backup", SiteState(tmp_path / "new.state"))


def test_a_backup_that_cannot_be_written_leaves_nothing(state: SiteState, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"the backup .* cannot be written"):
        back_up(state, tmp_path / "nowhere" / "backup")


def made(path: Path, files: dict[str, bytes], listed: object = None, **said: Any) -> Path:
    """A backup of somebody's making."""
    import hashlib

    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    document = {"format": "cocogen: state of a site", "version": 1, "files": digests if listed is None else listed}
    with tarfile.open(path, "w") as tar:
        for name, content in {"contents.json": json.dumps(document | said).encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    path.chmod(0o600)
    return path


SECRET = {"secret": bytes(32)}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: made(path, SECRET, version=2), "another format or version"),
        (lambda path: made(path, SECRET, format="zip"), "another format or version"),
        (lambda path: made(path, {}), "holds no secret"),
        (lambda path: made(path, SECRET, {"secret": "0" * 64}), "its secret is damaged"),
        (lambda path: made(path, {**SECRET, "more": b""}, {"secret": "0" * 64}), "damaged|does not list"),
        (lambda path: made(path, {"../secret": b"", **SECRET}), "'../secret', which its contents do not list"),
        (lambda path: made(path, {"/tmp/x": b"", **SECRET}), "which its contents do not list"),
        (lambda path: made(path, SECRET, {"secret": "66687aad", "more": "0"}), "damaged"),
        (lambda path: made(path, SECRET, []), "it lists no files"),
    ],
)
def test_what_is_no_backup_is_refused_and_leaves_nothing(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    with pytest.raises(WorkspaceError, match=reason):
        restore(make(tmp_path / "backup"), SiteState(tmp_path / "new.state"))
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_a_backup_that_lacks_a_file_or_its_end_is_refused(state: SiteState, tmp_path: Path) -> None:
    digest = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    path = made(tmp_path / "backup", SECRET, {"secret": digest, "more": digest})
    with pytest.raises(WorkspaceError, match="its more is not there"):
        restore(path, SiteState(tmp_path / "new.state"))
    back_up(state, path)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(WorkspaceError, match="cannot be restored"):
        restore(path, SiteState(tmp_path / "new.state"))
    path.write_bytes(b"anything")
    with pytest.raises(WorkspaceError, match="cannot be restored"):
        restore(path, SiteState(tmp_path / "new.state"))
    with pytest.raises(WorkspaceError, match="No such file"):
        restore(tmp_path / "none", SiteState(tmp_path / "new.state"))


def test_a_link_in_a_backup_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "backup", SECRET, {"secret": "0" * 64})
    with tarfile.open(path, "w") as tar:
        document = {"format": "cocogen: state of a site", "version": 1, "files": {"secret": "0" * 64}}
        content = json.dumps(document).encode()
        entry = tarfile.TarInfo("contents.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("secret")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(WorkspaceError, match="which its contents do not list"):
        restore(path, SiteState(tmp_path / "new.state"))
