"""Where the files of data sets are looked for.

A data set that the terms name is looked for in the folder of ``--data-dir``, then in that of the environment variable
COCOGEN_DATA, then in the user's cache, where downloads go. A path in the terms is relative to the terms file; who got
the terms without the file next to it, such as a member on its own machine, keeps its copy in one of the first two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cocogen.errors import DatasetError

__all__ = ["VARIABLE", "DataFolders", "cache_folder"]

VARIABLE = "COCOGEN_DATA"
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class DataFolders:
    """``terms``: folder of the terms file, by default the working folder. ``data``: that of ``--data-dir``."""

    terms: Path = Path()
    data: Path | None = None

    def own(self) -> list[Path]:
        """The folders that the user named, first choice first; DatasetError when one is no folder."""
        named = [("--data-dir", self.data), (VARIABLE, os.environ.get(VARIABLE))]
        folders = []
        for source, value in named:
            if value:
                folder = _expanded(value)
                if not _probed(folder, Path.is_dir):
                    raise DatasetError(f"{source} names {folder}, which is no folder", hint="name an existing folder")
                folders.append(folder)
        return folders

    def find(self, entry: str) -> Path | None:
        """The file or folder ``entry`` of a named data set in the user's own folders, None when it is in neither."""
        return next((place for folder in self.own() if _probed(place := folder / entry, Path.exists)), None)

    def resolve(self, path: str) -> Path:
        """The file or folder at a ``path`` that the terms state; DatasetError says where it was looked for."""
        entry = _expanded(path)
        places = [folder / entry for folder in (self.terms, *self.own())]
        found = next((place for place in places if _probed(place, Path.exists)), None)
        if found is None:
            raise DatasetError(
                f"there is no data set at {' or '.join(str(place.absolute()) for place in dict.fromkeys(places))}",
                hint="paths are relative to the terms file; name the folder of your data with --data-dir",
            )
        return found


def _expanded(path: str | Path) -> Path:
    """``path`` with the home folder for ~."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # ~name of no user
        raise DatasetError(f"{_short(path)} names no folder: {error}", hint="write the path in full") from error


def _probed(path: Path, probe: Callable[[Path], bool]) -> bool:
    """``probe(path)``; DatasetError when the system does not let it be answered, such as for a path too long."""
    try:
        return probe(path)
    except OSError as error:
        raise DatasetError(
            f"{_short(path)} cannot be looked up: {error.strerror or error}", hint="check the path and its permissions"
        ) from error


def _short(path: str | Path) -> str:
    """The path, its middle left out where it is longer than an error message should be."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]}"


def cache_folder() -> Path:
    """The user's cache of downloaded data sets; it need not exist."""
    return platformdirs.user_cache_path("cocogen") / "data"
