from __future__ import annotations

import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.archive import MAXIMUM_ENTRIES, read_arrays, write_arrays
from cocogen.errors import LearningError


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("the bomb went off",))


def npy(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def zipped(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_round_trip_keeps_arrays_and_bytes(tmp_path: Path) -> None:
    arrays = {
        "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "labels": np.arange(3, dtype=np.int64),
        "text": np.frombuffer(b"manifest", dtype=np.uint8),
    }
    write_arrays(tmp_path / "one.npz", arrays)
    write_arrays(tmp_path / "two.npz", dict(reversed(arrays.items())))
    loaded = read_arrays(tmp_path / "one.npz")
    assert set(loaded) == set(arrays)
    assert all(np.array_equal(loaded[k], arrays[k]) and loaded[k].dtype == arrays[k].dtype for k in arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_pickles_are_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = np.array([Bomb()], dtype=object)
    path = zipped(tmp_path / "bomb.npz", {"a.npy": npy(objects, allow_pickle=True)})
    with pytest.raises(LearningError, match="object"):
        read_arrays(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(LearningError, match="not a valid file"):
        read_arrays(path)
    assert "went off" not in capsys.readouterr().out


def test_a_claimed_shape_allocates_nothing(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 10**3)})
    path = zipped(tmp_path / "huge.npz", {"a.npy": header.getvalue() + b"\0" * 64})
    with pytest.raises(LearningError, match="claims shape"):
        read_arrays(path)


def test_what_unpacks_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    content = npy(np.zeros(10**6, dtype=np.float32))
    path = zipped(tmp_path / "zip-bomb.npz", {"a.npy": content}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(LearningError, match="unpacked"):
        read_arrays(path, maximum_bytes=10**6, packed=True)
    with pytest.raises(LearningError, match="more than 10"):
        read_arrays(path, maximum_bytes=10)


def claiming(path: Path, size: int) -> Path:
    """The file of one entry, which now says that it unpacks to ``size`` bytes."""
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", content, content.index(signature) + place, size)
    path.write_bytes(content)
    return path


def peak(read: Callable[[], object]) -> int:
    """Most bytes that were allocated at once before ``read`` was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(LearningError, match="not a valid file of arrays"):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("claimed", [0, 100, 200, 10**6, 2**32 - 2])
def test_sizes_are_those_that_come_out_not_those_that_the_archive_claims(tmp_path: Path, claimed: int) -> None:
    content = npy(np.zeros(10**7, dtype=np.float32))
    path = claiming(zipped(tmp_path / "bomb.npz", {"a.npy": content}, zipfile.ZIP_DEFLATED), claimed)
    assert path.stat().st_size < 10**5
    assert peak(lambda: read_arrays(path, packed=True)) < 5 * 10**6
    assert peak(lambda: read_arrays(path)) < 5 * 10**5


def test_compressed_files_are_not_taken_unless_asked_for(tmp_path: Path) -> None:
    path = zipped(tmp_path / "packed.npz", {"a.npy": npy(np.zeros(9, dtype=np.float32))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(LearningError, match=r"a\.npy is compressed .method 8., not stored"):
        read_arrays(path)
    assert read_arrays(path, packed=True)["a"].tolist() == [0.0] * 9


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Two directory entries for one place in the file: what is unpacked would exceed what is there."""
    path = zipped(tmp_path / "shared.npz", {"a.npy": npy(np.zeros(5000, dtype=np.float32))})
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    entry, end = content[start:-22], bytearray(content[-22:])
    copies = b"".join(entry.replace(b"a.npy", f"{n:05}".encode()) for n in range(5))
    struct.pack_into("<2H2L", end, 8, 5, 5, len(copies), start)
    path.write_bytes(content[:start] + copies + bytes(end))
    with pytest.raises(LearningError, match="its entries claim"):
        read_arrays(path)


def test_too_many_and_doubled_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = npy(np.zeros(1, dtype=np.float32))
    path = zipped(tmp_path / "twice.npz", {"a.npy": content, "a": content})
    with pytest.raises(LearningError, match="twice"):
        read_arrays(path)
    many = zipped(tmp_path / "many.npz", {f"{n}.npy": content for n in range(MAXIMUM_ENTRIES + 1)})
    long = zipped(tmp_path / "long.npz", {f"{n}{'x' * 600}.npy": b"" for n in range(MAXIMUM_ENTRIES)})
    unlisted = [many, long]
    for untrue in (struct.pack("<2H", 1, 1), struct.pack("<2HL", 1, 1, 46)):  # counts, and the directory's length
        altered = bytearray(many.read_bytes())
        altered[-14 : -14 + len(untrue)] = untrue
        path.write_bytes(altered)
        with pytest.raises(LearningError, match=r"not a valid file"):
            read_arrays(path)
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda _: pytest.fail("its directory was listed"))
    for path in unlisted:
        with pytest.raises(LearningError, match="entries, listed in"):
            read_arrays(path)


@pytest.mark.parametrize("tail", [b"more", b"\0" * 22, b"PK\x05\x06" + b"\0" * 30])
def test_what_follows_the_end_record_is_refused(tmp_path: Path, tail: bytes) -> None:
    path = zipped(tmp_path / "tail.npz", {"a.npy": npy(np.zeros(1, dtype=np.float32))})
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(LearningError, match="not a valid file"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(1, dtype=np.float32)))
        archive.comment = b"a comment"
    with pytest.raises(LearningError, match="ends as numpy"):
        read_arrays(path)


def test_an_end_record_for_huge_archives_is_refused(tmp_path: Path) -> None:
    """Its counts would take the place of those that were checked."""
    path = zipped(tmp_path / "huge.npz", {"a.npy": npy(np.zeros(1, dtype=np.float32))})
    content = path.read_bytes()
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**9, 10**9, 10**10, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
    path.write_bytes(content[:-22] + record + locator + content[-22:])
    with pytest.raises(LearningError, match="ends as numpy"):
        read_arrays(path)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<U4", "<i4", "|b1", "<c8"])
def test_other_types_are_refused(tmp_path: Path, dtype: str) -> None:
    path = zipped(tmp_path / "typed.npz", {"a.npy": npy(np.zeros(2, dtype=dtype))})
    with pytest.raises(LearningError, match="float32, int64 or uint8"):
        read_arrays(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.npz"
    write_arrays(path, {"a": np.arange(50, dtype=np.float32)})
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(LearningError):
            read_arrays(path)


def test_a_flipped_byte_is_refused_or_changes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    write_arrays(path, {"a": np.arange(50, dtype=np.float32)})
    content = bytearray(path.read_bytes())
    place = content.index(np.float32(7).tobytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(LearningError, match="CRC"):
        read_arrays(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match=r"nowhere\.npz"):
        read_arrays(tmp_path / "nowhere.npz")


def with_header(path: Path, header: str, content: bytes = bytes(4)) -> Path:
    text = header.encode("latin1")
    return zipped(path, {"a.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content})


DESCR = "'descr':'<f4','fortran_order':False"


@pytest.mark.parametrize(
    "header",
    [
        "{[]:1}",
        "{1:2,'a':3}",
        "{'descr':(),'fortran_order':False,'shape':(1,)}",
        "{'descr':[()],'fortran_order':False,'shape':(1,)}",
        "{'descr':'a5','fortran_order':False,'shape':(1,)}",
        f"{{{DESCR},'shape':(True,)}}",
        f"{{{DESCR},'shape':(0,{10**30})}}",
        f"{{{DESCR},'shape':(1L,)}}",
        f"{{{DESCR},'shape':{'(' * 1000}",
        f"{{{DESCR},'shape':{'-' * 3000}1}}",
        "{'descr':'<f4",
        "{'descr':'''<f4",
        "{'descr':\x00}",
        "if 1:\n    2\n  3",
        "  {",
        "(",
        "'\\d'",
        "",
    ],
)
def test_a_header_that_numpy_did_not_write_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(LearningError, match="not a valid file of arrays"):
        read_arrays(with_header(tmp_path / "header.npz", header))


def test_headers_and_files_altered_at_random_give_arrays_or_a_learning_error(tmp_path: Path) -> None:
    generator = random.Random(5)
    pieces = ["{", "}", "(", ")", "[", "]", "'", '"', ",", ":", "-", "\n", "\t", "\\", "\0", "L", "1", "9" * 30, "True"]
    header = f"{{{DESCR}, 'shape': (1,), }}"
    whole = zipped(tmp_path / "whole.npz", {"a.npy": npy(np.zeros(1, dtype=np.float32))}).read_bytes()
    refused = 0
    for number in range(600):
        path = tmp_path / "altered.npz"
        if number % 2:
            altered = list(header)
            for _ in range(generator.randint(1, 4)):
                place = generator.randrange(len(altered))
                altered[place : place + generator.randint(0, 3)] = generator.choice(pieces)
            with_header(path, "".join(altered))
        else:
            content = bytearray(whole)
            for _ in range(generator.randint(1, 4)):
                content[generator.randrange(len(content))] = generator.randrange(256)
            path.write_bytes(content)
        try:
            read_arrays(path)
        except LearningError:
            refused += 1
    assert 400 < refused < 600


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_than_deflate_are_refused(tmp_path: Path, compression: int) -> None:
    path = zipped(tmp_path / "packed.npz", {"a.npy": npy(np.zeros(9, dtype=np.float32))}, compression)
    with pytest.raises(LearningError, match=f"neither stored nor deflated .method {compression}"):
        read_arrays(path, packed=True)


def test_pipes_and_devices_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    for name in ("pipe.npz", "zero.npz"):
        with pytest.raises(LearningError, match="no regular file"):
            read_arrays(tmp_path / name)
