"""Pillow's readers as Regraft uses them: without Python's warnings and without Pillow's limit of pixels.

Filters of warnings and `PIL.Image.MAX_IMAGE_PIXELS` belong to the whole process, so Regraft neither changes
nor needs them: what Pillow would warn about is found in the bytes, noted, and not shown to Pillow. The only
limit of pixels is that of `LoadLimits`, with one exception that can't be avoided: Pillow itself refuses WebP
files with more than twice `MAX_IMAGE_PIXELS`.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from regraft.data.formats.directories import exif_orientation, picture_list_note, repaired
from regraft.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_ANIMATION_CHUNKS = (b"acTL", b"fcTL", b"fdAT")


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG file, or the first picture of an MPO file; its resolution is not looked up in EXIF data."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF file, which Pillow turns upright as it loads it."""

    def getexif(self) -> Image.Exif:
        """The orientation alone, so that no other tag has to be readable."""
        exif = Image.Exif()
        value = self.tag_v2.get(ExifTags.Base.Orientation) or _xmp_orientation(self.info)
        if value is not None:
            exif[ExifTags.Base.Orientation] = value
        return exif

    def load_prepare(self) -> None:
        if self._im is None:  # the base class compares with Pillow's limit only if it has to make the image
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


def tiff_reader(data: bytes) -> ImageFile.ImageFile:
    """A TIFF file that is known to be without damage."""
    return _Tiff(io.BytesIO(data))


class _Avif(AvifImagePlugin.AvifImageFile):
    """An AVIF file; its own transformations state the orientation, whatever its EXIF data says."""

    exif_note: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _WithoutExif(value, self) if name == "_decoder" else value)


class _WithoutExif:
    """A decoder of AVIF files that keeps EXIF data to itself."""

    def __init__(self, decoder: Any, owner: _Avif) -> None:
        self._inner, self._owner = decoder, owner

    def get_info(self) -> tuple[Any, ...]:
        size, frames, mode, profile, exif, orientation, xmp = self._inner.get_info()
        if exif:
            self._owner.exif_note = exif_orientation(exif)[1]
        return size, frames, mode, profile, None, orientation, xmp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": _Jpeg,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": _Tiff,
    "AVIF": _Avif,
    "PPM": PpmImagePlugin.PpmImageFile,
}


def open_image(data: bytes, max_pages: int = 2) -> tuple[ImageFile.ImageFile | None, list[str]]:
    """An opened image whose pixels are not decoded yet (None if no reader knows it), and notes.

    Args:
        data: a whole file.
        max_pages: number of pages of a TIFF file that will be read.

    Raises:
        ImageError: the file is damaged where it must not be. Readers raise many other kinds of errors.
    """
    for name in FORMATS:
        accept = Image.OPEN[name][1]
        verdict = accept(data[:16]) if accept else True  # a text if Pillow was built without the format
        if verdict and not isinstance(verdict, str):
            notes: list[str] = []
            clean = _cleaned(name, data, notes, max_pages)
            try:
                image = _READERS[name](io.BytesIO(clean), "")
            except Image.DecompressionBombError as error:
                raise ImageError(
                    f"above twice Pillow's own limit of pixels (PIL.Image.MAX_IMAGE_PIXELS = "
                    f"{Image.MAX_IMAGE_PIXELS}), which Pillow enforces for {name}"
                ) from error
            except (SyntaxError, IndexError, TypeError, struct.error):  # as in Image.open: not this format
                continue
            if isinstance(image, _Avif) and image.exif_note:
                notes.append(image.exif_note)
            if "mp" in image.info and (note := picture_list_note(image.info["mp"])):
                notes.append(note)
            return image, notes
    return None, []


def _cleaned(name: str, data: bytes, notes: list[str], max_pages: int) -> bytes:
    if name == "TIFF":
        data, found = repaired(data, max_pages)
        notes += found
    elif name == "PNG":
        return _still_png(data, notes)
    elif name == "GIF":
        return _still_gif(data)
    return data


def _still_png(data: bytes, notes: list[str]) -> bytes:
    """A PNG file without its animation, which may be invalid; the default picture is kept."""
    if b"acTL" not in data:
        return data
    place, kept, counts = len(_PNG_START), [data[: len(_PNG_START)]], []
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, place)
        end = place + 12 + length
        if kind == b"acTL":
            counts.append(int.from_bytes(data[place + 8 : place + 12], "big"))
        if kind not in _ANIMATION_CHUNKS:
            kept.append(data[place:end])
        place = end
    if not counts:
        return data
    kept.append(data[place:])
    if len(counts) > 1 or counts[0] == 0:
        notes.append("invalid animation: only the default picture is used")
    elif counts[0] > 1:
        notes.append("several frames: only the first is used")
    return b"".join(kept)


def _still_gif(data: bytes) -> bytes:
    """A GIF file whose screen holds its first frame, and which keeps that frame as it is.

    Pillow compares frames that enlarge the screen, or that are cleared afterwards, with its own limit.
    """
    if len(data) < 13:
        return data
    fixed = bytearray(data)
    place = 13 + ((3 << (data[10] & 7) + 1) if data[10] & 128 else 0)
    while place < len(data) and data[place] != 0x3B:
        if data[place] == 0x2C and place + 9 <= len(data):
            left, top, width, height = struct.unpack_from("<4H", data, place + 1)
            screen = struct.unpack_from("<2H", data, 6)
            right, bottom = max(screen[0], left + width), max(screen[1], top + height)
            if max(right, bottom) > 65535:
                raise ImageError(f"a GIF of {right} x {bottom} pixels; its format allows 65535 x 65535")
            struct.pack_into("<2H", fixed, 6, right, bottom)
            break
        if data[place] == 0x21:
            if data[place + 1 : place + 2] == b"\xf9" and place + 3 < len(data) and data[place + 2]:
                fixed[place + 3] &= 0b11100011  # what happens to the frame after it was shown
            place += 2
            while place < len(data) and data[place]:
                place += data[place] + 1
        place += 1
    return bytes(fixed)


def orientation_of(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation (1 to 8) of a decoded image; 1 if Pillow has turned it already."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    exif = image.info.get("exif")
    if exif is None:
        exif = _hexadecimal_profile(image.info.get("Raw profile type exif"))
    value, note = exif_orientation(exif) if isinstance(exif, bytes) and exif else (None, None)
    if note:
        notes.append(note)
    value = _xmp_orientation(image.info) if value is None else value
    return value if value is not None and 1 <= value <= 8 else 1


def _hexadecimal_profile(text: Any) -> bytes | None:
    """EXIF data as ImageMagick writes it into a text of a PNG file: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else None
    except ValueError:
        return b"?"  # is unreadable EXIF data


def _xmp_orientation(info: dict[Any, Any]) -> int | None:
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    text = xmp.decode("latin-1") if isinstance(xmp, bytes) else str(xmp)
    found = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
    return int(found[1]) if found else None
