"""Files that are whole or as they were before, whatever happens while they are written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cocogen.errors import WorkspaceError

__all__ = ["write_whole"]


def write_whole(path: Path, content: str, what: str) -> None:
    """Write ``content`` to ``path``, replacing what is there; durable when this returns.

    Raises
    ------
    WorkspaceError
        The file cannot be written; ``what`` says what it is.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise WorkspaceError(
            f"{what} {path} cannot be written: {error}",
            hint="check that the folder exists, that you may write to it, and that the disk has space",
        ) from error
