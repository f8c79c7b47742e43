from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cocogen.errors import DatasetError
from cocogen.learning.datasets import DataFolders, load


def save(folder: Path, name: str, array: np.ndarray, mode: str | None = None) -> None:
    path = folder / "scans" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)


def grey(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return (value + np.arange(height * width)).astype(np.uint8).reshape(height, width)


def test_sub_folders_are_the_classes_in_the_order_of_names(tmp_path: Path) -> None:
    save(tmp_path, "sick/b.png", grey(3))
    save(tmp_path, "sick/a.png", grey(2))
    save(tmp_path, "healthy/z.png", grey(1))
    (tmp_path / "scans" / "healthy" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "scans" / ".hidden").mkdir()
    (tmp_path / "scans" / "README").write_text("a file beside the classes")
    data = load("./scans/", DataFolders(tmp_path))
    assert data.classes == ("healthy", "sick")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.features.dtype == np.uint8
    assert np.array_equal(data.features, np.stack([grey(n).ravel() for n in (1, 2, 3)]))
    assert (data.name, data.shape, data.test_from) == ("scans", (1, 4, 6), None)


def test_colour_images_are_channel_first_and_grey_ones_among_them_are_converted(tmp_path: Path) -> None:
    colour = np.stack([grey(10), grey(50), grey(90)], axis=2)
    save(tmp_path, "a/colour.png", colour)
    save(tmp_path, "a/transparent.png", colour, "RGBA")
    save(tmp_path, "b/grey.png", grey(7))
    save(tmp_path, "b/palette.png", grey(7), "P")
    see_through = Image.fromarray(grey(7)).convert("P")
    see_through.save(tmp_path / "scans" / "b" / "palette_2.png", transparency=bytes(range(256)))
    data = load("./scans/", DataFolders(tmp_path))
    assert data.shape == (3, 4, 6)
    first, transparent, converted, palette, last = data.features.reshape(5, 3, 4, 6)
    assert np.array_equal(first, colour.transpose(2, 0, 1))
    assert np.array_equal(transparent, first)
    assert np.array_equal(converted, np.stack([grey(7)] * 3))
    assert np.array_equal(palette, converted)
    assert np.array_equal(last, converted)


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/two.png", grey(0, height=6, width=4))
    with pytest.raises(DatasetError, match=r"two.png is 4 x 6 pixels, but .*one.png 6 x 4"):
        load("./scans/", DataFolders(tmp_path))


def test_sixteen_bit_images_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/deep.png", grey(0).astype(np.uint16) * 256)
    with pytest.raises(DatasetError, match=r"deep.png has pixels of kind I;16"):
        load("./scans/", DataFolders(tmp_path))


def test_a_file_that_is_no_image_or_cut_off_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/two.png", np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8))
    whole = (tmp_path / "scans" / "b" / "two.png").read_bytes()
    (tmp_path / "scans" / "b" / "two.png").write_bytes(whole[:-30])
    with pytest.raises(DatasetError, match=r"two.png is no readable image"):
        load("./scans/", DataFolders(tmp_path))
    (tmp_path / "scans" / "b" / "two.png").write_text("notes")
    with pytest.raises(DatasetError, match=r"two.png is no readable image"):
        load("./scans/", DataFolders(tmp_path))


def test_a_header_that_claims_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/two.png", grey(0))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DatasetError, match="no readable image"):
        load("./scans/", DataFolders(tmp_path))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr("cocogen.learning.datasets.images.MAXIMUM_BYTES", 47)
    with pytest.raises(DatasetError, match="2 images of 6 x 4 pixels need 48 bytes"):
        load("./scans/", DataFolders(tmp_path))


def test_fewer_than_two_classes_or_an_empty_one_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a/one.png", grey(0))
    with pytest.raises(DatasetError, match="has 1 sub-folders"):
        load("./scans/", DataFolders(tmp_path))
    (tmp_path / "scans" / "b").mkdir()
    with pytest.raises(DatasetError, match=r"b holds no image"):
        load("./scans/", DataFolders(tmp_path))
