"""The bands of a TIFF file as the numbers that are stored: of more than 8 bits, or more bands than colours.

Pillow reads no TIFF file of, for example, five bands, and of 16 bits in colour it keeps 8. The bands lie
either one after another, each like a picture of one band, or pixel by pixel, like a picture of one band that
is five times as wide. So the file gets another list of tags, which says exactly that, and Pillow decodes it.
What Pillow can't decode in this way goes to tifffile (`big_tiff.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regraft.data.formats.big_tiff import bands_by_tifffile
from regraft.data.formats.directories import (
    ORIENTATION,
    TYPE_BYTES,
    Directory,
    Entry,
    Form,
    form_of,
    numbers,
    read_directory,
)
from regraft.data.formats.readers import tiff_reader
from regraft.data.formats.samples import Samples, Span, Values
from regraft.data.formats.statements import pages_note, span_in_tiff
from regraft.errors import ImageError

_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate", 50000: "Zstandard"}
_KINDS = {1: "bits", 2: "bits (signed)", 3: "bits (floating point)"}
_MAX_BANDS = 64
_READABLE = {
    (8, 1): np.uint8, (12, 1): np.uint16, (16, 1): np.uint16, (16, 2): np.int16,
    (32, 1): np.uint32, (32, 2): np.int32, (32, 3): np.float32,
}  # fmt: skip
"""Bits and kinds of numbers that Pillow can read, and their types here."""
_USUAL_BITS = {1, 2, 4, 8}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5  # TIFF's PhotometricInterpretation
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_OTHER_COLOURS = {
    3: "palette", 6: "YCbCr", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "mosaic of a camera",
    32844: "LogL", 32845: "LogLuv",
}  # fmt: skip
_PREMULTIPLIED, _OPACITY = 1, 2  # TIFF's ExtraSamples
_KEPT = (
    257,
    259,
    266,
    278,
    317,
    323,
)  # tags that stay as they are: height, compression, rows of a strip, ...
_PLACES = (273, 279, 324, 325)  # where strips and tiles lie, and how long they are


@dataclass(frozen=True)
class Layout:
    """How the pixels of a TIFF file are stored."""

    width: int
    height: int
    bands: int
    bits: int
    """Bits of each band; 0 if the bands differ."""
    kind: int
    """TIFF's SampleFormat: 1 unsigned, 2 signed, 3 floating point."""
    is_planar: bool
    """Whether the bands lie one after another."""
    compression: int
    predictor: int
    is_tiled: bool
    orientation: int
    is_big: bool
    """Whether the file is a BigTIFF, whose lists of tags have another form."""
    photometric: int = _BLACK_IS_ZERO
    """TIFF's PhotometricInterpretation: 0 white is zero, 1 black is zero, 2 RGB, ..."""
    extra: int = 0
    """TIFF's ExtraSamples of the last band: 1 and 2 mean opacity."""
    stated: Span | None = None
    """The values of black and white, as far as the file states them."""
    pages: str = ""
    """What is said about further pages, which are not used; empty if there are none."""

    @property
    def is_deep(self) -> bool:
        """Whether values are not whole numbers of at most 8 bits."""
        return self.bits != 0 and (self.bits not in _USUAL_BITS or self.kind != 1)

    @property
    def text(self) -> str:
        """For example `5 bands of 16 bits`."""
        bits = f"{self.bits} {_KINDS.get(self.kind, 'bits')}" if self.bits else "different numbers of bits"
        return f"{self.bands} band{'s' if self.bands != 1 else ''} of {bits}"

    @property
    def obstacle(self) -> str | None:
        """Why the bands can't be read; None if they can."""
        if (self.bits, self.kind) not in _READABLE or self.bands > _MAX_BANDS:
            return f"of {self.text}, which is not read"
        if self.is_big:
            return f"of {self.text} in the form of a BigTIFF, which is not read"
        if self.compression not in _COMPRESSIONS:
            return f"of {self.text} with compression {self.compression}, which is not read"
        is_simple = self.predictor == 1 or (self.predictor == 2 and self.bits < 32 and not self.is_tiled)
        if not self.is_planar and not is_simple:
            return f"of {self.text} with predictor {self.predictor}, which is not read"
        return None


PILLOWS_MOST_BANDS = 6
"""Pillow reads no TIFF file of more bands, and says so in Python's log."""


def layout_of(data: bytes) -> Layout | None:
    """The layout of the first page of a TIFF file; None if the file is none or is damaged."""
    form = form_of(data)
    page = read_directory(data, form.first, form) if form else None
    if form is None or page is None:
        return None

    def value(tag: int, default: int) -> int:
        found = numbers(data, page.find(tag), form)
        return found[0] if found else default

    bits, kinds = (set(numbers(data, page.find(tag), form)) or {1} for tag in (258, 339))
    width, height, bands = value(256, 0), value(257, 0), value(277, 1)
    if not width or not height or not bands:
        return None
    extra = numbers(data, page.find(338), form)
    return Layout(
        width, height, bands,
        bits=bits.pop() if len(bits) == 1 and len(kinds) == 1 else 0,
        kind={4: 1}.get(kind := kinds.pop(), kind),  # 4 is undefined
        is_planar=value(284, 1) == 2,
        compression=value(259, 1),
        predictor=value(317, 1),
        is_tiled=page.find(324) is not None,
        orientation=value(ORIENTATION, 1),
        is_big=form.is_big,
        photometric=value(262, _BLACK_IS_ZERO),
        extra=extra[-1] if extra else 0,
        stated=span_in_tiff(data, page, form),
        pages=pages_note(data, page),
    )  # fmt: skip


def tiff_samples(data: bytes, layout: Layout, channels: int, notes: list[str]) -> Samples:
    """The numbers in a TIFF file.

    Args:
        data: the whole file, without damage.
        layout: how its pixels are stored.
        channels: number of channels of a network; for 1 and 3, bands that are no colours are left out.
        notes: receives what is left out.

    Raises:
        ImageError: these bands can't be read.
    """
    bands = _tiff_bands(data, layout)
    is_inverted = layout.is_deep and layout.photometric == _WHITE_IS_ZERO
    if channels not in (1, 3):
        return Samples(tuple(bands), layout.stated, is_inverted)
    if layout.is_deep and layout.photometric in _OTHER_COLOURS:
        kind = _OTHER_COLOURS[layout.photometric]
        raise ImageError(f"a TIFF of {layout.text} in colours that are not read ({kind}); save it as RGB")
    colours = _COLOURS.get(layout.photometric, 1)
    if layout.bands == colours + 1 and layout.extra in (_PREMULTIPLIED, _OPACITY) and colours != 4:
        mode: Literal["RGBA", "RGBa"] = "RGBa" if layout.extra == _PREMULTIPLIED else "RGBA"
        return Samples(tuple(bands[:colours]), layout.stated, is_inverted, _opacity(bands[-1], layout), mode)
    if layout.photometric != _CMYK or layout.bands != colours:
        colours = 3 if layout.bands >= 3 else 1
    if layout.bands != colours:
        which = "first three are used, as red, green and blue" if colours == 3 else "first is used, as grey"
        notes.append(f"a TIFF of {layout.text}: without --channels {layout.bands} only the {which}")
    return Samples(tuple(bands[:colours]), layout.stated, is_inverted)


def _opacity(band: Values, layout: Layout) -> Values:
    """Opacity with 8 bits: its full range is that of the type, whatever the range of the colours."""
    full = 1.0 if layout.kind == 3 else float(2**layout.bits - 1)
    return np.asarray(np.clip(np.rint(np.nan_to_num(band / full) * 255), 0, 255), dtype=np.uint8)


def _tiff_bands(data: bytes, layout: Layout) -> list[Values]:
    """The bands of a TIFF file.

    Raises:
        ImageError: these bands can't be read.
    """
    if layout.obstacle is None:
        try:
            return _by_pillow(data, layout)
        except SyntaxError:  # Pillow knows no such pixels, for example whole numbers of 32 bits, big-endian
            pass
    bands = bands_by_tifffile(data, (layout.height, layout.width, layout.bands), layout.compression)
    if bands is None:
        what = layout.obstacle or f"of {layout.text}, which is not read"
        raise ImageError(f"a TIFF {what}; {_way_out(layout)}")
    return bands


def _by_pillow(data: bytes, layout: Layout) -> list[Values]:
    form = form_of(data)
    page = read_directory(data, form.first, form) if form else None
    assert form is not None
    assert page is not None
    if layout.is_planar:
        planes = (_one_of_several(data, form, page, layout, number) for number in range(layout.bands))
        return [_decoded(plane, layout) for plane in planes]
    values = _decoded(_as_wide(data, form, page, layout), layout)
    values = values.reshape(layout.height, layout.width, layout.bands)
    if layout.predictor == 2:  # each value is the difference from the same band of the pixel to the left
        values = np.cumsum(values, axis=1, dtype=values.dtype)
    return [values[..., number] for number in range(layout.bands)]


def _way_out(layout: Layout) -> str:
    if layout.bands <= 3:
        return "save it with 8 or 16 bits, without compression or with LZW"
    return (
        "save each band as a page of its own (a multi-page TIFF of "
        f"{layout.bands} grey pages of 8 or 16 bits)"
    )


def _decoded(data: bytes, layout: Layout) -> Values:
    """The values of one band in the type that they have in the file, which Pillow may have widened."""
    image = tiff_reader(data)
    image.load()
    return np.asarray(image).astype(_READABLE[layout.bits, layout.kind], copy=False)


def _as_wide(data: bytes, form: Form, page: Directory, layout: Layout) -> bytes:
    records = _records(data, form, page, layout)
    records[256] = _long(form, 256, layout.width * layout.bands)
    tile = numbers(data, page.find(322), form)
    if tile:
        records[322] = _long(form, 322, tile[0] * layout.bands)
    records.pop(317, None)
    for tag in _PLACES:
        entry = page.find(tag)
        if entry is not None:
            records[tag] = data[entry.place : entry.place + 12]
    return _with_directory(data, form, records)


def _one_of_several(data: bytes, form: Form, page: Directory, layout: Layout, number: int) -> bytes:
    records = _records(data, form, page, layout)
    for tag in (256, 322):
        entry = page.find(tag)
        if entry is not None:
            records[tag] = data[entry.place : entry.place + 12]
    for tag in _PLACES:
        entry = page.find(tag)
        if entry is not None:
            records[tag] = _part(data, form, entry, number, layout.bands)
    return _with_directory(data, form, records)


def _records(data: bytes, form: Form, page: Directory, layout: Layout) -> dict[int, bytes]:
    """The tags that are the same for every way to see the bands."""
    kept = {tag: page.find(tag) for tag in _KEPT}
    records = {tag: data[entry.place : entry.place + 12] for tag, entry in kept.items() if entry}
    values = {258: layout.bits, 262: 1, 277: 1, 284: 1, 339: layout.kind}
    return records | {tag: _long(form, tag, value) for tag, value in values.items()}


def _long(form: Form, tag: int, value: int) -> bytes:
    return struct.pack(form.order + "HHLL", tag, 4, 1, value)


def _part(data: bytes, form: Form, entry: Entry, number: int, bands: int) -> bytes:
    """The record of one band's share of a list of places or lengths."""
    count, unit = entry.count // bands, TYPE_BYTES.get(entry.type, 0)
    start = entry.start + number * count * unit
    value = data[start : start + count * unit].ljust(4, b"\0")
    if count * unit > 4:
        value = struct.pack(form.order + "L", start)
    return struct.pack(form.order + "HHL", entry.tag, entry.type, count) + value


def _with_directory(data: bytes, form: Form, records: dict[int, bytes]) -> bytes:
    """The file with another list of tags, appended to it."""
    place = len(data) + len(data) % 2
    listed = b"".join(records[tag] for tag in sorted(records))
    head = data[:4] + struct.pack(form.order + "L", place)
    count = struct.pack(form.order + "H", len(records))
    return head + data[8:].ljust(place - 8, b"\0") + count + listed + bytes(4)
