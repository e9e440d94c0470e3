"""The few elements of a DICOM file that a picture needs, as numbers and short texts; nothing else is kept."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from regraft.errors import ImageError, words_of

_NUMBERS = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PlanarConfiguration",
)  # fmt: skip
_TEXTS = (
    "PhotometricInterpretation", "PresentationLUTShape", "VOILUTFunction", "NumberOfFrames", "RescaleSlope",
    "RescaleIntercept", "WindowCenter", "WindowWidth", "PatientID", "StudyInstanceUID",
)  # fmt: skip
_COLOURS = ("Red", "Green", "Blue")
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_PARTS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
}
_PALETTES = tuple(
    f"{colour}PaletteColorLookupTable{part}" for colour in _COLOURS for part in ("Descriptor", "Data")
)
_MOST_ENTRIES = 65536


@dataclass(frozen=True)
class Table:
    """A table that turns values into others (PS3.3, C.11.1.1)."""

    first: int
    """The value that the first entry is for."""
    bits: int
    entries: npt.NDArray[np.int64]

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The entries of values; values below and above the table have its first and last."""
        places = np.clip(values.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[places], dtype=np.int64)


@dataclass(frozen=True)
class Elements:
    """What a file says about its picture, and the picture's bytes."""

    dataset: Any
    syntax: str
    """The transfer syntax: how pixels are compressed."""
    pixels: bytes
    pixels_type: str

    def _raw(self, name: str, dataset: Any = None) -> Any:
        """The value of an element before pydicom reads it: bytes, or a list of data sets, or None."""
        from pydicom.datadict import tag_for_keyword

        tag = tag_for_keyword(name)
        found = (self.dataset if dataset is None else dataset).get_item(tag) if tag is not None else None
        return None if found is None else found.value

    def text(self, name: str, dataset: Any = None) -> str:
        """A text, or the first of several; empty if there is none."""
        value = self._raw(name, dataset)
        text = value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)
        if name == "PatientID":
            return text.strip(" \0")
        return text.split("\\")[0].strip(" \0")[:64]

    def number(self, name: str, default: int = 0) -> int:
        """A whole number of two bytes, or of digits."""
        value = self._raw(name)
        if isinstance(value, int):
            return value
        if name in _NUMBERS and isinstance(value, bytes) and len(value) >= 2:
            return int.from_bytes(value[:2], "little" if self.dataset.original_encoding[1] else "big")
        text = self.text(name)
        return int(text) if text.lstrip("+").isdecimal() else default

    @overload
    def real(self, name: str, frame: int) -> float | None: ...
    @overload
    def real(self, name: str, frame: int, default: float) -> float: ...
    def real(self, name: str, frame: int, default: float | None = None) -> float | None:
        """A decimal number of the file, or of the frame where the file has a list of frames."""
        texts = [self.text(name)]
        for number, group in ((0, _GROUPS[0]), (frame, _GROUPS[1])):
            part = _item(_item(self.dataset, group, number), _PARTS.get(name, ""))
            texts += [] if part is None else [self.text(name, part)]
        for text in texts:
            try:
                value = float(text)
            except ValueError:
                continue
            if math.isfinite(value):
                return value
        return default

    def table(self, name: str) -> Table | None:
        """The first table of a sequence; None if there is none."""
        item = _item(self.dataset, name)
        if item is None:
            return None
        return self._table(self._raw("LUTDescriptor", item), self._raw("LUTData", item))

    def palette(self, colour: str) -> Table | None:
        """The palette of a colour; None if there is none."""
        name = f"{colour}PaletteColorLookupTable"
        return self._table(self._raw(f"{name}Descriptor"), self._raw(f"{name}Data"))

    def _table(self, descriptor: Any, data: Any) -> Table | None:
        order = "<" if self.dataset.original_encoding[1] else ">"
        if isinstance(descriptor, bytes) and len(descriptor) == 6:
            descriptor = [int(value) for value in np.frombuffer(descriptor, f"{order}u2")]
        if descriptor is None or data is None or len(descriptor) != 3:
            return None
        count, first, bits = (int(value) for value in descriptor)
        is_signed = self.number("PixelRepresentation") == 1 and first >= 1 << 15
        count, first = count or _MOST_ENTRIES, first - (1 << 16) if is_signed else first
        if isinstance(data, bytes):
            kind = "u1" if bits <= 8 and len(data) <= count + 1 else f"{order}u2"
            data = np.frombuffer(data[: len(data) - len(data) % np.dtype(kind).itemsize], kind)
        entries = np.asarray(data, dtype=np.int64).reshape(-1)[:count]
        return Table(first, bits, entries) if len(entries) and 1 <= bits <= 16 else None


def _item(dataset: Any, name: str, number: int = 0) -> Any:
    """An item of a sequence; None if there is none."""
    found = dataset.get(name) if dataset is not None and name else None
    return found[number] if found is not None and len(found) > number else None


def read_elements(data: bytes) -> Elements:
    """What a DICOM file says about its picture.

    Raises:
        ImageError: the file is damaged.
    """
    from pydicom import dcmread

    wanted = [*_NUMBERS, *_TEXTS, *_TABLES, *_GROUPS, *_PALETTES, "PixelData"]
    try:
        dataset = dcmread(io.BytesIO(data), specific_tags=wanted)
        pixels = dataset.get_item("PixelData") if "PixelData" in dataset else None
        meta = dataset.file_meta.get_item(0x00020010) if 0x00020010 in dataset.file_meta else None
    except ImageError:
        raise
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise ImageError(f"a damaged DICOM file: {words_of(error, 160)}") from error
    syntax = "" if meta is None else meta.value
    syntax = syntax.decode("latin-1") if isinstance(syntax, bytes) else str(syntax)
    value = b"" if pixels is None or not isinstance(pixels.value, bytes) else pixels.value
    kind = "OB" if pixels is not None and pixels.VR == "OB" else "OW"
    return Elements(dataset, syntax.strip(" \0"), value, kind)
