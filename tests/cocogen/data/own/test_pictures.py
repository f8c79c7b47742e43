from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cocogen.data.own.conform import read_table
from cocogen.data.own.table import Images
from cocogen.errors import SiteError
from cocogen.terms.schema import ImageSchema
from tests.cocogen.data.own.sites import site_of

GREY = ImageSchema(kind="images", shape=(1, 3, 4), classes=("benign", "malignant"))
COLOUR = ImageSchema(kind="images", shape=(3, 3, 4), classes=("benign", "malignant"))
VALUES = '[values.class]\nbenign = ["B"]\nmalignant = ["M"]'


def folder(tmp_path: Path, names: tuple[str, str] = ("B", "M"), colour: bool = False) -> np.ndarray[Any, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 4, *([3] if colour else [])), dtype=np.uint8)
    for row, image in enumerate(pixels):
        (tmp_path / "scans" / names[row // 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "scans" / names[row // 2] / f"{row}.png")
    return pixels


def images_of(
    tmp_path: Path, name: str = "scans", settings: str = VALUES, schema: Any = GREY, **options: Any
) -> Images:
    found = read_table(site_of(tmp_path, name, settings), schema, **options)
    assert isinstance(found, Images)
    return found


def test_a_folder_is_read_class_by_class_by_its_own_names(tmp_path: Path) -> None:
    pixels = folder(tmp_path)
    images = images_of(tmp_path)
    assert np.array_equal(images.pixels, pixels.reshape(4, 12))
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.groups is None


def test_colours_lie_channel_by_channel(tmp_path: Path) -> None:
    pixels = folder(tmp_path, colour=True)
    assert np.array_equal(images_of(tmp_path, schema=COLOUR).pixels, pixels.transpose(0, 3, 1, 2).reshape(4, 36))


@pytest.mark.parametrize("shape", [(4, 1, 3, 4), (4, 3, 4), (4, 12)])
def test_an_npz_of_bytes_reads_as_the_folder_does(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = folder(tmp_path)
    labels = np.array(["B", "B", "M", "M"])
    np.savez(tmp_path / "s.npz", features=pixels.reshape(shape), labels=labels, patient=np.array([7, 7, 3, 9]))
    images = images_of(tmp_path, "s.npz", VALUES + '\n[split]\ngroup = "patient"')
    assert np.array_equal(images.pixels, images_of(tmp_path).pixels)
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.groups is not None
    assert [images.groups[0] == images.groups[1], len(set(images.groups.tolist()))] == [True, 3]


def test_images_without_labels_need_no_folders(tmp_path: Path) -> None:
    pixels = folder(tmp_path)
    (tmp_path / "new").mkdir()
    Image.fromarray(pixels[2]).save(tmp_path / "new" / "a.png")
    images = images_of(tmp_path, "new", labelled=False)
    assert np.array_equal(images.pixels, pixels[2:3].reshape(1, 12))
    assert images.labels.tolist() == [-1]


def fails(tmp_path: Path, name: str = "scans", settings: str = VALUES, schema: Any = GREY) -> SiteError:
    with pytest.raises(SiteError) as caught:
        images_of(tmp_path, name, settings, schema)
    assert caught.value.hint
    return caught.value


def test_a_folder_of_no_class_is_named(tmp_path: Path) -> None:
    folder(tmp_path, ("B", "Malignant"))
    error = fails(tmp_path)
    assert error.value == "Malignant"
    assert "allowed: 'B', 'M'" in error.message


def test_one_class_alone_teaches_nothing(tmp_path: Path) -> None:
    folder(tmp_path, ("B", "B"))
    assert "of the class 'benign' alone" in fails(tmp_path).message


def test_other_sizes_and_colours_are_named_by_file(tmp_path: Path) -> None:
    folder(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "scans" / "M" / "3.png")
    assert "3.png: is 4 x 4 pixels, but the schema asks for 4 x 3" in str(fails(tmp_path))
    Image.new("L", (3, 4)).save(tmp_path / "scans" / "M" / "3.png")
    assert "3.png: is 3 x 4 pixels" in str(fails(tmp_path))
    Image.new("RGB", (4, 3)).save(tmp_path / "scans" / "M" / "3.png")
    assert "3.png: is in colour" in str(fails(tmp_path))
    (tmp_path / "scans" / "M" / "3.png").write_text("no image")
    assert "3.png is no readable image" in str(fails(tmp_path))


def test_what_is_no_folder_of_images_is_told_of(tmp_path: Path) -> None:
    folder(tmp_path)
    assert "is not there" in str(fails(tmp_path, "none"))
    (tmp_path / "a.csv").write_text("x")
    assert "neither a folder nor an .npz" in str(fails(tmp_path, "a.csv"))
    assert "no columns to group by" in str(fails(tmp_path, settings=VALUES + '\n[split]\ngroup = "p"'))
    four = ImageSchema(kind="images", shape=(4, 3, 4), classes=("benign", "malignant"))
    assert "the schema has 4 channels" in str(fails(tmp_path, schema=four))
    (tmp_path / "empty").mkdir()
    assert "holds 0 images for 2 classes" in str(fails(tmp_path, "empty"))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"features": np.zeros((4, 12)), "labels": np.array(["B", "B", "M", "M"])}, "not bytes"),
        ({"features": np.zeros((4, 12), np.uint8)}, "has no array 'labels'"),
        ({"features": np.zeros((4, 13), np.uint8), "labels": np.array(["B", "B", "M", "M"])}, "shape"),
        ({"features": np.zeros((4, 12), np.uint8), "labels": np.array(["B", "M"])}, "shape"),
        ({"features": np.zeros((4, 12), np.uint8), "labels": np.array([0, 0, 1, 1])}, "no class: '0'"),
    ],
)
def test_an_npz_of_something_else_is_told_of(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    assert said in str(fails(tmp_path, "s.npz"))
