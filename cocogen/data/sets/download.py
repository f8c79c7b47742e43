"""Published files by checksum: downloaded once into the user's cache, and unpacked without trusting their paths.

Left out: mirrors, and anything whose SHA-256 is not known beforehand.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cocogen.errors import DatasetError

__all__ = ["Remote", "fetch", "fetch_and_unpack"]

_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A published file: where it is, its SHA-256 (hexadecimal) and its size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


def fetch(remote: Remote, folder: Path, *, instead: str) -> Path:
    """The file in ``folder``, downloaded (with a note on stderr) unless it is there with the right checksum.

    ``instead``: what the user can do without a network, the hint of the error.

    Raises
    ------
    DatasetError
        When it cannot be downloaded, or is not what the checksum says.
    """
    import pooch
    import requests

    try:
        path = pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{remote.sha256}",
            fname=remote.name,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=sys.stderr.isatty()),
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise DatasetError(
            f"{remote.url} ({remote.size:,} bytes) cannot be downloaded: no connection ({type(error).__name__})",
            hint=instead,
        ) from error
    except (OSError, ValueError) as error:  # ValueError: another checksum
        raise DatasetError(f"{remote.url} ({remote.size:,} bytes) cannot be had: {error}", hint=instead) from error
    return Path(path)


def fetch_and_unpack(remote: Remote, folder: Path, files: Sequence[str], *, instead: str) -> None:
    """Make ``folder`` with these ``files``, which a tar archive holds in whatever folder; DatasetError as above.

    Only regular files of these names are taken, and written under their bare names: no path, link or device of the
    archive has any effect. The folder appears at once and complete, and the archive is removed then.
    """
    archive = fetch(remote, folder.parent, instead=instead)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as room:
            unpacked = Path(room) / folder.name
            unpacked.mkdir()
            missing = _unpack(archive, unpacked, files)
            if missing:
                raise DatasetError(f"{archive} lacks {', '.join(missing)}", hint=instead)
            unpacked.rename(folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        # Another process may have been faster; what it unpacked has the same checksum.
        if not folder.is_dir():
            raise DatasetError(f"{archive} cannot be unpacked: {error}", hint="free space in the cache") from error
    archive.unlink(missing_ok=True)


def _unpack(archive: Path, folder: Path, files: Sequence[str]) -> list[str]:
    """Unpack into ``folder``; the files that the archive lacks."""
    found = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            content = tar.extractfile(member) if member.isreg() and name in files else None
            if content is not None:
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(content, target)
                found.add(name)
    return sorted(set(files) - found)
