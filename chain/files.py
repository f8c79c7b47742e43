"""Files that are whole or as they were before, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cocogen.errors import WorkspaceError

__all__ = ["whole_file", "write_whole"]


@contextmanager
def whole_file(path: Path, what: str) -> Iterator[BinaryIO]:
    """Give a file to write to that takes the place of ``path`` at the end, and not at all if anything is raised.

    What was written is durable when the context ends.

    Raises
    ------
    WorkspaceError
        The file cannot be written; ``what`` says what it is.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WorkspaceError(
            f"{what} {path} cannot be written: {error.strerror or error}",
            hint="check that the folder exists, that you may write to it, and that the disk has space",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_whole(path: Path, content: str, what: str) -> None:
    """Write ``content`` as UTF-8 to ``path``, replacing what is there; errors as in :func:`whole_file`."""
    with whole_file(path, what) as file:
        file.write(content.encode("utf-8"))
