"""Files that lie next to pictures and are none: notes of operating systems, cameras and tools."""

from __future__ import annotations

import re

_SUFFIXES_LISTED = """
    .txt .md .rst .rtf .csv .tsv .json .jsonl .geojson .xml .xsd .yaml .yml .toml .ini .cfg .conf .properties
    .html .htm .css .js .ts .php .py .pyc .ipynb .r .m .sh .bat .ps1 .c .cpp .java .go .rs .db .sqlite .log
    .parquet .arrow .feather .zip .tar .gz .tgz .bz2 .xz .zst .7z .rar .npz .mat .pkl .pickle .h5 .hdf5 .lmdb
    .mdb .tfrecord .tfrecords .rec .idx .lst .names .data .weights .pt .pth .ckpt .onnx .safetensors .pb
    .tflite .doc .docx .xls .xlsx .ods .odt .ppt .pptx .license .licence .bib .xmp .aae .thm .pp3 .dop .cos
    .on1 .nksc .vrd .modd .moff .ctg .mpl .lnk .url .webloc .desktop .bak .tmp .part .partial .crdownload
    .download .torrent .md5 .sha1 .sha256 .sfv .par2 .dvc .lock .cache .swp .tfw .jgw .pgw .pngw .jpgw .tifw
    .wld .prj .shp .shx .dbf .gpx .kml .kmz .srt .vtt .mp3 .wav .m4a .ogg .flac .exe .dll .so .app .dmg .iso
"""
_NAMES_LISTED = """
    thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini folder.ini zbthumbnail.info icon makefile license
    licence readme copying authors changelog dockerfile _success
"""
_DICOM_DIRECTORY = b"1.2.840.10008.1.3.10"
_SUFFIXES, _NAMES = frozenset(_SUFFIXES_LISTED.split()), frozenset(_NAMES_LISTED.split())
# Windows keeps notes about a file as a stream, `1.jpg:Zone.Identifier`; other systems see it as a file, whose
# colon is written as it is, as U+F03A (WSL), or as an underscore or number sign by archives.
_STREAM = re.compile(
    r"\.[a-z]{3,5}[:\uf03a]\s*([\w.$-]+)|[:\uf03a_#@]?(zone\.identifier)(:\$data)?$", re.IGNORECASE
)


def side_file(name: str) -> str | None:
    """What a file is, by its name, if it can't be a picture: the name of its kind, as a finding lists it.

    >>> [side_file(name) for name in ("1.jpg:Zone.Identifier", "1.jpg.xmp", "._1.jpg", "Thumbs.db", "1.jpg")]
    ['Zone.Identifier', '.xmp', '._*', 'Thumbs.db', None]
    """
    lower = name.lower()
    may_be_stream = ":" in name or "\uf03a" in name or "zone.identifier" in lower
    stream = _STREAM.search(name) if may_be_stream else None
    if stream:
        return stream[1] or stream[2]
    if name.startswith("."):
        known = "._*" if name.startswith("._") else name
        return known if known in ("._*", ".DS_Store", ".gitkeep", ".directory") else "hidden file"
    if lower.strip() in _NAMES:
        return name.strip()
    place = lower.rfind(".")
    suffix = lower[place:] if 0 < place < len(lower) - 1 else ""
    if suffix in _SUFFIXES:
        return suffix
    return "tfevents" if ".tfevents." in name else "~" if name.endswith("~") else None


def side_file_by_content(data: bytes) -> str | None:
    """What a file is, by its first bytes, if they are those of a note that a system keeps about a file."""
    if data[:4] in (b"\0\5\x16\7", b"\0\5\x16\0"):  # AppleDouble and AppleSingle (RFC 1740)
        return "AppleDouble"
    if data[128:132] == b"DICM" and _DICOM_DIRECTORY in data:
        return "DICOMDIR"
    return "Zone.Identifier" if data.lstrip(b"\xef\xbb\xbf").startswith(b"[ZoneTransfer]") else None
