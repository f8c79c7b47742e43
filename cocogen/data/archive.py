"""Files of plain arrays that a stranger may have written: npz without pickle, read within stated limits.

``numpy.load`` trusts the shape that a header claims and allocates for it; here every size is checked against the
limits and against the bytes that are really there before anything is allocated. What CoCoGen writes is stored, not
compressed, so that a file of its own cannot grow when it is read; data sets may be compressed, and are unpacked in
pieces, since what comes out of a piece counts, not what the archive claims.
"""

from __future__ import annotations

import hashlib
import io
import math
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.files import write_atomically

__all__ = ["MAXIMUM_BYTES", "MAXIMUM_ENTRIES", "absorb", "array_digest", "read_arrays", "write_arrays"]

Acceptance = Callable[[str, "np.dtype[np.generic]"], None]
"""Takes the name and the type of an array, and raises when it is not to be read."""

MAXIMUM_BYTES = 256 * 2**20
MAXIMUM_ENTRIES = 4096
_MAXIMUM_HEADER = 4096
_MAXIMUM_DIRECTORY = MAXIMUM_ENTRIES * 512  # bytes; an entry has 46 and its name
_END, _END64_LOCATOR = struct.Struct("<4s4H2LH"), 20
_PIECE = 2**20
_TYPES = {np.dtype(kind).newbyteorder("<") for kind in ("float32", "int64", "uint8")}
_NAMES = "float32, int64 or uint8"
_ZIP_FAILURES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_HEADER_FAILURES = (
    tokenize.TokenError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,  # the parser's word for deep nesting, as is RecursionError, a RuntimeError
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
)
"""What numpy's parser of headers, which evaluates a Python literal, raises for those that numpy did not write."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write ``arrays`` (float32, int64 or uint8) atomically; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            # A fixed date: the file must depend on nothing but its content.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(arrays[name]), allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def read_arrays(
    path: Path, *, maximum_bytes: int = MAXIMUM_BYTES, packed: bool = False, accept: Acceptance | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of an npz file, C-contiguous and writeable.

    Ours are little-endian float32, int64 or uint8, stored as they are and row by row. ``packed``: deflate is taken too,
    as ``numpy.savez_compressed`` writes it. ``accept``: raises for the name and type of an array that is not wanted;
    then whatever else numpy writes is taken: any type without objects, in any byte order, column by column.

    Raises
    ------
    LearningError
        When the file is missing, no regular file, truncated, larger than ``maximum_bytes`` (also once unpacked),
        compressed though it must not be, of too many entries, or holds anything but such arrays; the message says
        which.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device read without end
            raise _malformed(path, "no regular file")
        if status.st_size > maximum_bytes:
            raise _malformed(path, f"{status.st_size:,} bytes, more than {maximum_bytes:,}")
        with path.open("rb") as stream, _directory_checked(path, stream) as archive:
            entries = archive.infolist()
            if len(entries) > MAXIMUM_ENTRIES:
                raise _malformed(path, f"{len(entries):,} entries, more than {MAXIMUM_ENTRIES:,}")
            _check_compression(path, entries, packed=packed)
            held = sum(entry.compress_size for entry in entries)
            if held > status.st_size:
                raise _malformed(path, f"its entries claim {held:,} bytes of its {status.st_size:,}")
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > maximum_bytes:
                raise _malformed(path, f"{unpacked:,} bytes unpacked, more than {maximum_bytes:,}")
            names = [entry.filename.removesuffix(".npy") for entry in entries]
            if len(set(names)) != len(names):
                raise _malformed(path, "an entry appears twice")
            return {name: _read(path, archive, entry, accept) for name, entry in zip(names, entries, strict=True)}
    except OSError as error:
        raise LearningError(
            f"{path} cannot be read: {error.strerror or error}", hint="check the path and its permissions"
        ) from error
    except _ZIP_FAILURES as error:
        raise _malformed(path, str(error) or type(error).__name__) from error


def _directory_checked(path: Path, stream: IO[bytes]) -> zipfile.ZipFile:
    """The archive, unless its directory is so long that listing it would take minutes and the memory with them.

    It ends as numpy writes it: a plain end record, without comment and without the extension for huge archives.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _END.size - _END64_LOCATOR))
    tail = stream.read(_END.size + _END64_LOCATOR)
    if len(tail) < _END.size:
        raise _malformed(path, "File is not a zip file")
    magic, _, _, _, count, directory, _, comment = _END.unpack(tail[-_END.size :])
    if magic != b"PK\x05\x06" or comment or tail[: -_END.size].startswith(b"PK\x06\x07"):
        raise _malformed(path, "File is not a zip file that ends as numpy's do")
    if count > MAXIMUM_ENTRIES or directory > _MAXIMUM_DIRECTORY:
        raise _malformed(
            path,
            f"{count:,} entries, listed in {directory:,} bytes; at most {MAXIMUM_ENTRIES:,} in {_MAXIMUM_DIRECTORY:,}",
        )
    stream.seek(0)
    return zipfile.ZipFile(stream)


def _check_compression(path: Path, entries: Sequence[zipfile.ZipInfo], *, packed: bool) -> None:
    for entry in entries:
        if entry.compress_type == zipfile.ZIP_STORED:
            if entry.compress_size != entry.file_size:
                raise _malformed(path, f"{entry.filename} is stored, but claims two sizes")
        elif not packed:
            raise _malformed(path, f"{entry.filename} is compressed (method {entry.compress_type}), not stored")
        elif entry.compress_type != zipfile.ZIP_DEFLATED:
            raise _malformed(path, f"{entry.filename} is neither stored nor deflated (method {entry.compress_type})")


def _read(
    path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, accept: Acceptance | None
) -> NDArray[np.generic]:
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise _malformed(path, f"{entry.filename} has npy version {version}, not (1, 0)")
        shape, fortran, dtype = _header(path, entry, stream)
        if accept is not None:
            accept(entry.filename.removesuffix(".npy"), dtype)
        elif dtype not in _TYPES:
            raise _malformed(path, f"{entry.filename} holds {dtype}, not {_NAMES}")
        elif fortran:
            raise _malformed(path, f"{entry.filename} is stored column by column (Fortran order)")
        if dtype.hasobject:
            raise _malformed(path, f"{entry.filename} holds {dtype}")
        # A read without a size unpacks all that is there, whatever the entry claims; one with a size no more than that.
        content = b"".join(iter(lambda: stream.read(_PIECE), b""))
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(content):
        raise _malformed(path, f"{entry.filename} claims shape {shape}, but holds {len(content):,} bytes")
    if not math.prod(shape) or not dtype.itemsize:
        return np.zeros(shape, dtype=dtype)
    flat = np.frombuffer(content, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), order="C")


def _header(
    path: Path, entry: zipfile.ZipInfo, stream: IO[bytes]
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, column-major or not, and type of an array, from its header."""
    try:
        with warnings.catch_warnings():
            # Headers of Python 2 and types of old numpy: nothing that is to be read, nor told of on stderr.
            warnings.simplefilter("error")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAXIMUM_HEADER)
    except _HEADER_FAILURES as error:
        reason = str(error) or type(error).__name__
        raise _malformed(path, f"{entry.filename} has no valid header: {reason}") from error
    if any(isinstance(size, bool) for size in shape):
        raise _malformed(path, f"{entry.filename} claims shape {shape}, not one of integers")
    return shape, fortran, dtype


def _malformed(path: Path, reason: str) -> LearningError:
    return LearningError(f"{path} is not a valid file of arrays: {reason}", hint="ask its author for a new copy")


def array_digest(*arrays: NDArray[np.generic]) -> str:
    """SHA-256 over dtype, shape and little-endian bytes of the arrays in turn, as hexadecimal text."""
    digest = hashlib.sha256()
    for array in arrays:
        absorb(digest, array)
    return digest.hexdigest()


def absorb(digest: hashlib._Hash, array: NDArray[np.generic]) -> None:
    """Add dtype, shape and little-endian bytes of an array to a digest."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    shape = ",".join(map(str, array.shape))
    digest.update(f"{little.dtype.str}[{shape}]".encode())
    digest.update(little.tobytes())
