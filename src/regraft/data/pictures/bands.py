"""Pictures as the bands that a network takes: the image's own bands, its pages, or the bands of a TIFF file.

Pillow reads no TIFF file of, for example, five bands. Its bands lie either one after another, each like a
picture of one band, or pixel by pixel, like a picture of one band that is five times as wide. So the file
gets another list of tags, which says exactly that, and Pillow decodes it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from regraft.data.pictures.composition import scale_of, scaled
from regraft.data.pictures.directories import (
    ORIENTATION,
    TYPE_BYTES,
    Directory,
    Entry,
    Form,
    form_of,
    numbers,
    read_directory,
)
from regraft.data.pictures.readers import tiff_reader
from regraft.errors import ImageError

_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate", 50000: "Zstandard"}
_KINDS = {1: "bits", 2: "bits (signed)", 3: "bits (floating point)"}
_MAX_BANDS = 64
_READABLE = {(8, 1), (16, 1), (32, 1), (32, 2), (32, 3)}
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
    return Layout(
        width, height, bands,
        bits=bits.pop() if len(bits) == 1 and len(kinds) == 1 else 0,
        kind=kinds.pop(),
        is_planar=value(284, 1) == 2,
        compression=value(259, 1),
        predictor=value(317, 1),
        is_tiled=page.find(324) is not None,
        orientation=value(ORIENTATION, 1),
        is_big=form.is_big,
    )  # fmt: skip


def tiff_bands(data: bytes, layout: Layout) -> list[Image.Image]:
    """The bands of a TIFF file as grey images, in the mode in which Pillow reads one band.

    Raises:
        ImageError: these bands can't be read.
    """
    if layout.obstacle:
        raise ImageError(f"a TIFF {layout.obstacle}; {_way_out(layout)}")
    form = form_of(data)
    page = read_directory(data, form.first, form) if form else None
    assert form is not None
    assert page is not None
    if layout.is_planar:
        return [_decoded(_one_of_several(data, form, page, layout, number)) for number in range(layout.bands)]
    values = np.asarray(_decoded(_as_wide(data, form, page, layout)))
    values = values.reshape(layout.height, layout.width, layout.bands)
    if layout.predictor == 2:  # each value is the difference from the same band of the pixel to the left
        values = np.cumsum(values, axis=1, dtype=values.dtype)
    return [Image.fromarray(np.ascontiguousarray(values[..., number])) for number in range(layout.bands)]


def _way_out(layout: Layout) -> str:
    if layout.bands <= 3:
        return "save it with 8 or 16 bits, without compression or with LZW"
    return (
        "save each band as a page of its own (a multi-page TIFF of "
        f"{layout.bands} grey pages of 8 or 16 bits)"
    )


def _decoded(data: bytes) -> Image.Image:
    image = tiff_reader(data)
    image.load()
    return image


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


def colour_of(bands: list[Image.Image], layout: Layout, notes: list[str]) -> Image.Image:
    """A picture of bands for a network of 1 or 3 channels: the first three as RGB, or the first as grey."""
    used = 3 if layout.bands >= 3 else 1
    if layout.bands != used:
        which = "first three are used, as red, green and blue" if used == 3 else "first is used, as grey"
        notes.append(f"a TIFF of {layout.text}: without --channels {layout.bands} only the {which}")
    grey = grey_levels(bands[:used])
    return Image.merge("RGB", grey * (3 // used))


def grey_levels(bands: list[Image.Image]) -> list[Image.Image]:
    """Bands with 8 bits each, all on one scale."""
    scales = [scale for scale in (scale_of(band) for band in bands) if scale is not None]
    if not scales:
        return [band.convert("L") for band in bands]
    black, white = min(scale.black for scale in scales), max(scale.white for scale in scales)
    common = replace(scales[0], black=black, white=white)
    return [Image.fromarray(scaled(band, common)) for band in bands]
