"""What files state about the values that they store: which are black and white, and what further pages are.

Sources: TIFF 6.0, sections 8 and 19 (MinSampleValue, MaxSampleValue, SMinSampleValue, SMaxSampleValue);
PNG 3, section 11.3.2.7 (sBIT); OME data model 2016-06 (Pixels).
"""

from __future__ import annotations

import math
import re
import struct

from regraft.data.formats.directories import Directory, Entry, Form, numbers
from regraft.data.formats.samples import Span

_MIN, _MAX, _SMIN, _SMAX, _DESCRIPTION, _BITS = 280, 281, 340, 341, 270, 258
_SIGNED = {6: "b", 8: "h", 9: "l", 11: "f", 12: "d"}
_MOST_TEXT = 1 << 18
_USUAL_BITS = (8, 16, 32, 64)


def span_in_tiff(data: bytes, page: Directory, form: Form) -> Span | None:
    """The values of black and white that the tags or the OME description of a TIFF page state."""
    for low_tag, high_tag in ((_SMIN, _SMAX), (_MIN, _MAX)):
        high = _values(data, page.find(high_tag), form)
        low = _values(data, page.find(low_tag), form) or (0.0,)
        if high and math.isfinite(min(low)) and math.isfinite(max(high)) and min(low) < max(high):
            return min(low), max(high)
    stored = numbers(data, page.find(_BITS), form)
    if stored and stored[0] > 8 and stored[0] not in _USUAL_BITS and stored[0] < 32:
        return 0.0, float(2 ** stored[0] - 1)
    bits = _ome(description_of(data, page), "SignificantBits")
    return (0.0, float(2**bits - 1)) if bits and 1 < bits <= 32 else None


def pages_note(data: bytes, page: Directory) -> str:
    """What is said about the pages after the first, which are not used; empty if there are none."""
    if not page.next_place:
        return ""
    text = description_of(data, page)
    channels = _ome(text, "SizeC") or 1
    if channels < 2:
        return "several frames: only the first is used"
    names = re.findall(r"<Channel\b[^>]*?\bName=\"([^\"]{1,40})\"", text)
    named = f" ({', '.join(names[:6])})" if names else ""
    return (
        f"OME-TIFF of {channels} channels, one a page{named}: only the first is used, as grey; to use all, "
        "fit with --channels, or save them as bands of one page"
    )


def description_of(data: bytes, page: Directory) -> str:
    """The ImageDescription of a TIFF page, as far as it is read; empty if there is none."""
    entry = page.find(_DESCRIPTION)
    if entry is None or entry.type not in (2, 7, 1):
        return ""
    return data[entry.start : entry.start + min(entry.size, _MOST_TEXT)].decode("utf-8", "replace")


def _ome(text: str, name: str) -> int | None:
    """A whole number of the first Pixels element of an OME description."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]{0,4000}", text)
    found = re.search(rf"\b{name}=\"(\d{{1,6}})\"", pixels[0]) if pixels else None
    return int(found[1]) if found else None


def _values(data: bytes, entry: Entry | None, form: Form) -> tuple[float, ...]:
    """The numbers of a tag, one for each band, whatever their type."""
    if entry is not None and entry.type in _SIGNED:
        count = min(entry.count, 64) if entry.start + entry.size <= len(data) else 0
        return struct.unpack_from(f"{form.order}{count}{_SIGNED[entry.type]}", data, entry.start)
    return tuple(map(float, numbers(data, entry, form)))


def span_in_png(data: bytes) -> Span | None:
    """The range of the bits that a PNG file calls significant (its chunk sBIT); None if it states nothing.

    PNG wants values to be scaled to all bits, but programs also store them as they are. So the span holds
    only where no value is larger.
    """
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, place)
        if kind in (b"IDAT", b"IEND"):
            return None
        if kind == b"sBIT" and 1 <= length <= 4:
            bits = max(data[place + 8 : place + 8 + min(length, 3)])
            return (0.0, float(2**bits - 1)) if 1 <= bits <= 16 else None
        place += 12 + length
    return None
