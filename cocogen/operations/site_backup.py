"""A site's state folder as one file, and back: what no data and no consortium can replace.

A tar of plain files under the folder, preceded by the digest of each; written whole or not at all, for its owner alone.
What a node keeps while it runs (``run/``) stays out. Whoever has a backup has the site's secret.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from cocogen.errors import WorkspaceError
from cocogen.files import canonical_json, parse_json, whole_file
from cocogen.operations.site_state import SiteState, check_owner_only

__all__ = ["back_up", "restore"]

_CONTENTS = "contents.json"
_RUNNING = "run"
_MAXIMUM_CONTENTS = 8_000_000
_MAXIMUM_FILES = 100_000
_FILE_MODE = 0o600
_FORMAT = "cocogen: state of a site"


def back_up(state: SiteState, path: Path) -> dict[str, str]:
    """Write a site's state to one file; the digest of each file in it.

    Raises
    ------
    WorkspaceError
        There is no state, others can read any of it, or the file cannot be written.
    """
    state.secret()
    files = {}
    for file in sorted(state.root.rglob("*")):
        name = file.relative_to(state.root)
        if name.parts[0] == _RUNNING or not file.is_file() or file.is_symlink():
            continue
        check_owner_only(file)
        files[name.as_posix()] = _digest(file)
    contents = canonical_json({"format": _FORMAT, "version": 1, "files": files})
    with whole_file(path, "the backup", private=True) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(_entry(_CONTENTS, len(contents)), io.BytesIO(contents))
        for inside in files:
            with (state.root / inside).open("rb") as source:
                tar.addfile(_entry(inside, (state.root / inside).stat().st_size), source)
    return files


def restore(path: Path, state: SiteState) -> dict[str, str]:
    """Make a site's state folder of a backup, whole or not at all; the digest of each file in it.

    Raises
    ------
    WorkspaceError
        It is no backup, is damaged, others can read it, or the folder is there already.
    """
    if state.root.exists():
        raise WorkspaceError(
            f"{state.root} is there already, and a backup replaces nothing",
            hint="move it elsewhere if the backup is the newer one",
        )
    try:
        check_owner_only(path)
        with tempfile.TemporaryDirectory(prefix=f".{state.root.name}.", dir=state.root.parent) as folder:
            with tarfile.open(path, mode="r:") as tar:
                files = _unpack(tar, Path(folder) / "state")
            (Path(folder) / "state").rename(state.root)
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WorkspaceError(f"{path} cannot be restored: {reason}", hint="take another backup") from error
    return files


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, _FILE_MODE
    return entry


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpack(tar: tarfile.TarFile, root: Path) -> dict[str, str]:
    first = tar.next()
    if first is None or first.name != _CONTENTS or not first.isreg() or first.size > _MAXIMUM_CONTENTS:
        raise ValueError("it is no backup of a site")
    contents: Any = parse_json(_content(tar, first).read())
    if contents["format"] != _FORMAT or contents["version"] != 1:
        raise ValueError(f"it is a backup of another format or version than {_FORMAT}, 1")
    if not isinstance(contents["files"], dict):
        raise ValueError("it lists no files")
    files = {str(name): str(digest) for name, digest in contents["files"].items()}
    if "secret" not in files or len(files) > _MAXIMUM_FILES:
        raise ValueError("it holds no secret, or too many files")
    missing = dict(files)
    while (entry := tar.next()) is not None:
        place = PurePosixPath(entry.name)
        if not entry.isreg() or entry.name not in missing or place.is_absolute() or ".." in place.parts:
            raise ValueError(f"it holds {entry.name!r}, which its contents do not list")
        target = root / place
        for folder in (root, *(root / parent for parent in reversed(place.parents[:-1]))):
            folder.mkdir(mode=0o700, exist_ok=True)
        with target.open("xb") as stream:
            target.chmod(stat.S_IRUSR | stat.S_IWUSR)
            source = _content(tar, entry)
            while piece := source.read(2**20):
                stream.write(piece)
        if _digest(target) != missing.pop(entry.name):
            raise ValueError(f"its {entry.name} is damaged")
    if missing:
        raise ValueError(f"its {next(iter(missing))} is not there")
    return files


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Any:
    if (found := tar.extractfile(entry)) is None:
        raise ValueError(f"its {entry.name} has no content")
    return found
