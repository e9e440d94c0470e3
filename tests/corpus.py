"""A corpus of hostile and unusual image files, made here: no binary lies in the repository."""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin


@dataclass(frozen=True)
class Case:
    """A file name, and what must come of it: None if it is used, else a part of the reason."""

    name: str
    reason: str | None


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """A smooth colour gradient with a dark top left corner."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, data: bytes = b"\x00") -> bytes:
    """A PNG that promises a size, with whatever content."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(data)) + _png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG whose header was changed to promise another size."""
    data = bytearray(encoded(picture(), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _many_scans() -> bytes:
    data = encoded(picture(512, 512), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    return data[:start] + scan * 1000 + b"\xff\xd9"


def _text_bomb() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * (200 << 20), zip=True)
    return encoded(picture(), "PNG", pnginfo=info)


def _big_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    return encoded(picture(), "JPEG", exif=exif)


def _broken_exif() -> bytes:
    junk = b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + os.urandom(64)
    data = encoded(picture(), "JPEG")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(junk) + 2) + junk + data[2:]


def _used() -> Iterator[tuple[str, bytes]]:
    rgb = picture()
    grey16 = np.linspace(0, 65535, 64 * 48).reshape(48, 64)
    for format_name, name in [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp"), ("BMP", "a.bmp")]:
        yield name, encoded(rgb, format_name)
    for format_name, name in [("GIF", "a.gif"), ("TIFF", "a.tif"), ("AVIF", "a.avif"), ("PPM", "a.ppm")]:
        yield name, encoded(rgb, format_name)
    yield "png named.jpg", encoded(rgb, "PNG")
    yield "jpeg without extension", encoded(rgb, "JPEG")
    yield "cmyk.jpg", encoded(rgb.convert("CMYK"), "JPEG")
    yield "grey.jpg", encoded(rgb.convert("L"), "JPEG")
    yield "one bit.png", encoded(rgb.convert("1"), "PNG")
    yield "palette.png", encoded(rgb.quantize(16), "PNG")
    yield "palette alpha.png", encoded(rgb.quantize(16), "PNG", transparency=b"\x00\x80" + b"\xff" * 14)
    yield "la.png", encoded(rgb.convert("LA"), "PNG")
    yield "rgba.png", encoded(rgb.convert("RGBA"), "PNG")
    yield "ramp16.png", encoded(Image.fromarray(grey16.astype(np.uint16)), "PNG")
    yield "ramp16.tif", encoded(Image.fromarray(grey16.astype(np.uint16)), "TIFF")
    yield "ramp32f.tif", encoded(Image.fromarray((grey16 / 65535).astype(np.float32)), "TIFF")
    yield "ramp32i.tif", encoded(Image.fromarray(grey16.astype(np.int32)), "TIFF")
    yield "nan.tif", encoded(Image.fromarray(np.where(grey16 < 9, np.nan, grey16).astype(np.float32)), "TIFF")
    frames = [rgb.rotate(90 * n) for n in range(4)]
    yield "animated.gif", encoded(rgb, "GIF", save_all=True, append_images=frames)
    yield "animated.webp", encoded(rgb, "WEBP", save_all=True, append_images=frames)
    yield "animated.png", encoded(rgb, "PNG", save_all=True, append_images=frames)
    grey = [frame.convert("L") for frame in frames]  # a palette for each of 1,000 frames takes eight seconds
    yield "thousand.gif", encoded(grey[0], "GIF", save_all=True, append_images=grey * 250)
    yield "pages.tif", encoded(rgb, "TIFF", save_all=True, append_images=frames)
    yield "big exif.jpg", _big_exif()
    yield "broken exif.jpg", _broken_exif()
    yield "1x1.png", encoded(picture(1, 1), "PNG")
    yield "1x20000.png", encoded(picture(1, 20000), "PNG")
    yield "20000x1.png", encoded(picture(20000, 1), "PNG")
    yield "progressive.jpg", encoded(picture(800, 600), "JPEG", progressive=True)
    yield "63 megapixels.png", png_header(8000, 7900, b"\x00" * (8000 * 3 + 1) * 7900)
    yield "63 megapixels.jpg", encoded(Image.new("RGB", (8000, 7900), (9, 99, 199)), "JPEG")
    yield "49 megapixels rgba.png", encoded(Image.new("RGBA", (7000, 7000), (9, 99, 199, 77)), "PNG")
    yield os.fsdecode(b"caf\xe9.png"), encoded(rgb, "PNG")
    for name in ("new\nline.png", "=cmd().png", "<img onerror=x>.png", "\x1b[31mred.png", "‮gnp.png", "é.png"):
        yield name, encoded(rgb, "PNG")


def _refused() -> Iterator[tuple[str, bytes, str]]:
    rgb = picture()
    yield "zero.jpg", b"", "empty file"
    yield "one byte.jpg", b"\xff", "not an image"
    for name, data in [
        ("html.jpg", b"<html><img src=x>"),
        ("svg.png", b"<svg xmlns='x'/>"),
        ("pdf.jpg", b"%PDF-1.7\n"),
    ]:
        yield name, data, "not an image"
    yield "eps.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"
    yield "ico.png", encoded(rgb, "ICO"), "not an image"
    yield "jpeg2000.jpg", encoded(rgb, "JPEG2000"), "not an image"
    yield "bomb header.png", png_header(65000, 65000), "above the limit"
    yield "bomb header.jpg", jpeg_of_size(65500, 65500), "above the limit"
    yield "bomb 13000.png", png_header(13000, 13000, b"\x00" * 100), "above the limit"
    yield "lying header.png", png_header(7000, 7000), "can't be decoded"
    yield "text bomb.png", _text_bomb(), "can't be decoded"
    yield "thousand scans.jpg", _many_scans(), "scans"
    yield "text.ppm", b"P3\n7000 7000\n255\n" + b"9 9 9 " * 100, "written as text"
    for format_name in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = encoded(picture(300, 200), format_name)
        for share in (0.02, 0.3, 0.6, 0.9):
            reason = "" if format_name != "PNG" else "can't be decoded" if share > 0.1 else ""
            yield f"cut {share}.{format_name.lower()}", data[: int(len(data) * share)], reason


def write_corpus(folder: Path) -> list[Case]:
    """Write every case into a folder; returns what must come of each."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, data in _used():
        (folder / name).write_bytes(data)
        cases.append(Case(name, None))
    for name, data, reason in _refused():
        (folder / name).write_bytes(data)
        cases.append(Case(name, reason))
    cases += _special(folder)
    return cases


def _special(folder: Path) -> list[Case]:
    """What is no regular file, or a link."""
    os.mkfifo(folder / "fifo.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "link.png").symlink_to(folder / "a.png")
    os.link(folder / "a.png", folder / "hard link.png")
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # the path of a socket may have 107 bytes
    listener.bind("socket.jpg")
    os.chdir(here)
    listener.close()
    return [
        Case("fifo.jpg", "not a regular file"),
        Case("device.jpg", "not a regular file"),
        Case("socket.jpg", "not a regular file"),
        Case("dangling.jpg", "can't be opened"),
        Case("loop.jpg", "can't be opened"),
        Case("link.png", None),
        Case("hard link.png", None),
    ]


def flipped(count: int, seed: int) -> Iterator[bytes]:
    """Valid files with random bytes changed: nothing is expected but an image or an ImageError."""
    generator = random.Random(seed)
    bases = [
        encoded(picture(), name) for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
    ]
    for _ in range(count):
        data = bytearray(generator.choice(bases))
        for _ in range(generator.randint(1, 12)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        yield bytes(data[: generator.randint(len(data) // 2, len(data))])
