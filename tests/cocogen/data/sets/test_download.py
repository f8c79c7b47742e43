from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.sets import cifar, fashion, load
from cocogen.data.sets.download import Remote, fetch, fetch_and_unpack
from cocogen.errors import DatasetError

pytest.importorskip("pooch")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Callable[[str, bytes], Remote]]:
    """A web server on loopback: publish a file, get what the engine knows of it."""
    folder = tmp_path / "published"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def publish(name: str, content: bytes) -> Remote:
        (folder / name).write_bytes(content)
        url = f"http://127.0.0.1:{server.server_address[1]}/{name}"
        return Remote(url, hashlib.sha256(content).hexdigest(), len(content))

    yield publish
    server.shutdown()
    thread.join()
    server.server_close()


def archive(members: dict[str, bytes], *, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_file_is_downloaded_once(published: Callable[..., Remote], tmp_path: Path, cache: Path) -> None:
    remote = published("set.bin", b"pixels")
    assert fetch(remote, cache, instead="").read_bytes() == b"pixels"
    (tmp_path / "published" / "set.bin").unlink()
    assert fetch(remote, cache, instead="").read_bytes() == b"pixels"


def test_a_file_with_another_checksum_is_refused_and_not_kept(
    published: Callable[..., Remote], tmp_path: Path, cache: Path
) -> None:
    remote = published("set.bin", b"pixels")
    (tmp_path / "published" / "set.bin").write_bytes(b"forged")
    with pytest.raises(DatasetError, match=r"set.bin \(6 bytes\) cannot be had") as caught:
        fetch(remote, cache, instead="put it there")
    assert caught.value.hint == "put it there"
    assert list(cache.glob("*")) == []


def test_a_missing_file_is_an_error_with_the_way_out(published: Callable[..., Remote], cache: Path) -> None:
    remote = published("set.bin", b"pixels")
    with pytest.raises(DatasetError, match="cannot be had"):
        fetch(Remote(remote.url + "x", remote.sha256, 6), cache, instead="put it there")


def test_only_the_named_files_are_unpacked_and_nothing_leaves_the_folder(
    published: Callable[..., Remote], cache: Path
) -> None:
    content = archive(
        {
            "../../outside.bin": b"1",
            "/tmp/absolute.bin": b"2",
            "some/folder/wanted.bin": b"3",
            "some/../../../escaped.bin": b"4",
            "unwanted.bin": b"5",
        },
        links={"linked.bin": "/etc/passwd"},
    )
    fetch_and_unpack(published("set.tar.gz", content), cache / "set", ("wanted.bin", "escaped.bin"), instead="")
    everything = {str(path.relative_to(cache.parent)) for path in cache.parent.rglob("*")}
    assert everything == {"data", "data/set", "data/set/wanted.bin", "data/set/escaped.bin"}
    assert (cache / "set" / "escaped.bin").read_bytes() == b"4"


def test_an_archive_that_lacks_a_file_or_holds_a_link_in_its_place_leaves_no_folder(
    published: Callable[..., Remote], cache: Path
) -> None:
    content = archive({"a.bin": b"1"}, links={"b.bin": "/etc/passwd"})
    with pytest.raises(DatasetError, match=r"lacks b\.bin"):
        fetch_and_unpack(published("set.tar.gz", content), cache / "set", ("a.bin", "b.bin"), instead="")
    assert not (cache / "set").exists()


def test_what_is_no_archive_is_refused(published: Callable[..., Remote], cache: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        fetch_and_unpack(published("set.tar.gz", b"no archive"), cache / "set", ("a.bin",), instead="")
    assert not (cache / "set").exists()


def test_cifar_is_downloaded_unpacked_and_found_again(
    published: Callable[..., Remote], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {name: label for label, name in enumerate(cifar.CIFAR_10.files, start=2)}
    names = "".join(f"name_{n}\n" for n in range(10)).encode()
    members = {
        f"top/{name}": names if name.endswith("txt") else bytes([label] * 3073) for name, label in labels.items()
    }
    remote = published("cifar-10-binary.tar.gz", archive(members))
    monkeypatch.setattr("cocogen.data.sets.CIFAR_10", replace(cifar.CIFAR_10, archive=remote))
    data = load("cifar-10")
    assert data.labels.tolist() == [2, 3, 4, 5, 6, 7]
    assert data.test_from == 5
    assert sorted(path.name for path in cache.iterdir()) == ["cifar-10-batches-bin"]
    (tmp_path / "published" / "cifar-10-binary.tar.gz").unlink()
    assert len(load("cifar-10").labels) == 6


def test_an_interrupted_download_of_several_files_is_completed(
    published: Callable[..., Remote],
    idx: Callable[[np.ndarray], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.arange(20 * 28 * 28).reshape(20, 28, 28) % 251
    arrays = [pixels, np.arange(20) % 10, pixels[:10], np.arange(10)]
    remotes = [
        published(name, gzip.compress(idx(array), mtime=0))
        for (name, _, _), array in zip(fashion._FILES, arrays, strict=True)
    ]
    files = tuple((remote.name, remote.sha256, remote.size) for remote in remotes)
    monkeypatch.setattr(fashion, "_FILES", files)
    monkeypatch.setattr(fashion, "_SOURCE", remotes[0].url.rpartition("/")[0])
    last = tmp_path / "published" / files[-1][0]
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(DatasetError, match=r"t10k-labels.* cannot be had"):
        load("fashion-mnist")
    last.write_bytes(content)
    assert len(load("fashion-mnist").labels) == 30
