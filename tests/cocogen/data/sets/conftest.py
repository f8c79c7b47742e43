"""Small files in the official layouts, and a cache that no test shares with the user."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

Writer = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache, no COCOGEN_DATA, and no way to the network."""
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    monkeypatch.delenv("COCOGEN_DATA", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    return root / "cocogen" / "data"


@pytest.fixture
def write_cifar(tmp_path: Path) -> Writer:
    """Records of CIFAR with these labels: pixel p of record r is (7 r + p) mod 256."""

    def write(folder: str, files: dict[str, Sequence[int]], *, coarse: bool = False) -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        row = 0
        for name, labels in files.items():
            records = []
            for label in labels:
                pixels = ((7 * row + np.arange(3072)) % 256).astype(np.uint8)
                head = [label % 20, label] if coarse else [label]
                records.append(np.concatenate([np.array(head, dtype=np.uint8), pixels]))
                row += 1
            (target / name).write_bytes(np.concatenate(records).tobytes())
        return target

    return write


@pytest.fixture
def idx() -> Callable[[np.ndarray], bytes]:
    """The bytes of an idx file of unsigned bytes."""

    def encode(array: np.ndarray) -> bytes:
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()

    return encode


@pytest.fixture
def write_fashion(tmp_path: Path, idx: Callable[[np.ndarray], bytes]) -> Writer:
    """Four idx files, 20 training and 10 test images of 28 × 28 pixels; ``changes``: other bytes, or no file (None)."""

    def write(*, packed: bool = True, **changes: bytes | None) -> Path:
        folder = tmp_path / "fashion-mnist"
        folder.mkdir(exist_ok=True)
        for part, count in (("train", 20), ("t10k", 10)):
            images = np.random.default_rng(count).integers(0, 256, (count, 28, 28))
            for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count) % 10)):
                content = changes.get(f"{part}_{kind[:6]}", idx(array))
                if content is not None:
                    name = f"{part}-{kind}-ubyte"
                    (folder / (f"{name}.gz" if packed else name)).write_bytes(
                        gzip.compress(content) if packed else content
                    )
        return folder

    return write
