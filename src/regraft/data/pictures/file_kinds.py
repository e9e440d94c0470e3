"""What a file is, by its name and its first bytes: a picture, a picture in another format, or no picture.

Names are only a first guess: a phone may call a JPEG `1.heic`, and a scanner leaves DICOM files without an
extension. So a file is called foreign by its name only where its first bytes are not those of a format that
is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from regraft.data.archives.places import find_inside
from regraft.errors import ImageError

EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "WEBP": {".webp"},
    "BMP": {".bmp", ".dib"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
    "AVIF": {".avif", ".avifs"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
}
"""The extensions of the formats that are read, by Pillow's names of the formats."""
HEADER_BYTES = 1024
"""How many bytes from the beginning of a file are enough to recognise it."""


@dataclass(frozen=True)
class ForeignFormat:
    """A kind of pictures or videos that is not read."""

    name: str
    """One file of this kind, as a noun without article."""
    way_out: str
    """How to get images that are read, as a command to the user."""


def _magick(extension: str) -> str:
    return f"convert to JPEG or PNG, for example with `magick mogrify -format png *.{extension}`"


_FRAMES = "save single frames as images, for example with `ffmpeg -i VIDEO -vf fps=1 frame-%05d.png`"
_VOLUME = "save slices as 8-bit or 16-bit PNG, for example with the Python library nibabel"
HEIC = ForeignFormat(
    "HEIC photo",
    "install what reads them, with pip install 'regraft[heic]', or convert to JPEG, for example with "
    "`magick mogrify -format jpg *.heic`",
)
RAW = ForeignFormat("camera RAW photo", "develop into JPEG or TIFF, for example with darktable-cli")
DICOM = ForeignFormat(
    "DICOM file",
    "install what reads them, with pip install 'regraft[medical]', or save as 8-bit or 16-bit PNG, for "
    "example with dcm2img of DCMTK",
)
_READERS = {HEIC: "pi_heif", DICOM: "pydicom"}
"""Formats that are read where a library is installed."""
VIDEO = ForeignFormat("video", _FRAMES)
JPEG_XL = ForeignFormat("JPEG XL image", "convert to PNG, for example with `djxl IMAGE.jxl IMAGE.png`")
JPEG_2000 = ForeignFormat("JPEG 2000 image", _magick("jp2"))
JPEG_XR = ForeignFormat("JPEG XR image", _magick("jxr"))
PHOTOSHOP = ForeignFormat("Photoshop file", _magick("psd"))
SVG = ForeignFormat("SVG drawing", "render as PNG, for example with `inkscape --export-type=png *.svg`")
EPS = ForeignFormat("EPS drawing", _magick("eps"))
PDF = ForeignFormat("PDF document", "extract the pictures, for example with `pdfimages -png FILE.pdf NAME`")
NIFTI = ForeignFormat("NIfTI volume", _VOLUME)
NUMPY = ForeignFormat("NumPy array", "save as PNG or TIFF, for example with Pillow's Image.fromarray")
ICON = ForeignFormat("icon file", _magick("ico"))
TARGA = ForeignFormat("Targa image", _magick("tga"))
EXR = ForeignFormat("OpenEXR image", _magick("exr"))
RADIANCE = ForeignFormat("Radiance HDR image", _magick("hdr"))
FITS = ForeignFormat(
    "FITS image", "scale to 8-bit or 16-bit PNG, for example with the Python library astropy"
)
GIMP = ForeignFormat("GIMP file", "export as PNG from GIMP")
DDS = ForeignFormat("DDS texture", _magick("dds"))
NRRD = ForeignFormat("NRRD volume", _VOLUME.replace("nibabel", "SimpleITK"))
OTHER = {
    name: ForeignFormat(f"{name} image", _magick(name.lower())) for name in ("QOI", "BPG", "FLIF", "PCX")
}
DJVU = ForeignFormat("DjVu document", "save the pages as images, for example with `ddjvu -format=tiff`")
METAFILE = ForeignFormat("Windows metafile", _magick("wmf"))

_BY_SUFFIX: dict[str, ForeignFormat] = {
    suffix: kind
    for kind, suffixes in (
        (HEIC, "heic heif heics heifs hif"),
        (RAW, "cr2 cr3 crw nef nrw arw srf sr2 dng raf orf rw2 pef srw x3f raw rwl 3fr iiq erf mrw"),
        (DICOM, "dcm dicom dic"),
        (VIDEO, "mp4 m4v mov avi mkv webm wmv flv mpg mpeg mts m2ts 3gp 3g2 ogv vob lrv insv"),
        (JPEG_XL, "jxl"),
        (JPEG_2000, "jp2 j2k jpf jpx jpm jpc j2c"),
        (JPEG_XR, "jxr wdp hdp"),
        (PHOTOSHOP, "psd psb"),
        (SVG, "svg svgz"),
        (EPS, "eps ai ps"),
        (PDF, "pdf"),
        (NIFTI, "nii nii.gz mgz mgh"),
        (NUMPY, "npy"),
        (ICON, "ico icns cur"),
        (TARGA, "tga"),
        (EXR, "exr"),
        (FITS, "fits fit fts"),
        (GIMP, "xcf"),
        (DDS, "dds"),
        (NRRD, "nrrd nhdr mha mhd"),
        (DJVU, "djvu djv"),
        (METAFILE, "wmf emf"),
        *((kind, name.lower()) for name, kind in OTHER.items()),
    )
    for suffix in suffixes.split()
}  # fmt: skip
_LAST_PARTS = frozenset(suffix.rpartition(".")[2] for suffix in _BY_SUFFIX)

_BY_START: tuple[tuple[int, bytes, ForeignFormat], ...] = (
    (128, b"DICM", DICOM),
    (344, b"n+1\0", NIFTI),
    (344, b"ni1\0", NIFTI),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (0, b"\xff\x4f\xff\x51", JPEG_2000),
    (0, b"II\xbc\x01", JPEG_XR),
    (0, b"8BPS", PHOTOSHOP),
    (0, b"%PDF", PDF),
    (0, b"%!PS", EPS),
    (0, b"\xc5\xd0\xd3\xc6", EPS),
    (8, b"CR\x02", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"FOVb", RAW),
    (0, b"\0MRM", RAW),
    (6, b"HEAPCCDR", RAW),
    (8, b"AVI LIST", VIDEO),
    (0, b"\x1aE\xdf\xa3", VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", VIDEO),
    (0, b"FLV\x01", VIDEO),
    (0, b"\0\0\x01\xba", VIDEO),
    (0, b"\0\0\x01\xb3", VIDEO),
    (0, b"\x93NUMPY", NUMPY),
    (0, b"\0\0\x01\0", ICON),
    (0, b"icns", ICON),
    (0, b"DDS ", DDS),
    (0, b"v/1\x01", EXR),
    (0, b"#?RADIANCE", RADIANCE),
    (0, b"#?RGBE", RADIANCE),
    (0, b"SIMPLE  =", FITS),
    (0, b"gimp xcf", GIMP),
    (0, b"NRRD000", NRRD),
    (0, b"AT&TFORM", DJVU),
    (0, b"\xd7\xcd\xc6\x9a", METAFILE),
    (0, b"qoif", OTHER["QOI"]),
    (0, b"BPG\xfb", OTHER["BPG"]),
    (0, b"FLIF", OTHER["FLIF"]),
)
_DOCUMENTS = frozenset({PDF, SVG, EPS, DJVU, NUMPY})
_HEIC_BRANDS = frozenset(b"heic heix hevc hevx heim heis hevm hevs mif1 msf1".split())
_READ = (
    b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6",
)  # fmt: skip


@cache
def _has_reader(kind: ForeignFormat) -> bool:
    """Whether the library is installed that reads a format."""
    return kind in _READERS and find_spec(_READERS[kind]) is not None


def reader_of(data: bytes) -> str | None:
    """The installed library that reads a file which Pillow does not; None for all others."""
    kind = _known_by_content(data[:HEADER_BYTES])
    return _READERS[kind] if kind is not None and _has_reader(kind) else None


def foreign_by_content(data: bytes) -> ForeignFormat | None:
    """The format of a file by its first bytes, if it is a known one that is not read here."""
    kind = _known_by_content(data)
    return None if kind is not None and _has_reader(kind) else kind


def _known_by_content(data: bytes) -> ForeignFormat | None:
    if data[4:8] == b"ftyp":
        return _foreign_brand(data)
    for place, start, kind in _BY_START:
        if data.startswith(start, place):
            return kind
    return (
        SVG if re.match(rb"\s*(<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE svg[^>]*>|\s)*<svg\b", data, re.S) else None
    )


def _foreign_brand(data: bytes) -> ForeignFormat | None:
    """The format of a file of the MP4 family (ISO/IEC 14496-12), by the brands that it names."""
    length = int.from_bytes(data[:4], "big")
    brands = [data[place : place + 4] for place in (8, *range(16, min(length, len(data)), 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return None
    if brands[0] == b"crx ":
        return RAW
    return HEIC if brands[0] in _HEIC_BRANDS else VIDEO


def is_read(data: bytes) -> bool:
    """Whether the first bytes are those of a format that is read here."""
    if reader_of(data):
        return True
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    is_avif = data[4:8] == b"ftyp" and _foreign_brand(data) is None
    return is_webp or is_avif or (data.startswith(_READ) and foreign_by_content(data) is None)


def is_image(data: bytes) -> bool:
    """Whether a file's content begins as that of pictures or videos does, in a format that is read or not.

    >>> is_image(b"GIF89a..."), is_image(b"path,label"), is_image(b"BMI,age")
    (True, False, False)
    """
    head = data[:HEADER_BYTES]
    foreign = foreign_by_content(head)
    if foreign is not None:
        return foreign not in _DOCUMENTS
    is_word = head[:1] in (b"B", b"P") and is_text(head) and not re.match(rb"P[1-6]\s", head)
    return is_read(head) and not is_word


def is_image_name(name: str) -> bool:
    """Whether a file's extension is that of pictures or videos, in a format that is read or not.

    >>> is_image_name("a.JPG"), is_image_name("IMG_1.heic"), is_image_name("plot.svg"), is_image_name("a.csv")
    (True, True, False, False)
    """
    foreign = foreign_by_name(name)
    is_known = any(Path(name).suffix.lower() in endings for endings in EXTENSIONS.values())
    return is_known or (foreign is not None and foreign not in _DOCUMENTS)


def foreign_file(file: str | Path) -> ForeignFormat | None:
    """The format of a file whose name has the extension of a format that is not read.

    None for other names, and where the first bytes are those of a format that is read. The TIFF header of a
    camera's RAW file is no such case: only a small preview can be read from it.
    """
    kind = foreign_by_name(os.path.basename(file))
    if kind is None:
        return None
    data = first_bytes(Path(file))
    found = foreign_by_content(data)
    is_preview = kind is RAW and data[:2] in (b"II", b"MM")
    return found or (kind if is_preview or not is_read(data) else None)


def foreign_by_name(name: str) -> ForeignFormat | None:
    """The format that a file's extension stands for, if it is one that is not read."""
    suffix = name[name.rfind(".") + 1 :].lower()
    if suffix not in _LAST_PARTS:  # the names of most files
        return None
    parts = name.lower().split(".")[1:]
    return _BY_SUFFIX.get(".".join(parts[-2:])) or _BY_SUFFIX.get(parts[-1]) if parts else None


def first_bytes(file: Path) -> bytes:
    """The first bytes of a regular file, or of a file in an archive; none if it can't be read."""
    try:
        if not file.is_file():
            inside = find_inside(file)
            return inside.read(HEADER_BYTES) if inside else b""
        with file.open("rb") as opened:
            return opened.read(HEADER_BYTES)
    except (OSError, ImageError):
        return b""


def foreign_format(data: bytes) -> str | None:
    """What a file is that could not be identified as an image, and the way out; None if that is unknown.

    >>> foreign_format(b"8BPS" + bytes(100))
    'Photoshop file; convert to JPEG or PNG, for example with `magick mogrify -format png *.psd`'
    """
    head = data[:HEADER_BYTES]
    kind = foreign_by_content(head)
    if kind is not None:
        return f"{kind.name}; {kind.way_out}"
    return next((text for is_such, text in _TEXTS if is_such(head)), None)


def is_text(data: bytes) -> bool:
    """Whether the first bytes of a file are printable text."""
    text = data.decode("utf-8", "ignore")
    return (
        bool(data) and len(text.encode()) >= len(data) - 3 and not re.search(r"[\0-\x08\x0e-\x1a\x7f]", text)
    )


_TEXTS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (
        lambda data: data.startswith(b"version https://git-lfs"),
        "pointer of Git LFS to an image; run `git lfs pull` to get the image itself",
    ),
    (
        lambda data: b"annex/objects/" in data[:200],
        "pointer of git-annex to an image; run `git annex get .` to get the image itself",
    ),
    (
        lambda data: re.match(rb"\s*(<!doctype html|<html|<head)", data, re.IGNORECASE) is not None,
        "HTML page, perhaps of a failed download; download the image again",
    ),
)
