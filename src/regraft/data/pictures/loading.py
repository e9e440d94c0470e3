"""The guarded loader, from a file's bytes to upright RGB pixels; training, prediction and serving use it.

The order of the checks matters: is it a regular file (a FIFO or device would hang), is it small
enough, does the header name an allowed format, does the header promise an acceptable number of pixels?
Only then is anything decoded. Every failure is an `ImageError` whose text is the reason.

Increase `LOADER_VERSION` with every change that can change pixels: it is part of every cache key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile

from regraft.data.formats.bands import PILLOWS_MOST_BANDS, Layout, layout_of, tiff_samples
from regraft.data.formats.deep_images import is_deep, samples_in, values_of
from regraft.data.formats.dicom import read_dicom
from regraft.data.formats.directories import MAX_PAGES, repaired
from regraft.data.formats.heic import read_heic
from regraft.data.formats.readers import FORMATS, open_image, orientation_of
from regraft.data.formats.samples import Extent, Samples, extent_of, grey_bands, picture_of
from regraft.data.pictures.composition import LARGE_PIXELS, to_rgb
from regraft.data.pictures.file_kinds import foreign_format, reader_of
from regraft.data.pictures.framing import Frame, border_colour, frame_of, needed_side_px
from regraft.data.pictures.guards import LoadLimits as LoadLimits
from regraft.data.pictures.guards import check_header, check_megapixels
from regraft.data.pictures.guards import read_file as read_file
from regraft.errors import ImageError, words_of
from regraft.records import InputSpec, Intensity

LOADER_VERSION = 2

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_TURNS = {  # EXIF 2.32, tag 0x0112: the operation that undoes each orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PHOTOMETRIC = 262
_one_large_image = threading.Lock()  # bounds memory: decoding two 64-megapixel images at once takes 400 MB

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A decoded, upright image, with notes about what was unusual."""

    image: Image.Image
    """The image in RGB."""
    bands: tuple[Image.Image, ...]
    """The image's bands with 8 bits each, if another number of channels than 1 or 3 was requested."""
    format: str
    width: int
    """Width in pixels as stored in the file, before rotation and any reduction while decoding."""
    height: int
    notes: tuple[str, ...]
    extent: Extent | None = None
    """Which values of more than 8 bits became which grey levels; None for images of 8 bits."""
    orientation: int = 1
    """EXIF orientation (1 to 8) of the stored image; the image here is upright."""
    group: str = ""
    """A hash that pictures of one patient share; empty if the file names none."""


def decode(
    data: bytes,
    *,
    min_side_px: int | None = None,
    limits: LoadLimits | None = None,
    channels: int = 3,
    intensity: Intensity | None = None,
) -> Picture:
    """Decode an image to upright RGB, or to another number of bands.

    Args:
        data: a whole file.
        min_side_px: a large image may be decoded at a reduced size whose shorter side is still at least
            this long (3-6 times faster on camera JPEGs); None decodes all pixels.
        limits: see `LoadLimits`.
        channels: 1 and 3 accept any image; other numbers need an image with that many bands (4 for RGBA and
            CMYK) or that many grey pages (TIFF).
        intensity: the range of values that become grey levels, for images of more than 8 bits; None leaves
            each image to what its file states, or what is usual.

    Raises:
        ImageError: the image can't be used; the message is the reason.

    >>> import io; from PIL import Image
    >>> file = io.BytesIO(); Image.new("L", (20, 10), 255).save(file, "PNG")
    >>> decode(file.getvalue()).image.getpixel((0, 0))
    (255, 255, 255)
    """
    limits = limits or LoadLimits()
    try:
        # Pillow raises many kinds of errors for malformed files (OSError, ValueError, SyntaxError,
        # struct.error, IndexError, MemoryError, ...); each is a reason to skip the file, not to stop.
        reader = reader_of(data)
        if reader == "pydicom":
            return _decode_dicom(data, channels, limits, min_side_px, intensity)
        if reader == "pi_heif":
            return _decode_heic(data, channels, limits, min_side_px)
        layout = layout_of(data)
        if layout is not None and _has_many_bands(layout, channels):
            return _decode_bands(data, layout, channels, limits, min_side_px, intensity)
        image, notes = open_image(data, 2 if channels in (1, 3) else MAX_PAGES)
        if layout is not None and _is_beyond_pillow(layout, image, channels):
            return _decode_bands(data, layout, channels, limits, min_side_px, intensity)
        if image is None:
            known = f": {kind}" if (kind := foreign_format(data)) else ""
            raise ImageError(f"not an image of an accepted format ({', '.join(FORMATS)}){known}")
        check_header(image, data, limits)
        if image.width * image.height > LARGE_PIXELS:
            with _one_large_image:
                return _decode_opened(image, data, min_side_px, channels, notes, intensity)
        return _decode_opened(image, data, min_side_px, channels, notes, intensity)
    except ImageError:
        raise
    except Exception as error:  # Pillow and its plugins raise many kinds for damaged files
        raise ImageError(f"can't be decoded: {words_of(error)}") from error


def _decode_dicom(
    data: bytes, channels: int, limits: LoadLimits, min_side_px: int | None, intensity: Intensity | None
) -> Picture:
    _check_colours(channels, "a DICOM file")
    window = intensity.window if intensity else None
    with _one_large_image:
        found = read_dicom(data, lambda width, height: check_megapixels(width, height, limits), window=window)
        extent = extent_of(found.samples, intensity) if found.samples else None
        image = picture_of(found.samples, extent) if found.samples else found.image
        assert image is not None
        rgb = to_rgb(image, _reduction(image, min_side_px))
    return Picture(rgb, (), "DICOM", found.width, found.height, found.notes, extent, group=found.group)


def _decode_heic(data: bytes, channels: int, limits: LoadLimits, min_side_px: int | None) -> Picture:
    _check_colours(channels, "a HEIC photo")
    with _one_large_image:
        image = read_heic(data, lambda width, height: check_megapixels(width, height, limits))
        rgb = to_rgb(image, _reduction(image, min_side_px))
    return Picture(rgb, (), "HEIC", image.width, image.height, ())


def _check_colours(channels: int, noun: str) -> None:
    if channels not in (1, 3):
        raise ImageError(f"{noun}, which is grey or in colour; the network takes {channels} channels")


def _has_many_bands(layout: Layout, channels: int) -> bool:
    """Whether Pillow would not see what a TIFF file holds: more bands than colours, or more than 8 bits."""
    is_paged = channels not in (1, 3) and layout.bands == 1
    return layout.bands > PILLOWS_MOST_BANDS or (layout.is_deep and not is_paged)


def _is_beyond_pillow(layout: Layout, image: Image.Image | None, channels: int) -> bool:
    """Whether Pillow can't read a TIFF file, or only some of the bands that are needed."""
    if image is None:
        return True
    return channels not in (1, 3) and layout.bands == channels != len(image.getbands())


def _decode_bands(
    data: bytes,
    layout: Layout,
    channels: int,
    limits: LoadLimits,
    min_side_px: int | None,
    intensity: Intensity | None,
) -> Picture:
    megapixels = layout.width * layout.height / 1e6
    check_megapixels(layout.width, layout.height, limits)
    if megapixels * layout.bands > 4 * limits.max_megapixels:
        raise ImageError(
            f"{layout.bands} bands of {megapixels:.0f} megapixels each; the limit is "
            f"{4 * limits.max_megapixels:g} megapixels in all"
        )
    if channels not in (1, 3, layout.bands):
        raise ImageError(
            f"a TIFF of {layout.text}; the network takes {channels} channels: fit with --channels "
            f"{layout.bands}, or save {channels} bands"
        )
    with _one_large_image:
        intact, notes = repaired(data)
        if layout.is_deep and layout.pages:
            notes.append(layout.pages)
        samples = tiff_samples(intact, layout, channels, notes)
        extent = extent_of(samples, intensity) if layout.is_deep else None
        image, bands = _seen(samples, extent, channels, min_side_px)
    image = _upright(image, layout.orientation)
    upright = tuple(_upright(band, layout.orientation) for band in bands)
    return Picture(
        image, upright, "TIFF", layout.width, layout.height, tuple(notes), extent, layout.orientation
    )


def _seen(
    samples: Samples, extent: Extent | None, channels: int, min_side_px: int | None
) -> tuple[Image.Image, list[Image.Image]]:
    """Stored values in RGB, and as the bands that a network of other than 1 or 3 channels takes."""
    if channels in (1, 3):
        image = picture_of(samples, extent)
        return to_rgb(image, _reduction(image, min_side_px)), []
    bands = grey_bands(samples, extent)
    bands += [] if samples.alpha is None else [Image.fromarray(samples.alpha)]
    return bands[0].convert("RGB"), bands


def _decode_opened(
    image: ImageFile.ImageFile,
    data: bytes,
    min_side_px: int | None,
    channels: int,
    notes: list[str],
    intensity: Intensity | None,
) -> Picture:
    width, height, format_name = image.width, image.height, image.format or "?"
    is_deep_one = channels in (1, 3) or len(image.getbands()) == channels
    samples = samples_in(image, data) if is_deep_one else _deep_pages(image, channels)
    extent = extent_of(samples, intensity) if samples else None
    if samples is None and channels not in (1, 3):
        bands = list(_bands(image, channels, min_side_px))
        orientation = orientation_of(image, notes)
        upright = tuple(_upright(band, orientation) for band in bands)
        return Picture(
            upright[0].convert("RGB"), upright, format_name, width, height, tuple(notes),
            orientation=orientation,
        )  # fmt: skip
    if getattr(image, "is_animated", False) and channels in (1, 3):
        notes.append("several frames: only the first is used")
    # Pillow turns a TIFF file upright as it loads it.
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) if image.format == "TIFF" else 1
    if samples is not None:
        rgb, bands = _seen(samples, extent, channels, min_side_px)
    else:
        if min_side_px:
            image.draft(None, _draft_size(image, min_side_px))
        image.load()
        rgb, bands = to_rgb(image, _reduction(image, min_side_px)), []
    orientation = orientation_of(image, notes)
    upright_rgb, upright = _upright(rgb, orientation), tuple(_upright(band, orientation) for band in bands)
    return Picture(
        upright_rgb, upright, format_name, width, height, tuple(notes), extent, max(turned, orientation)
    )


def _deep_pages(image: ImageFile.ImageFile, channels: int) -> Samples | None:
    """The values of grey pages of more than 8 bits; None if the first page has 8 bits or there are others."""
    if not is_deep(image) or getattr(image, "n_frames", 1) != channels:
        return None
    size, mode, pages, is_inverted = image.size, image.mode, [], False
    for number in range(channels):
        image.seek(number)
        if image.size != size or image.mode != mode:
            raise ImageError(
                f"page {number + 1} is not a grey image of {size[0]} x {size[1]} pixels like the first"
            )
        is_inverted |= getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
        image.load()
        pages.append(values_of(image))
    return Samples(tuple(pages), is_inverted=is_inverted)


def _bands(image: Image.Image, channels: int, min_side_px: int | None) -> Iterator[Image.Image]:
    """The bands of an image as grey images of 8 bits: its own bands, or its pages."""
    names, pages = image.getbands(), getattr(image, "n_frames", 1)
    reduction = _reduction(image, min_side_px)
    if len(names) == channels:
        for number in range(channels):
            band = image.getchannel(number)
            yield band.reduce(reduction) if reduction > 1 else band
    elif len(names) == 1 and pages == channels:
        size = image.size
        for number in range(channels):
            image.seek(number)
            if image.size != size or len(image.getbands()) != 1 or is_deep(image):
                raise ImageError(f"page {number + 1} is not a grey image of {size[0]} x {size[1]} pixels")
            image.load()
            yield to_rgb(image, reduction).getchannel(0)
    else:
        raise ImageError(
            f"{len(names)} bands ({image.mode}) on {pages} pages; the network takes {channels} channels, so "
            f"{channels} bands or {channels} grey pages are needed"
        )


def _draft_size(image: Image.Image, min_side_px: int) -> tuple[int, int]:
    scale = min_side_px / min(image.size)
    return max(1, int(image.width * scale)), max(1, int(image.height * scale))


def _reduction(image: Image.Image, min_side_px: int | None) -> int:
    """The factor by which an image can be reduced if its shorter side must stay twice `min_side_px`."""
    if not min_side_px or image.width * image.height <= LARGE_PIXELS:
        return 1
    return max(1, min(image.size) // (2 * min_side_px))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def fit_input(picture: Picture, spec: InputSpec) -> Pixels:
    """An image as a network sees it, in the framing of its input: the view called `centre`.

    The result of `crop` equals scaling the shorter side to `size_px / crop_share` and cropping the centre,
    but only the cropped box is resampled, so that a 1 x 20000 image costs no more than any other.

    Returns:
        `(size_px, size_px, channels) uint8`.
    """
    return resampled(picture, spec, frame_of(picture.image.size, spec))


def resampled(picture: Picture, spec: InputSpec, frame: Frame) -> Pixels:
    """A part of an image at a network's input size and number of channels, with borders around it if any.

    Returns:
        `(size_px, size_px, channels) uint8`.
    """
    grey = picture.image.convert("L") if spec.channels == 1 else picture.image
    rule, (width, height) = RESAMPLING[spec.interpolation], frame.size
    parts = [np.asarray(part.resize(frame.size, rule, box=frame.box)) for part in picture.bands or [grey]]
    filled = np.stack(parts, axis=-1) if picture.bands else parts[0]
    filled = filled.reshape(height, width, spec.channels)
    if filled.shape[:2] == (spec.size_px, spec.size_px):
        return filled
    pixels = np.empty((spec.size_px, spec.size_px, spec.channels), dtype=np.uint8)
    pixels[:] = border_colour(spec)
    left, top = frame.place
    pixels[top : top + height, left : left + width] = filled
    return pixels


def load_input(source: str | Path | bytes, spec: InputSpec, limits: LoadLimits | None = None) -> Pixels:
    """Load a file (path or bytes) as a network's input, `(size_px, size_px, channels) uint8`.

    Raises:
        ImageError: the image can't be used; the message is the reason.
    """
    data = source if isinstance(source, bytes) else read_file(source, limits)
    return fit_input(decode_for(data, spec, needed_side_px(spec), limits), spec)


def decode_for(data: bytes, spec: InputSpec, min_side_px: int, limits: LoadLimits | None = None) -> Picture:
    """Decode an image to the number of bands that a network takes; see `decode`."""
    return decode(
        data, min_side_px=min_side_px, limits=limits, channels=spec.channels, intensity=spec.intensity
    )
