from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cocogen.data import sets as datasets
from cocogen.data.sets import DataFolders
from cocogen.errors import DatasetError
from cocogen.terms.datasets import is_path, known_datasets

SAMPLES = os.environ.get("COCOGEN_DATA", "")
needs_samples = pytest.mark.skipif(
    not SAMPLES, reason="SET COCOGEN_DATA to a folder with cifar-10-batches-bin/ and fashion-mnist/"
)


def test_diagnostic_table_is_the_real_one() -> None:
    data = datasets.load("diagnostic")
    assert data.features.shape == (569, 30)
    assert data.features.dtype == np.float32
    assert data.labels.dtype == np.int64
    assert data.classes == ("malignant", "benign")
    assert np.bincount(data.labels).tolist() == [212, 357]
    assert (data.shape, data.test_from) == ((30,), None)


def test_digits_are_the_bundled_images() -> None:
    data = datasets.load("digits")
    assert data.features.shape == (1797, 64)
    assert data.features.dtype == np.uint8
    assert data.features.max() == 16
    assert (data.shape, data.test_from) == ((1, 8, 8), None)
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_unknown_data_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="'cifar'") as caught:
        datasets.load("cifar")
    assert all(name in caught.value.hint for name in known_datasets())
    assert "table.npz" in caught.value.hint


@pytest.mark.parametrize("name", sorted(set(known_datasets()) - {"diagnostic", "digits"}))
def test_without_files_and_network_the_error_says_what_to_put_where(name: str) -> None:
    pytest.importorskip("pooch")
    with pytest.raises(DatasetError, match=r"no connection|cannot be had") as caught:
        datasets.load(name)
    assert "--data-dir" in caught.value.hint
    assert "https://" in caught.value.hint


@pytest.mark.parametrize(
    ("dataset", "path"),
    [("./scans/", True), ("scans/ct", True), ("table.npz", True), ("A.NPZ", True), ("digits", False), ("scans", False)],
)
def test_paths_have_a_slash_or_end_in_npz(dataset: str, path: bool) -> None:
    assert is_path(dataset) is path
    assert not any(is_path(name) for name in known_datasets())


@pytest.mark.heavy
def test_names_are_known_without_torch_or_scikit_learn() -> None:
    modules = "cocogen.terms.datasets", "cocogen.data.sets"
    code = (
        f"import sys, {', '.join(modules)}; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'PIL', 'pooch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@needs_samples
@pytest.mark.parametrize(
    ("name", "shape", "train", "test"),
    [("cifar-10", (3, 32, 32), 10_000, 2_000), ("fashion-mnist", (1, 28, 28), 720, 180)],
)
def test_the_real_samples_are_read(
    name: str, shape: tuple[int, ...], train: int, test: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COCOGEN_DATA", SAMPLES)
    data = datasets.load(name)
    assert data.features.dtype == np.uint8
    assert data.features.shape == (train + test, np.prod(shape))
    assert (data.shape, data.test_from) == (shape, train)
    assert np.bincount(data.labels[:train]).tolist() == [train // 10] * 10
    assert np.bincount(data.labels[train:]).tolist() == [test // 10] * 10
    assert 60 < data.features.mean() < 140, "pixels, not labels or padding"


@needs_samples
def test_pixels_of_cifar_are_smooth_within_a_channel_and_so_are_channel_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOGEN_DATA", SAMPLES)
    images = datasets.load("cifar-10").features[:500].reshape(-1, 3, 32, 32).astype(np.float64)
    neighbours = np.abs(np.diff(images, axis=3)).mean()
    strangers = np.abs(images - np.roll(images, 1, axis=0)).mean()
    assert neighbours < 0.3 * strangers


def test_the_data_folder_comes_before_the_variable_which_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "set").mkdir(parents=True)
    (tmp_path / "second" / "other").mkdir()
    monkeypatch.setenv("COCOGEN_DATA", str(tmp_path / "second"))
    folders = DataFolders(data=tmp_path / "first")
    assert folders.find("set") == tmp_path / "first" / "set"
    assert folders.find("other") == tmp_path / "second" / "other"
    assert folders.find("third") is None
    assert DataFolders().find("set") == tmp_path / "second" / "set"


def test_a_folder_that_is_none_is_refused_rather_than_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"--data-dir names .*nowhere"):
        DataFolders(data=tmp_path / "nowhere").find("set")
    monkeypatch.setenv("COCOGEN_DATA", str(tmp_path / "typo"))
    with pytest.raises(DatasetError, match=r"COCOGEN_DATA names .*typo"):
        datasets.load("cifar-10")
    assert datasets.load("digits").name == "digits", "a bundled set needs no folder"


def test_a_path_is_relative_to_the_terms_then_to_the_data_folder(tmp_path: Path) -> None:
    terms, data = tmp_path / "terms", tmp_path / "data"
    for folder in (terms, data):
        folder.mkdir()
        (folder / "both.npz").touch()
    (data / "one.npz").touch()
    folders = DataFolders(terms, data)
    assert folders.resolve("both.npz") == terms / "both.npz"
    assert folders.resolve("one.npz") == data / "one.npz"
    assert folders.resolve(str(data / "one.npz")) == data / "one.npz"
    with pytest.raises(DatasetError, match=f"{terms / 'none.npz'} or {data / 'none.npz'}"):
        folders.resolve("none.npz")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x" * 5000 + "/", "cannot be looked up: File name too long"),
        ("~nosuchuser/x.npz", "~nosuchuser/x.npz names no folder"),
        ("./loop/", "there is no data set at"),
    ],
)
def test_a_path_that_cannot_be_looked_up_is_refused(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match=message) as caught:
        datasets.load(path, DataFolders(tmp_path))
    assert len(str(caught.value)) < 400
    if "loop" not in path:
        with pytest.raises(DatasetError, match=message):
            datasets.load("digits.npz", DataFolders(tmp_path, data=Path(path)))
