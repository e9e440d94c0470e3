"""Three piles of files that the loader refused: no picture, a picture in another format, and damaged."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.data.pictures.file_kinds import (
    ForeignFormat,
    first_bytes,
    foreign_by_content,
    foreign_file,
    is_read,
    is_text,
)
from regraft.data.pictures.side_files import side_file, side_file_by_content
from regraft.data.sources.candidates import Candidate
from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.records import Finding, SkippedFile


@dataclass(frozen=True)
class Piles:
    """The refused files: damaged images, and findings about the others."""

    damaged: tuple[SkippedFile, ...]
    foreign: tuple[Finding, ...]
    """One finding for each format that is not read."""
    ignored: tuple[Finding, ...]


def sorted_out(refused: Sequence[tuple[Candidate, str]]) -> Piles:
    """Sort refused files, each with the loader's reason, by their names and first bytes."""
    damaged: list[SkippedFile] = []
    foreign: dict[ForeignFormat, list[str]] = defaultdict(list)
    ignored: dict[str, list[str]] = defaultdict(list)
    for candidate, reason in refused:
        file = Path(candidate.file)
        data = first_bytes(file)
        kind = foreign_file(file) or foreign_by_content(data)
        note = None if kind else _no_picture(file, data)
        if kind:
            foreign[kind].append(candidate.path)
        elif note:
            ignored[note].append(candidate.path)
        else:
            damaged.append(SkippedFile(candidate.path, reason))
    return Piles(
        tuple(damaged),
        tuple(
            Finding("format", format_text(kind, len(paths)), tuple(paths)) for kind, paths in foreign.items()
        ),
        tuple(
            Finding("ignored", f"files that are no pictures by their content: {note}", tuple(paths))
            for note, paths in ignored.items()
        ),
    )


def format_text(kind: ForeignFormat, count: int) -> str:
    """How many files of a format are not read, and the way out.

    >>> from regraft.data.pictures.file_kinds import JPEG_XL
    >>> format_text(JPEG_XL, 2)
    '2 JPEG XL images are not read; convert to PNG, for example with `djxl IMAGE.jxl IMAGE.png`'
    """
    noun, verb = (kind.name, "is") if count == 1 else (f"{kind.name}s", "are")
    return f"{count:,} {noun} {verb} not read; {kind.way_out}"


def _no_picture(file: Path, data: bytes) -> str | None:
    """What a file is that no evidence speaks for: neither its name nor its content is that of a picture."""
    note = side_file_by_content(data)
    if note or not data or is_read(data):
        return note
    if set(re.findall(r"\.\w+", file.name.lower())) & IMAGE_ENDINGS:
        return None
    return side_file(file.name) or file.suffix or ("text" if is_text(data) else None)
