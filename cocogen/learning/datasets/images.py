"""A folder of images: one sub-folder per class, named for it, with images of one size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cocogen.errors import DatasetError
from cocogen.learning.datasets.base import MAXIMUM_BYTES, Dataset

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read_image_folder"]

_GREY = ("1", "L")
_COLOUR = ("P", "RGB", "RGBA")


def read_image_folder(folder: Path) -> Dataset:
    """Every image of every sub-folder, in the order of names; the sub-folders are the classes, in that order too.

    Grey images give one channel, unless there are colour images among them: then all are converted to three.
    Transparency is dropped; files whose name begins with a dot are ignored. Sizes are checked before pixels are read.

    Raises
    ------
    DatasetError
        When there are fewer than two classes, a class is empty, a file is no image, or images differ in size.
    """
    folders = [path for path in _entries(folder) if path.is_dir()]
    if len(folders) < 2:
        raise DatasetError(
            f"{folder} has {len(folders)} sub-folders, but needs one for each of at least two classes",
            hint="put the images of each class into a sub-folder named for it",
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, own in enumerate(folders):
        found = [path for path in _entries(own) if path.is_file()]
        if not found:
            raise DatasetError(f"{own} holds no image", hint="put images into it, or remove it")
        files += found
        labels += [label] * len(found)
    shape = _common_shape(files)
    features = np.empty((len(files), math.prod(shape)), dtype=np.uint8)
    for row, file in enumerate(files):
        with _opened(file) as image:
            try:
                # By way of RGBA: Pillow warns of palettes with transparency that are converted at once.
                full = image.convert("RGBA") if image.mode == "P" else image
                pixels = np.asarray(full.convert("L" if shape[0] == 1 else "RGB"))
            except (OSError, ValueError, SyntaxError) as error:
                raise _unreadable(file, error) from error
        features[row] = (pixels if shape[0] == 1 else pixels.transpose(2, 0, 1)).ravel()
    return Dataset(
        name=folder.name,
        features=features,
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(own.name for own in folders),
        shape=shape,
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}", hint="check the path") from error


def _common_shape(files: list[Path]) -> tuple[int, int, int]:
    """(channels, height, width) of all files, from their headers."""
    channels, common, first = 1, (0, 0), files[0]
    for file in files:
        with _opened(file) as image:
            size, mode = image.size, image.mode
        if mode not in _GREY + _COLOUR:
            raise DatasetError(
                f"{file} has pixels of kind {mode}, not one of {', '.join(_GREY + _COLOUR)}",
                hint="convert it to 8 bits, grey or RGB",
            )
        if file is first:
            common = size
        elif size != common:
            raise DatasetError(
                f"{file} is {size[0]} x {size[1]} pixels, but {first} {common[0]} x {common[1]}",
                hint="bring all images to one size",
            )
        channels = 3 if mode in _COLOUR else channels
    width, height = common
    size_in_bytes = len(files) * channels * height * width
    if size_in_bytes > MAXIMUM_BYTES:
        raise DatasetError(
            f"{len(files):,} images of {width} x {height} pixels need {size_in_bytes:,} bytes, more than "
            f"{MAXIMUM_BYTES:,}",
            hint="scale them down, or use fewer",
        )
    return channels, height, width


def _opened(file: Path) -> Image.Image:
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A header that claims more pixels than Pillow thinks sane is an error here, not a warning.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{file} is no readable image: {error}", hint="replace or remove it")
