"""A folder of images: one sub-folder per class, named for it, with images of one size.

Formats are a closed list: a stranger's file must not choose among all decoders that Pillow comes with.
"""

from __future__ import annotations

import logging
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cocogen.data.sets.base import MAXIMUM_BYTES, Dataset
from cocogen.data.sets.pixels import is_colour, read_pixels
from cocogen.errors import DatasetError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["entries", "opened", "read_image_folder"]

# Pillow logs what it thinks of damaged files; without a handler Python would print that on stderr beside our error.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
_FAILURES = (
    zlib.error,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What Pillow's decoders raise for files that are damaged; its errors about size are added where it is imported."""


def read_image_folder(folder: Path) -> Dataset:
    """Every image of every sub-folder, in the order of names; the sub-folders are the classes, in that order too.

    Grey images give one channel, unless there are colour images among them: then all are converted to three. Files
    whose name begins with a dot are ignored. Sizes are checked before pixels are read. PNG, JPEG, BMP, GIF, TIFF, PPM
    and WebP are read, by content rather than name, as they say that they are to be read
    (:mod:`~cocogen.data.sets.pixels`).

    Raises
    ------
    DatasetError
        When there are fewer than two classes, a class is empty, a file is no image of these formats or says something
        of itself that is not read, or images differ in size.
    """
    folders = entries(folder, Path.is_dir)
    if len(folders) < 2:
        raise DatasetError(
            f"{folder} has {len(folders)} sub-folders, but needs one for each of at least two classes",
            hint="put the images of each class into a sub-folder named for it",
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, own in enumerate(folders):
        found = entries(own, Path.is_file)
        if not found:
            raise DatasetError(f"{own} holds no image", hint="put images into it, or remove it")
        files += found
        labels += [label] * len(found)
    channels, size = _common(files)
    features = np.empty((len(files), channels * math.prod(size)), dtype=np.uint8)
    shape: tuple[int, ...] = ()
    for row, file in enumerate(files):
        with opened(file) as image:
            pixels = read_pixels(file, image, channels)
        shape = shape or pixels.shape
        _check_size(file, pixels.shape[:0:-1], files[0], shape[:0:-1])
        features[row] = pixels.ravel()
    return Dataset(
        name=folder.name,
        features=features,
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(own.name for own in folders),
        shape=shape,
    )


def entries(folder: Path, kind: Callable[[Path], bool]) -> list[Path]:
    """What a folder holds of a kind, by name, without what is hidden; DatasetError when it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and kind(path))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}", hint="check the path") from error


def _common(files: list[Path]) -> tuple[int, tuple[int, int]]:
    """Channels and size of all files, from their headers; which side is the width, only the pixels show."""
    colour, common, first = False, (0, 0), files[0]
    for file in files:
        with opened(file) as image:
            size = image.size
            colour |= is_colour(file, image)
        common = size if file is first else common
        if sorted(size) != sorted(common):
            _check_size(file, size, first, common)
    channels = 3 if colour else 1
    width, height = common
    if width < 1 or height < 1:
        raise DatasetError(f"{first} is {width} x {height} pixels, which are none", hint="replace or remove it")
    size_in_bytes = len(files) * channels * height * width
    if size_in_bytes > MAXIMUM_BYTES:
        raise DatasetError(
            f"{len(files):,} images of {width} x {height} pixels need {size_in_bytes:,} bytes, more than "
            f"{MAXIMUM_BYTES:,}",
            hint="scale them down, or use fewer",
        )
    return channels, common


def _check_size(file: Path, size: tuple[int, ...], first: Path, common: tuple[int, ...]) -> None:
    if size != common:
        raise DatasetError(
            f"{file} is {size[0]} x {size[1]} pixels, but {first} {common[0]} x {common[1]}",
            hint="bring all images to one size",
        )


@contextmanager
def opened(file: Path) -> Iterator[Image.Image]:
    """The image, whose pixels are decoded inside the block; what Pillow raises there is a DatasetError too."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DatasetError(
            "images are read by Pillow, which is not installed",
            hint="install it: pip install 'cocogen[images]', in a clone make install",
        ) from error

    try:
        with warnings.catch_warnings():
            # Remarks on odd metadata are nothing to the pixels; but a header that claims more pixels than Pillow thinks
            # sane is an error here, not a warning.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                yield image
    except (*_FAILURES, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(
            f"{file} is no readable image: {str(error) or type(error).__name__}",
            hint=f"replace or remove it; formats that are read: {', '.join(_FORMATS)}",
        ) from error
