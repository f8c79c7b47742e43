"""What an image file says about how its pixels are to be read: honoured, or refused by name, never dropped in silence.

Honoured are orientation (EXIF and XMP), palettes, samples below 8 bits, and colour profiles, which are converted to
sRGB. Refused are more bits, transparency, several images in a file, other gammas and primaries, and kinds of pixels
that are neither grey nor RGB. Left out: which files there are, and in which formats (``images``).
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import DatasetError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["is_colour", "read_pixels"]

_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA")
_WIDER = re.compile(r";1[0-9]|;32")
_GAMMA = 1 / 2.2
_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ROUNDING = 0.01
_SRGB_CODE = (1, 13)  # ITU-T H.273: primaries of BT.709, transfer of sRGB
_SAMPLE_FORMAT = 339
_INTEROPERABILITY = 0xA005
_CHUNKS = 1000


def is_colour(file: Path, image: Image.Image) -> bool:
    """Whether the image, whose header was read, is of three channels rather than one.

    Raises
    ------
    DatasetError
        When its header says something that is not read; by name, with a way out.
    """
    if image.mode not in _GREY + _COLOUR:
        raise DatasetError(
            f"{file} has pixels of kind {image.mode}, not one of {', '.join(_GREY + _COLOUR)}",
            hint="convert it to 8 bits, grey or RGB",
        )
    if obstacle := _obstacle(file, image):
        raise DatasetError(f"{file} {obstacle[0]}", hint=obstacle[1])
    return image.mode in _COLOUR


def read_pixels(file: Path, image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """The pixels as they are to be seen, uint8, shape (channels, height, width); one channel or three.

    Raises
    ------
    DatasetError
        When the image is transparent in places, or its colour profile cannot be applied.
    """
    from PIL import ImageOps

    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        full = image.convert("RGBA")
        least = full.getchannel("A").getextrema()[0]
        if isinstance(least, tuple) or least < 255:
            raise DatasetError(
                f"{file} is transparent in places",
                hint="lay it over a background: Image.alpha_composite(background, image), both in RGBA",
            )
        plain = full.convert("RGB")
    else:
        plain = image.convert("RGB" if image.mode in _COLOUR else "L")
    plain = ImageOps.exif_transpose(_in_srgb(file, plain, image.info.get("icc_profile"), grey=image.mode in _GREY))
    pixels = np.asarray(plain.convert("L" if channels == 1 else "RGB"))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _obstacle(file: Path, image: Image.Image) -> tuple[str, str] | None:
    """What the header says that is not read, and what would do."""
    described = [str(tile[3]) for tile in image.tile]  # type: ignore[attr-defined]  # of every image from a file
    largest = max((int(number) for text in described for number in re.findall(r"\d{3,}", text)), default=0)
    if any(_WIDER.search(text) for text in described) or (image.format == "PPM" and largest > 255):
        return "has more than 8 bits a channel, which would be cut", "scale it to 8 bits as suits its content"
    if image.format == "TIFF" and any(kind != 1 for kind in _tag(image, _SAMPLE_FORMAT)):
        return "has signed or floating point pixels", "scale it to unsigned bytes as suits its content"
    if getattr(image, "is_animated", False):
        return "holds several images", "keep the one that is meant, each in a file of its own"
    if image.info.get("icc_profile"):
        return None  # it says more than the rest, and is applied
    standard = "convert it to sRGB, or remove that statement where it is wrong"
    if image.format == "PNG" and (code := _colour_code(file)) not in (None, _SRGB_CODE):
        return f"has colours of the code {code} (cICP), not sRGB", standard
    if "srgb" not in image.info:
        gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity")
        if gamma is not None and abs(gamma - _GAMMA) > _ROUNDING:
            return f"says that its gamma is {gamma:.3g}, not that of sRGB, {_GAMMA:.3g}", standard
        if primaries is not None and not np.allclose(primaries, _PRIMARIES, atol=_ROUNDING):
            return "says that its primary colours are not those of sRGB", standard
    if image.getexif().get_ifd(_INTEROPERABILITY).get(1) == "R03":
        return "says that its colours are Adobe RGB, without a profile", standard
    return None


def _tag(image: Image.Image, tag: int) -> tuple[int, ...]:
    found = image.tag_v2.get(tag, ())  # type: ignore[attr-defined]  # of TIFF
    return found if isinstance(found, tuple) else (found,)


def _colour_code(file: Path) -> tuple[int, int] | None:
    """Primaries and transfer function of a PNG's cICP chunk, which Pillow does not read."""
    with file.open("rb") as stream:
        stream.seek(8)
        for _ in range(_CHUNKS):
            head = stream.read(8)
            if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
                return None
            if head[4:] == b"cICP" and len(code := stream.read(2)) == 2:
                return code[0], code[1]
            stream.seek(struct.unpack(">I", head[:4])[0] + 4, io.SEEK_CUR)
    return None


def _in_srgb(file: Path, image: Image.Image, profile: bytes | None, *, grey: bool) -> Image.Image:
    """The image in sRGB; one that is so already is left to the bit."""
    if not profile:
        return image
    from PIL import Image, ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "sRGB" in name:
            return image
        if source.profile.xcolor_space.strip() == "GRAY":
            if not grey:
                raise ImageCms.PyCMSError("a profile of grey on an image in colour")
            image = image.convert("L")
        exif = image.getexif()
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{file} has a colour profile that cannot be applied: {error}",
            hint="convert it to sRGB, or remove the profile where it is wrong",
        ) from error
    assert isinstance(converted, Image.Image)
    converted.getexif().update(exif)
    return converted
