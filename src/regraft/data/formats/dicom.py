"""DICOM files as pictures, in the standard's order: values, modality, values of interest, presentation.

No name, identifier or date leaves this file: of a patient only a hash is kept, which tells which images
belong together. Only the elements that a picture needs are read, so that a file of millions of others is no
burden. pydicom warns about what is unusual in a file; such warnings are not shown, so that the caller's
filters don't decide which files can be read.

Source: DICOM PS3.3, C.7.6.3 (pixels and palettes), C.11.1 (modality), C.11.2 (values of interest), C.11.6
(presentation).
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, Jpeg2KImagePlugin, JpegImagePlugin

from regraft.data.formats.dicom_elements import Elements, Table, read_elements
from regraft.data.formats.samples import Samples, Span
from regraft.errors import ImageError

Reals = npt.NDArray[np.float64]
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", _DEFLATED)
_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_NAMES = {
    "1.2.840.10008.1.2.4.51": "JPEG of 12 bits",
    "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS",
    "1.2.840.10008.1.2.4.201": "HTJ2K",
    "1.2.840.10008.1.2.4.202": "HTJ2K",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
}
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
_MOST_FRAMES = 1_000_000
_one_file = threading.Lock()  # filters of warnings belong to the whole process
CheckPixels = Callable[[int, int], None]


@dataclass(frozen=True)
class DicomPicture:
    """One frame of a DICOM file."""

    image: Image.Image | None
    """The frame with 8 bits, where the file or the user says how it is shown."""
    samples: Samples | None
    """Its values otherwise, after the modality's table."""
    width: int
    height: int
    notes: tuple[str, ...]
    group: str
    """Hash of the patient, or else of the study; empty if the file names neither."""


def read_dicom(data: bytes, check: CheckPixels, *, window: Span | None = None) -> DicomPicture:
    """The middle frame of a DICOM file.

    Args:
        data: the whole file.
        check: refuses a width and height in pixels, before anything is decoded.
        window: the values, in the device's unit, that become black and white; None means as the file says.

    Raises:
        ImageError: the file holds no picture, or one that is not read; says what helps.
    """
    with _one_file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(data, check, window)


def _read(data: bytes, check: CheckPixels, window: Span | None) -> DicomPicture:
    elements = read_elements(_inflated_within(data))
    width, height = elements.number("Columns"), elements.number("Rows")
    if not width or not height or not elements.pixels:
        raise ImageError("a DICOM file without an image (no pixel data)")
    check(width, height)
    frames = min(max(1, elements.number("NumberOfFrames", 1)), _MOST_FRAMES)
    frame = frames // 2 if frames > 1 else 0
    notes = [f"{frames:,} frames: the middle one ({frame + 1:,}) is used"] if frames > 1 else []
    values, colours = _decoded(elements, frame, frames)
    if colours == "PALETTE COLOR":
        image: Image.Image | None = _with_palette(values, elements)
        samples = None
    elif values.ndim == 3:
        image, samples = Image.fromarray(_eight_bits(values, elements)), None
    else:
        image, samples = _shown(values, colours, elements, frame, window)
    return DicomPicture(image, samples, width, height, tuple(notes), _group(elements))


def _inflated_within(data: bytes) -> bytes:
    """The file, if what is deflated in it is no larger than a file may be.

    Raises:
        ImageError: it is larger, or the length of its header is not stated.
    """
    if _DEFLATED.encode() not in data[:2048]:
        return data
    if data[132:136] != b"\2\0\0\0" or data[136:138] != b"UL":
        raise ImageError("a deflated DICOM file whose header has no length")
    start, most = 144 + int.from_bytes(data[140:144], "little"), 256 << 20
    engine, rest, total = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    while rest and not engine.eof:
        total += len(engine.decompress(rest, 1 << 20))
        rest = engine.unconsumed_tail
        if total > most:
            raise ImageError(f"a deflated DICOM file of more than {most >> 20} MB")
    return data


def _group(elements: Elements) -> str:
    """A hash that images of one patient share, or of one study where no patient is named."""
    for name in ("PatientID", "StudyInstanceUID"):
        text = elements.text(name)
        if text:
            return hashlib.sha256(f"regraft {name} {text}".encode()).hexdigest()[:24]
    return ""


def _decoded(elements: Elements, frame: int, frames: int) -> tuple[npt.NDArray[Any], str]:
    """One frame, `(H, W)` or `(H, W, 3)`, and what its colours are after decoding.

    Raises:
        ImageError: pixels are stored in a way that is not read.
    """
    from pydicom.pixels import get_decoder

    syntax, colours = elements.syntax, elements.text("PhotometricInterpretation")
    bands, bits = elements.number("SamplesPerPixel", 1), elements.number("BitsAllocated")
    if colours not in (*_GREY, *_COLOURS, "PALETTE COLOR") or bands != (3 if colours in _COLOURS else 1):
        raise ImageError(
            f"a DICOM file of {bands} bands in colours that are not read ({colours or 'none named'})"
        )
    if bits not in (1, 8, 16, 32):
        raise ImageError(f"a DICOM file of {bits} bits for each value; accepted are 1, 8, 16 and 32")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(
            f"a DICOM file in a transfer syntax that is not read ({syntax or 'none named'})"
        ) from None
    stored = elements.number("BitsStored", bits)
    if not decoder.is_available or (syntax == _JPEG[1] and stored > 8 and len(decoder.available_plugins) < 2):
        raise ImageError(
            f"a DICOM file compressed as {_NAMES.get(syntax, syntax)}, which needs another decoder: pip "
            "install python-gdcm"
        )
    _check_frame(elements, frame, frames, bits // 8 * bands)
    values, facts = decoder.as_array(
        elements.pixels, index=frame, rows=elements.number("Rows"), columns=elements.number("Columns"),
        samples_per_pixel=bands, bits_allocated=bits, bits_stored=stored, number_of_frames=frames,
        photometric_interpretation=colours, pixel_representation=elements.number("PixelRepresentation"),
        pixel_keyword="PixelData", pixel_vr=elements.pixels_type,
        planar_configuration=elements.number("PlanarConfiguration"),
    )  # fmt: skip
    return values, str(facts["photometric_interpretation"]) if bands == 3 else colours


def _check_frame(elements: Elements, frame: int, frames: int, pixel_bytes: int) -> None:
    """Refuse compressed pixels that are more than their header says.

    Raises:
        ImageError: says how they differ.
    """
    if elements.syntax in _NATIVE:
        return
    from pydicom.encaps import get_frame

    width, height = elements.number("Columns"), elements.number("Rows")
    try:
        data = get_frame(elements.pixels, frame, number_of_frames=frames)
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise ImageError(f"a DICOM file whose frames can't be found: {error}") from error
    if elements.syntax == _RLE:
        if _unpacked_bytes(data) > 2 * width * height * max(1, pixel_bytes) + 4096:
            raise ImageError(f"a DICOM file whose frame holds more than {width} x {height} pixels")
        return
    reader: Any = (
        JpegImagePlugin.JpegImageFile if data[:2] == b"\xff\xd8" else Jpeg2KImagePlugin.Jpeg2KImageFile
    )
    if elements.syntax in (*_JPEG, *_JPEG_2000) and reader(io.BytesIO(data)).size != (width, height):
        raise ImageError(f"a DICOM file whose compressed frame is not of {width} x {height} pixels")


def _unpacked_bytes(data: bytes) -> int:
    """Number of bytes that a frame of run lengths becomes (PS3.5, annex G): the first 64 are no lengths."""
    total, place = 0, 64
    while place < len(data):
        length = data[place]
        place += 2 if length > 128 else length + 2 if length < 128 else 1
        total += 257 - length if length > 128 else length + 1 if length < 128 else 0
    return total


def _shown(
    values: npt.NDArray[Any], colours: str, elements: Elements, frame: int, window: Span | None
) -> tuple[Image.Image | None, Samples | None]:
    """Grey values as the file or the user says, or else as numbers whose range is that of the data set."""
    measured = _measured(values, elements, frame)
    is_inverted = colours == "MONOCHROME1" or elements.text("PresentationLUTShape") == "INVERSE"
    if window is not None:
        shares: Reals | None = (measured.astype(np.float64) - window[0]) / (window[1] - window[0])
    else:
        shares = _of_interest(measured, elements, frame)
    if shares is None:
        return None, Samples((measured,), _stated(values, measured, elements), is_inverted)
    grey = np.clip(np.rint(255 * np.nan_to_num(shares)), 0, 255).astype(np.uint8)
    return Image.fromarray(255 - grey if is_inverted else grey), None


def _measured(values: npt.NDArray[Any], elements: Elements, frame: int) -> npt.NDArray[Any]:
    """Values in the unit of the device (PS3.3, C.11.1), such as Hounsfield units."""
    table = elements.table("ModalityLUTSequence")
    if table is not None:
        return table.of(values)
    slope = elements.real("RescaleSlope", frame, 1.0)
    intercept = elements.real("RescaleIntercept", frame, 0.0)
    if (slope, intercept) == (1.0, 0.0) or slope == 0:
        return values
    measured = values * slope + intercept
    return measured.astype(np.int32) if slope.is_integer() and intercept.is_integer() else measured


def _stated(values: npt.NDArray[Any], measured: npt.NDArray[Any], elements: Elements) -> Span | None:
    """The range of the stored bits, if there are fewer than the container has and none is a sign."""
    bits = elements.number("BitsStored")
    is_stated = measured is values and values.dtype.kind == "u" and 1 <= bits < 16
    return (0.0, float(2**bits - 1)) if is_stated else None


def _of_interest(values: npt.NDArray[Any], elements: Elements, frame: int) -> Reals | None:
    """Shares of white by the file's first table or window (PS3.3, C.11.2); None if it has neither."""
    table = elements.table("VOILUTSequence")
    if table is not None:
        return table.of(values) / float(2**table.bits - 1)
    centre, width = elements.real("WindowCenter", frame), elements.real("WindowWidth", frame)
    function = elements.text("VOILUTFunction") or "LINEAR"
    if centre is None or width is None or width < 1 or not math.isfinite(centre + width):
        return None
    x = values.astype(np.float64)
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -500, 500))))
    if function == "LINEAR_EXACT":
        return (x - centre) / width + 0.5
    if width == 1:
        return np.asarray(x > centre - 0.5, dtype=np.float64)
    return (x - (centre - 0.5)) / (width - 1) + 0.5


def _eight_bits(values: npt.NDArray[Any], elements: Elements) -> npt.NDArray[np.uint8]:
    """Colours with 8 bits, from as many as are stored."""
    shift = max(0, min(elements.number("BitsStored", 8), 8 * values.dtype.itemsize) - 8)
    return np.ascontiguousarray(np.clip(values >> shift, 0, 255).astype(np.uint8))


def _with_palette(values: npt.NDArray[Any], elements: Elements) -> Image.Image:
    """Colours of a palette (PS3.3, C.7.6.3.1.5).

    Raises:
        ImageError: the palette is missing, or stored in segments.
    """
    tables: list[Table] = []
    for colour in ("Red", "Green", "Blue"):
        table = elements.palette(colour)
        if table is None:
            raise ImageError("a DICOM file whose palette is missing or stored in segments; save it in RGB")
        tables.append(table)
    bands = [table.of(values) >> max(0, table.bits - 8) for table in tables]
    return Image.fromarray(np.ascontiguousarray(np.dstack(bands).astype(np.uint8)))
