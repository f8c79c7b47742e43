from __future__ import annotations

import logging
import random
import shutil
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cocogen.data.sets import DataFolders, load
from cocogen.errors import DatasetError


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
    save(tmp_path, "a/opaque.png", colour, "RGBA")
    save(tmp_path, "b/grey.png", grey(7))
    save(tmp_path, "b/palette.png", grey(7), "P")
    data = load("./scans/", DataFolders(tmp_path))
    assert data.shape == (3, 4, 6)
    first, opaque, converted, palette = data.features.reshape(4, 3, 4, 6)
    assert np.array_equal(first, colour.transpose(2, 0, 1))
    assert np.array_equal(opaque, first)
    assert np.array_equal(converted, np.stack([grey(7)] * 3))
    assert np.array_equal(palette, converted)


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
    monkeypatch.setattr("cocogen.data.sets.images.MAXIMUM_BYTES", 47)
    with pytest.raises(DatasetError, match="2 images of 6 x 4 pixels need 48 bytes"):
        load("./scans/", DataFolders(tmp_path))


def test_fewer_than_two_classes_or_an_empty_one_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a/one.png", grey(0))
    with pytest.raises(DatasetError, match="has 1 sub-folders"):
        load("./scans/", DataFolders(tmp_path))
    (tmp_path / "scans" / "b").mkdir()
    with pytest.raises(DatasetError, match=r"b holds no image"):
        load("./scans/", DataFolders(tmp_path))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "pgm", "webp"])
def test_seven_formats_are_read(tmp_path: Path, suffix: str) -> None:
    save(tmp_path, f"a/one.{suffix}", grey(0))
    save(tmp_path, f"b/two.{suffix}", grey(9))
    assert load("./scans/", DataFolders(tmp_path)).shape[1:] == (4, 6)


@pytest.mark.parametrize("suffix", ["eps", "ico", "tga", "avif"])
def test_other_formats_are_refused_whatever_the_name_says(tmp_path: Path, suffix: str) -> None:
    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, f"b/two.{suffix}", grey(0, 16, 16))
    (tmp_path / "scans" / "b" / f"two.{suffix}").rename(tmp_path / "scans" / "b" / "two.png")
    with pytest.raises(DatasetError, match=r"two.png is no readable image") as caught:
        load("./scans/", DataFolders(tmp_path))
    assert "PNG, JPEG, BMP, GIF, TIFF, PPM, WEBP" in caught.value.hint


@pytest.mark.parametrize("failure", [RuntimeError("decoder"), struct.error("short"), IndexError(), MemoryError()])
def test_whatever_a_decoder_raises_is_a_dataset_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/two.png", grey(0))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(DatasetError, match=f"no readable image: {str(failure) or type(failure).__name__}"):
        load("./scans/", DataFolders(tmp_path))


def test_remarks_of_a_decoder_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    whole = PngImagePlugin.PngImageFile.load

    def remark(image: PngImagePlugin.PngImageFile) -> object:
        warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=1)
        return whole(image)

    save(tmp_path, "a/one.png", grey(0))
    save(tmp_path, "b/two.png", grey(1))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", remark)
    assert len(load("./scans/", DataFolders(tmp_path)).features) == 2
    assert not recwarn.list


def test_what_a_decoder_logs_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as without pytest, which collects what is logged
    logging.getLogger("PIL.TiffImagePlugin").error("More samples per pixel than can be decoded: 254")
    assert not capsys.readouterr().err


def test_images_damaged_at_random_give_pixels_or_a_dataset_error(tmp_path: Path) -> None:
    generator = random.Random(5)
    refused = 0
    for suffix in ("png", "jpg", "bmp", "gif", "tiff", "ppm", "webp"):
        colour = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        save(tmp_path, f"a/one.{suffix}", colour)
        save(tmp_path, f"b/two.{suffix}", colour)
        file = tmp_path / "scans" / "b" / f"two.{suffix}"
        whole = file.read_bytes()
        for _ in range(25):
            content = bytearray(whole[: generator.choice((len(whole), generator.randrange(len(whole))))])
            for _ in range(min(len(content), generator.randint(1, 3))):
                content[generator.randrange(len(content))] = generator.randrange(256)
            file.write_bytes(content)
            try:
                load("./scans/", DataFolders(tmp_path))
            except DatasetError:
                refused += 1
        shutil.rmtree(tmp_path / "scans")
    assert 60 < refused < 175
