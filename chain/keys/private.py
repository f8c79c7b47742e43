"""Files with secrets are their owner's alone: password files, private keys and keystores that others can reach are
refused, as ``ssh`` refuses its keys.

A keystore is encrypted, but whoever can read it can guess its password elsewhere, for as long as it takes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from chain.errors.keys import ExposedSecret

__all__ = ["check_private"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_private(path: Path | str, file: int | None = None) -> None:
    """See that nobody but its owner can read, write or run a file; pipes and systems without such modes pass.

    ``file``: its descriptor, where it is open already.

    Raises
    ------
    ExposedSecret
        Others can.
    OSError
        There is no such file.
    """
    mode = (Path(path).stat() if file is None else os.fstat(file)).st_mode
    if os.name != "posix" or not stat.S_ISREG(mode) or not mode & _OTHERS:
        return
    reach = "read" if mode & (stat.S_IRGRP | stat.S_IROTH) else "change or run"
    raise ExposedSecret(
        f"others can {reach} {path}, which holds a secret (its mode is {stat.S_IMODE(mode):o})",
        hint=f"make it yours alone: chmod 600 {path}; if others use this machine, change the secret, too",
    )
