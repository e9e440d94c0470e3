"""What a data set's owner should know about its pictures: what the network won't see, and what misleads it.

A scan keeps a few facts of each picture with its thumbnail; the findings are computed from these facts alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.data.findings.duplicates import THUMBNAIL_PX, Ints
from regraft.data.findings.intensity import is_blank
from regraft.data.findings.masks import mask_findings
from regraft.data.pictures.file_kinds import EXTENSIONS
from regraft.data.pictures.loading import Picture
from regraft.data.sources.candidates import Candidate, suffix_of
from regraft.data.sources.labels import class_numbers
from regraft.records import Finding, Intensity

FACTS = np.dtype(
    [
        ("thumbnail", "u1", (THUMBNAIL_PX**2,)),
        ("width", "<i4"),
        ("height", "<i4"),
        ("format", "S8"),
        ("notes", "S240"),
        ("is_blank", "?"),
        ("is_grey", "?"),
        ("lowest", "<f8"),
        ("highest", "<f8"),
        ("low", "<f8"),
        ("high", "<f8"),
        ("stated_black", "<f8"),
        ("stated_white", "<f8"),
        ("is_real", "?"),
        ("is_inverted", "?"),
        ("group", "S24"),
    ]
)
"""What a scan keeps of each picture: its size when it is upright, and NaN as values of pictures of 8 bits.

The thumbnail of a picture of more than 8 bits is in the picture's own range, from `low` to `high`.
"""

WARNED_KINDS = ("blank", "crop", "giveaway", "mask", "range")
"""Kinds of findings that a fit reports as warnings, because they can make its result useless."""

_MIN_SHARE = 0.1  # of the pictures must be long, or it is a matter of a few files
_MIN_SEEN = 0.5  # 2 : 1; a photograph of 16 : 9 shows 56 %
_MAX_BLANK_RANGE, _MAX_BLANK_NOISE = 16, 1.0  # grey levels: a covered lens isn't perfectly black
_MAX_GREY_SPREAD = 12  # between the channels: JPEG leaves traces of colour
_TINY_PX = 8
_MIN_GIVEAWAY = 10  # pictures in the class and in the others


def facts_of(picture: Picture) -> npt.NDArray[np.uint8]:
    """The facts of one picture as the bytes of a row (`FACTS`)."""
    image = picture.image
    row = np.zeros((), dtype=FACTS)
    small = image.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    row["thumbnail"] = np.asarray(small).reshape(-1)
    sides = picture.width, picture.height
    row["width"], row["height"] = (max(sides), min(sides)) if image.width > image.height else sorted(sides)
    row["format"] = picture.format.encode()
    row["notes"] = "; ".join(picture.notes).encode()[:240]
    row["group"] = picture.group.encode()
    row["is_blank"], row["is_grey"] = _is_blank(image), _is_grey(image)
    for name in ("lowest", "highest", "low", "high"):
        row[name] = getattr(picture.extent, name) if picture.extent else math.nan
    row["stated_black"], row["stated_white"] = (picture.extent and picture.extent.stated) or (math.nan,) * 2
    if picture.extent is not None:
        row["is_real"], row["is_inverted"] = picture.extent.is_real, picture.extent.is_inverted
    return np.frombuffer(row.tobytes(), dtype=np.uint8)


def oblong_share(facts: npt.NDArray[Any]) -> float:
    """The share of pictures whose sides differ by more than a pixel in 224, from the rows of a scan.

    >>> sides = [(300, 300), (448, 447), (400, 300), (300, 400)]
    >>> facts = np.array(sides, dtype=[("width", "<i4"), ("height", "<i4")])
    >>> oblong_share(facts)
    0.5
    """
    longer = np.maximum(np.maximum(facts["width"], facts["height"]), 1)
    is_oblong = np.minimum(facts["width"], facts["height"]) < longer * (1 - 1 / 224)
    return float(is_oblong.mean()) if len(facts) else 0.0


def _is_blank(image: Image.Image) -> bool:
    extrema = [image.getchannel(number).getextrema() for number in range(3)]
    if max(high - low for low, high in extrema) > _MAX_BLANK_RANGE:  # type: ignore[operator]
        return False
    return float(np.asarray(image, dtype=np.float32).std(axis=(0, 1)).max()) <= _MAX_BLANK_NOISE


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST))
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]  # a reduction takes 20 times as long
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return int((highest - lowest).max()) <= _MAX_GREY_SPREAD


def picture_findings(
    candidates: Sequence[Candidate], facts: npt.NDArray[Any], intensity: Intensity | None = None
) -> list[Finding]:
    """All findings about usable pictures, one for each kind and text.

    Args:
        candidates: the usable pictures.
        facts: their facts, `(N,)` of `FACTS`.
        intensity: the range of those of more than 8 bits.
    """
    paths = [candidate.path for candidate in candidates]
    labels = [candidate.label for candidate in candidates]
    return [
        *_extensions_and_notes(paths, facts),
        *_blank(paths, is_blank(facts, intensity)),
        *_tiny(paths, facts),
        *_crop(paths, facts),
        *mask_findings(paths, labels),
        *_giveaways(paths, labels, facts),
    ]


def _extensions_and_notes(paths: Sequence[str], facts: npt.NDArray[Any]) -> Iterator[Finding]:
    wrong: dict[str, list[str]] = defaultdict(list)
    notes: dict[str, list[str]] = defaultdict(list)
    formats = facts["format"]
    for name in sorted(EXTENSIONS.keys() & {form.decode() for form in set(formats.tolist())}):
        usual = tuple(EXTENSIONS[name])
        for place in np.flatnonzero(formats == name.encode()).tolist():
            path = paths[place]
            if not path.endswith(usual) and (suffix := suffix_of(path).lower()) not in usual:
                wrong[f"{name} named {suffix or 'without extension'}"].append(path)
    for place in np.flatnonzero(facts["notes"] != b"").tolist():
        for note in filter(None, facts["notes"][place].decode("utf-8", "ignore").split("; ")):
            notes[note].append(paths[place])
    for kind, found in (("extension", wrong), ("note", notes)):
        yield from (Finding(kind, text, tuple(names)) for text, names in sorted(found.items()))


def _chosen(paths: Sequence[str], is_chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(path for path, chosen in zip(paths, is_chosen, strict=True) if chosen)


def _share(chosen: npt.NDArray[np.bool_]) -> str:
    """For example `3 of 80 pictures are`."""
    return f"{int(chosen.sum())} of {len(chosen)} {'picture is' if len(chosen) == 1 else 'pictures are'}"


def _blank(paths: Sequence[str], is_blank: npt.NDArray[np.bool_]) -> Iterator[Finding]:
    if is_blank.any():
        text = f"{_share(is_blank)} of one colour after decoding, so nothing can be seen"
        yield Finding("blank", f"{text}; look at the files, and remove them", _chosen(paths, is_blank))


def _tiny(paths: Sequence[str], facts: npt.NDArray[Any]) -> Iterator[Finding]:
    is_tiny = np.minimum(facts["width"], facts["height"]) <= _TINY_PX
    if is_tiny.any():
        text = f"{_share(is_tiny)} at most {_TINY_PX} pixels wide or high"
        yield Finding("tiny", f"{text}, like placeholders of a failed download", _chosen(paths, is_tiny))


def _crop(paths: Sequence[str], facts: npt.NDArray[Any]) -> Iterator[Finding]:
    width, height = facts["width"].astype(float), facts["height"].astype(float)
    seen = np.minimum(width, height) / np.maximum(np.maximum(width, height), 1)
    is_long = seen < _MIN_SEEN
    if not is_long.any() or is_long.mean() < _MIN_SHARE:
        return
    wide, high = bool((width > height)[is_long].any()), bool((width < height)[is_long].any())
    shape = "much wider than high" if not high else "much higher than wide" if not wide else "long and narrow"
    yield Finding(
        "crop",
        f"{_share(is_long)} {shape}: framed by crop, the network sees at most the central "
        f"{100 * float(np.median(seen[is_long])):.0f} % of each; the ladder measures the other framings, "
        "--framing squeeze and --framing pad show all of it",
        _chosen(paths, is_long),
    )


def _giveaways(paths: Sequence[str], labels: Sequence[str], facts: npt.NDArray[Any]) -> Iterator[Finding]:
    """Properties of files that are constant in a class and absent from the others."""
    names, classes = list(dict.fromkeys(labels)), class_numbers(labels)
    formats = np.ascontiguousarray(facts["format"]).view("<u8")  # are sorted in a quarter of the time
    sizes = facts["width"].astype(np.int64) << 32 | facts["height"]
    subjects: tuple[tuple[str, npt.NDArray[Any], Callable[[Any], str]], ...] = (
        ("file format", formats, lambda row: f"stored as {row['format'].decode()}"),
        ("presence of colour", facts["is_grey"], lambda row: "grey" if row["is_grey"] else "in colour"),
        ("size", sizes, lambda row: f"of {row['width']} x {row['height']} pixels"),
    )
    for subject, column, text_of in subjects:
        _, firsts, values = np.unique(column, return_index=True, return_inverse=True)
        pairs = _given_away(classes, values)
        found = sorted(((names[label], text_of(facts[firsts[value]])) for label, value in pairs), key=str)
        if found:
            named = "; ".join(f"{label} is {value}" for label, value in found[:3])
            more = f"; and {len(found) - 3} more classes" if len(found) > 3 else ""
            first, last = labels.index(found[0][0]), next(n for n, x in enumerate(labels) if x != found[0][0])
            yield Finding(
                "giveaway",
                f"the {subject} tells the class ({named}{more}; other classes are not): a network may "
                "learn it instead of what is shown; store the pictures of all classes in the same way",
                (paths[first], paths[last]),
            )


def _given_away(classes: Ints, values: Ints) -> Iterator[tuple[int, int]]:
    """Classes of which at least 95 % have one value that at most 5 % of the others have."""
    sizes, totals = np.bincount(classes), np.bincount(values)
    pairs, counts = np.unique(classes * len(totals) + values, return_counts=True)
    label, value = np.divmod(pairs, max(len(totals), 1))
    others = len(classes) - sizes[label]
    is_constant = (counts >= 0.95 * sizes[label]) & (totals[value] - counts <= 0.05 * others)
    is_found = is_constant & (np.minimum(sizes[label], others) >= _MIN_GIVEAWAY)
    return zip(label[is_found].tolist(), value[is_found].tolist(), strict=True)
