"""A site's images: a folder with a sub-folder for each class, or an npz file of bytes.

The schema says how large they are and how many channels they have; nothing is scaled or converted but colour to grey
and back, as the schema has it. Left out: what a file says of its pixels (``cocogen.data.sets.pixels``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.archive import read_arrays
from cocogen.data.own.site import CLASS, Site, near
from cocogen.data.own.table import Images
from cocogen.data.sets.base import MAXIMUM_BYTES
from cocogen.data.sets.images import entries, opened
from cocogen.data.sets.pixels import is_colour, read_pixels
from cocogen.errors import DatasetError, LearningError, SiteError
from cocogen.terms.schema import ImageSchema

__all__ = ["read_images"]

_WRITE = 'write it with numpy.savez("images.npz", features=..., labels=...), features of bytes (n, channels, h, w)'
_READABLE = {1: "grey", 3: "colour"}


def read_images(site: Site, path: Path, schema: ImageSchema, *, labelled: bool = True) -> Images:
    """The images of a folder, class by class in the order of names, or of an npz file in its order.

    ``labelled``: False where a folder holds images without sub-folders, and a file need have no labels.

    Raises
    ------
    SiteError
        There is none, a class is unknown, an image is of another size or cannot be read, or all are of one class.
    """
    if path.is_dir():
        images = _folder(site, path, schema, labelled=labelled)
    elif path.is_file() and path.suffix.lower() == ".npz":
        images = _archive(site, path, schema, labelled=labelled)
    else:
        what = "is neither a folder nor an .npz file" if path.exists() else "is not there"
        raise SiteError(what, file=str(path), hint="name a folder with a sub-folder for each class, or an .npz file")
    least = len(schema.classes) if labelled else 1
    if len(images) < least:
        why = f" for {least} classes" if labelled else ""
        raise SiteError(f"holds {len(images)} images{why}", file=str(path), hint="add images")
    if labelled and len(present := np.unique(images.labels)) == 1:
        raise SiteError(
            f"holds images of the class {schema.classes[present[0]]!r} alone",
            file=str(path),
            hint="a label that is constant teaches nothing: is it the whole export?",
        )
    return images


def _folder(site: Site, path: Path, schema: ImageSchema, *, labelled: bool) -> Images:
    if site.split.group is not None:
        raise SiteError(
            "is a folder of images, which has no columns to group by",
            file=str(path),
            hint="leave [split] group out, or write an .npz file with an array of that name",
        )
    channels = schema.shape[0]
    if channels not in _READABLE:
        raise SiteError(
            f"is a folder of images, but the schema has {channels} channels",
            file=str(path),
            hint="image files have one channel (grey) or three (colour); write an .npz file instead",
        )
    try:
        files, labels = _files(site, path, schema) if labelled else (entries(path, Path.is_file), [])
        if (size := len(files) * schema.pixels) > MAXIMUM_BYTES:
            raise SiteError(
                f"holds {len(files):,} images of {size:,} bytes, more than {MAXIMUM_BYTES:,}",
                file=str(path),
                hint="use fewer images, or a schema of smaller ones",
            )
        pixels = np.empty((len(files), schema.pixels), dtype=np.uint8)
        for row, file in enumerate(files):
            pixels[row] = _pixels(file, schema)
    except SiteError:
        raise
    except DatasetError as error:
        raise SiteError(error.message, hint=error.hint) from error
    numbered = np.array(labels, dtype=np.int64) if labelled else np.full(len(files), -1, dtype=np.int64)
    return Images(schema, pixels, numbered)


def _files(site: Site, path: Path, schema: ImageSchema) -> tuple[list[Path], list[int]]:
    known = site.own_values(CLASS, schema.classes)
    files: list[Path] = []
    labels: list[int] = []
    for folder in entries(path, Path.is_dir):
        if folder.name not in known:
            raise _unknown(path, folder.name, known, "has a folder that is no class")
        found = entries(folder, Path.is_file)
        files += found
        labels += [known[folder.name]] * len(found)
    return files, labels


def _unknown(path: Path, value: str, known: dict[str, int], what: str) -> SiteError:
    meant = near(value, known)
    return SiteError(
        f"{what}: {value[:100]!r}; allowed: {', '.join(map(repr, list(known)[:20]))}",
        file=str(path),
        value=value,
        hint=f'say which class it is: [values.{CLASS}] "{meant[0] if meant else "..."}" = ["{value[:100]}"]',
    )


def _pixels(file: Path, schema: ImageSchema) -> NDArray[np.uint8]:
    channels, height, width = schema.shape
    with opened(file) as image:
        if channels == 1 and is_colour(file, image):
            raise SiteError(
                "is in colour, but the schema has one channel", file=str(file), hint="convert it to grey before"
            )
        if sorted(image.size) != sorted((width, height)):
            raise _other_size(file, image.size, schema)
        pixels = read_pixels(file, image, channels)
    if pixels.shape != schema.shape:
        raise _other_size(file, pixels.shape[:0:-1], schema)
    return pixels.ravel()


def _other_size(file: Path, size: Sequence[int], schema: ImageSchema) -> SiteError:
    _, height, width = schema.shape
    return SiteError(
        f"is {size[0]} x {size[1]} pixels, but the schema asks for {width} x {height}",
        file=str(file),
        hint="bring all images to the agreed size",
    )


def _archive(site: Site, path: Path, schema: ImageSchema, *, labelled: bool) -> Images:
    def accept(name: str, dtype: np.dtype[np.generic]) -> None:
        if name == "features" and dtype != np.uint8:
            raise DatasetError(f"features are of type {dtype}, not bytes (uint8)", hint=_WRITE)
        if dtype.kind not in "biuUS":
            raise DatasetError(f"the array {name} is of type {dtype}, not integers or text", hint=_WRITE)

    try:
        arrays = read_arrays(path, maximum_bytes=MAXIMUM_BYTES, packed=True, accept=accept)
    except LearningError as error:
        raise SiteError(error.message.removeprefix(f"{path} "), file=str(path), hint=error.hint or _WRITE) from error
    group = site.split.group
    needed = ["features", *(["labels"] if labelled else []), *([group] if group and labelled else [])]
    if absent := [name for name in needed if name not in arrays]:
        raise SiteError(f"has no array {absent[0]!r}, but {sorted(arrays)[:20]}", file=str(path), hint=_WRITE)
    features = arrays["features"]
    shapes = [schema.shape, (schema.pixels,), *([schema.shape[1:]] if schema.shape[0] == 1 else [])]
    if features.shape[1:] not in shapes:
        raise SiteError(
            f"its features have shape {features.shape}, but the schema asks for (n, "
            f"{', '.join(map(str, schema.shape))})",
            file=str(path),
            hint=_WRITE,
        )
    n = len(features)
    for name in needed:
        if arrays[name].shape[:1] != (n,) or (name != "features" and arrays[name].ndim != 1):
            raise SiteError(
                f"its array {name!r} has shape {arrays[name].shape}, not ({n},)", file=str(path), hint=_WRITE
            )
    labels = _labels(site, path, schema, arrays["labels"]) if labelled else np.full(n, -1, dtype=np.int64)
    groups = None
    if group and labelled:
        groups = np.unique(arrays[group], return_inverse=True)[1].astype(np.int64)
    return Images(schema, features.reshape(n, schema.pixels).astype(np.uint8, copy=False), labels, groups)


def _labels(site: Site, path: Path, schema: ImageSchema, own: NDArray[np.generic]) -> NDArray[np.int64]:
    known = site.own_values(CLASS, schema.classes)
    values, inverse = np.unique(own, return_inverse=True)
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    if strange := [text for text in texts if text not in known]:
        raise _unknown(path, strange[0], known, "holds a label that is no class")
    return np.array([known[text] for text in texts], dtype=np.int64)[inverse]
