"""What an image file says of itself is honoured, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from cocogen.data.sets import DataFolders, load
from cocogen.errors import DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
COLOUR, GREY = Image.fromarray(PIXELS), Image.fromarray(PIXELS[:, :, 0])
TURNED = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: np.rot90(PIXELS, -1),
    7: np.rot90(PIXELS, -1)[::-1],
    8: np.rot90(PIXELS),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., np.ndarray]:
    """The pixels (channels, height, width) that are read of a file, which stands beside another of that size."""

    def look(content: bytes, other: Image.Image | None = None) -> np.ndarray:
        folder = tmp_path / "scans"
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "a" / "one").write_bytes(content)
        (other or Image.new("L", (6, 4))).save(folder / "b" / "other.png")
        data = load("./scans/", DataFolders(tmp_path))
        return data.features[0].reshape(data.shape)

    return look


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind, **options)
    return target.getvalue()


def with_chunks(**chunks: bytes) -> bytes:
    added = PngImagePlugin.PngInfo()
    for name, content in chunks.items():
        added.add(name.encode(), content)
    return encoded(COLOUR, "PNG", pnginfo=added)


def png(depth: int, colour: int, row: bytes) -> bytes:
    """Six by four pixels, as Pillow does not write them."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 6, 4, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress((b"\0" + row) * 4)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_photos_are_turned_as_they_say(read: Callable[..., np.ndarray], kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(COLOUR, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    height, width = TURNED[orientation].shape[:2]
    assert np.array_equal(read(content, Image.new("RGB", (width, height))), TURNED[orientation].transpose(2, 0, 1))


def test_a_turned_jpeg_is_the_turned_image(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    straight = read(encoded(COLOUR, "JPEG"))
    turned = read(encoded(COLOUR, "JPEG", exif=exif), Image.new("L", (4, 6)))
    assert np.array_equal(turned, np.rot90(straight, -1, axes=(1, 2)))


def test_sizes_are_compared_as_the_images_are_seen(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(DatasetError, match=r"other.png is 6 x 4 pixels, but .*one 4 x 6"):
        read(encoded(COLOUR, "PNG", exif=exif))


def test_an_orientation_that_does_not_exist_turns_nothing(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 11
    assert np.array_equal(read(encoded(COLOUR, "PNG", exif=exif)), PIXELS.transpose(2, 0, 1))


def adobe_like(gamma: float = 1.8) -> bytes:
    """An RGB profile with other curves than sRGB: a parametric curve of this gamma put in the place of its own."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = b"para" + bytes(8) + struct.pack(">i", int(gamma * 65536))
    count = struct.unpack(">I", profile[128:132])[0]
    tags = [struct.unpack(">4sII", profile[132 + 12 * n : 144 + 12 * n]) for n in range(count)]
    changed = bytearray(profile)
    for name, start, _ in tags:
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            changed[start : start + len(curve)] = curve
        if name == b"desc":
            changed[start : start + 200] = changed[start : start + 200].replace("sRGB".encode("utf-16-be"), bytes(8))
    return bytes(changed)


def test_a_colour_profile_is_applied_and_that_of_srgb_changes_nothing(read: Callable[..., np.ndarray]) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(read(encoded(COLOUR, "PNG", icc_profile=srgb)), PIXELS.transpose(2, 0, 1))
    changed = read(encoded(COLOUR, "PNG", icc_profile=adobe_like(1.0))).astype(int)
    linear = PIXELS.transpose(2, 0, 1) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(changed - expected).max() < 4
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read(encoded(COLOUR, "PNG", icc_profile=adobe_like(1.0), exif=exif), Image.new("L", (4, 6)))
    assert np.array_equal(turned, np.rot90(changed, -1, axes=(1, 2)))


def test_a_colour_profile_that_is_none_is_refused(read: Callable[..., np.ndarray]) -> None:
    with pytest.raises(DatasetError, match="colour profile that cannot be applied"):
        read(encoded(COLOUR, "PNG", icc_profile=b"a profile, say"))


def test_fewer_bits_are_spread_over_the_whole_range(read: Callable[..., np.ndarray]) -> None:
    assert np.unique(read(png(2, 0, b"\x1b\x1b"))).tolist() == [0, 85, 170, 255]
    bits = Image.fromarray(PIXELS[:, :, 0] > 127)
    assert np.array_equal(read(encoded(bits, "PNG"))[0], 255 * (PIXELS[:, :, 0] > 127))
    assert read(b"P5\n6 4\n100\n" + bytes([0, 50, 100] * 8))[0, 0, :3].tolist() == [0, 128, 255]


def test_alpha_without_transparency_is_nothing(read: Callable[..., np.ndarray]) -> None:
    assert np.array_equal(read(encoded(COLOUR.convert("RGBA"), "PNG")), PIXELS.transpose(2, 0, 1))
    assert np.array_equal(read(encoded(GREY.convert("LA"), "PNG")), PIXELS[None, :, :, 0])


SEVERAL = {"save_all": True, "append_images": [Image.fromarray(255 - PIXELS)]}
HALF = Image.fromarray(np.dstack([PIXELS, np.full((4, 6), 128, dtype=np.uint8)]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: encoded(HALF, "PNG"), "transparent in places"),
        (lambda: encoded(HALF, "WEBP", lossless=True), "transparent in places"),
        (lambda: encoded(HALF, "TIFF"), "transparent in places"),
        (lambda: encoded(HALF.convert("LA"), "PNG"), "transparent in places"),
        (lambda: encoded(GREY.convert("P"), "PNG", transparency=bytes(range(256))), "transparent in places"),
        (lambda: encoded(GREY.convert("P"), "GIF", transparency=int(PIXELS[0, 0, 0])), "transparent in places"),
        (lambda: encoded(GREY, "PNG", transparency=int(PIXELS[0, 0, 0])), "transparent in places"),
        (lambda: encoded(COLOUR, "PNG", transparency=tuple(map(int, PIXELS[0, 0]))), "transparent in places"),
        (lambda: png(16, 0, bytes(12)), "kind I;16"),
        (lambda: png(16, 2, bytes(36)), "more than 8 bits"),
        (lambda: png(16, 4, bytes(24)), "more than 8 bits"),
        (lambda: png(16, 6, bytes(48)), "more than 8 bits"),
        (lambda: b"P6\n6 4\n65535\n" + bytes(144), "more than 8 bits"),
        (lambda: b"P6\n6 4\n1023\n" + bytes(144), "more than 8 bits"),
        (lambda: b"P3\n6 4\n65535\n" + b"1 " * 72, "more than 8 bits"),
        (lambda: b"P5\n6 4\n65535\n" + bytes(48), "kind I,"),
        (lambda: encoded(Image.fromarray(PIXELS[:, :, 0].astype(np.float32)), "TIFF"), "kind F"),
        (lambda: encoded(GREY, "TIFF", tiffinfo={339: 2}), "signed or floating"),
        (lambda: encoded(COLOUR.convert("CMYK"), "JPEG"), "kind CMYK"),
        (lambda: encoded(COLOUR.convert("CMYK"), "TIFF"), "kind CMYK"),
        (lambda: encoded(COLOUR.convert("LAB"), "TIFF"), "kind LAB"),
        (lambda: encoded(COLOUR, "GIF", **SEVERAL), "several images"),
        (lambda: encoded(COLOUR, "PNG", **SEVERAL), "several images"),
        (lambda: encoded(COLOUR, "WEBP", **SEVERAL), "several images"),
        (lambda: encoded(COLOUR, "TIFF", **SEVERAL), "several images"),
        (lambda: encoded(COLOUR, "MPO", **SEVERAL), "several images"),
        (lambda: with_chunks(gAMA=struct.pack(">I", 100_000)), "gamma is 1,"),
        (lambda: with_chunks(cHRM=struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)), "prim"),
        (lambda: with_chunks(cICP=bytes([9, 16, 0, 1])), r"code \(9, 16\)"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_by_name(
    read: Callable[..., np.ndarray], content: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason) as caught:
        read(content())
    assert "one " in caught.value.message
    assert caught.value.hint


def test_statements_that_agree_with_srgb_are_taken(read: Callable[..., np.ndarray]) -> None:
    primaries = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for content in (
        with_chunks(gAMA=struct.pack(">I", 45_455), cHRM=primaries),
        with_chunks(cICP=bytes([1, 13, 0, 1])),
        with_chunks(sRGB=b"\0", gAMA=struct.pack(">I", 45_455)),
    ):
        assert np.array_equal(read(content), PIXELS.transpose(2, 0, 1))


def test_adobe_rgb_without_a_profile_is_refused(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    with pytest.raises(DatasetError, match="Adobe RGB"):
        read(encoded(COLOUR, "JPEG", exif=exif))
