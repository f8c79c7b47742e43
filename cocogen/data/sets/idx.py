"""The idx format of the MNIST family [1]_: a magic number, the dimensions, then bytes; gzip or plain.

.. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cocogen.data.sets.base import MAXIMUM_BYTES
from cocogen.errors import DatasetError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes with so many dimensions.

    The size that the header claims is checked against a limit before anything is read, and against the bytes that are
    there afterwards.

    Raises
    ------
    DatasetError
        When the file is unreadable, no regular file, cut off, too long, too large, or not such an array.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise _malformed(path, "no regular file")
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
            raw.seek(0)
            if not compressed:
                return _read(path, raw, dimensions)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read(path, unpacked, dimensions)  # type: ignore[arg-type]  # reads bytes, all that is needed
    except (OSError, EOFError, zlib.error) as error:
        raise _malformed(path, str(error)) from error


def _read(path: Path, stream: IO[bytes], dimensions: int) -> NDArray[np.uint8]:
    header = stream.read(4 + 4 * dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if len(header) < 4 + 4 * dimensions or header[:4] != magic:
        raise _malformed(path, f"it begins with {header[:4].hex()}, not with {magic.hex()} and {dimensions} sizes")
    shape = tuple(int(size) for size in np.frombuffer(header[4:], dtype=">u4"))
    size = math.prod(shape)
    if size > MAXIMUM_BYTES:
        raise _malformed(path, f"it claims {size:,} bytes, more than {MAXIMUM_BYTES:,}")
    content = stream.read(size + 1)
    if len(content) != size:
        found = f"only {len(content):,}" if len(content) < size else "more"
        raise _malformed(path, f"it claims {shape}, {size:,} bytes, but holds {found}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _malformed(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} is not a valid idx file: {reason}", hint="copy it again")
