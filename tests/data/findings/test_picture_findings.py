from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings.picture_findings import FACTS, facts_of, picture_findings
from regraft.data.pictures.loading import decode
from regraft.data.sources.candidates import Candidate
from regraft.records import Finding
from tests.corpus import encoded, picture

File = tuple[str, Image.Image]


def found(kind: str, *files: File, **options: object) -> list[Finding]:
    """The findings of a kind about pictures; their paths name the labels and the formats."""
    candidates = [Candidate(path, path, path.split("/")[0]) for path, _ in files]
    rows = []
    for path, image in files:
        name = {"jpg": "JPEG", "tif": "TIFF"}.get(path.rsplit(".")[-1], "PNG")
        rows.append(facts_of(decode(encoded(image, name, **options), min_side_px=64)))
    facts = np.concatenate(rows).view(FACTS)
    return [finding for finding in picture_findings(candidates, facts) if finding.kind == kind]


def several(label: str, image: Image.Image, count: int = 12, extension: str = "png") -> list[File]:
    return [(f"{label}/{number}.{extension}", image) for number in range(count)]


@pytest.mark.parametrize("colour", ["black", "white", (16, 128, 3)], ids=str)
@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_pictures_of_one_colour_are_blank(colour: str, extension: str) -> None:
    files = [(f"a/1.{extension}", Image.new("RGB", (99, 99), colour)), ("b/2.png", picture())]
    (finding,) = found("blank", *files)
    assert finding.paths == (f"a/1.{extension}",)
    assert finding.message.startswith("1 of 2 pictures are of one colour")


def test_a_covered_lens_is_blank_and_a_faint_picture_is_not() -> None:
    noise = np.random.default_rng(0).normal(12, 0.7, (64, 64)).round().astype(np.uint8)
    faint = np.add.outer(np.zeros(64), np.linspace(100, 110, 64)).astype(np.uint8)
    (finding,) = found(
        "blank", ("a/noise.png", Image.fromarray(noise)), ("b/faint.png", Image.fromarray(faint))
    )
    assert finding.paths == ("a/noise.png",)


def test_a_small_dot_makes_a_picture_that_is_not_blank() -> None:
    image = Image.new("L", (200, 200), 0)
    image.paste(255, (90, 90, 110, 110))
    assert not found("blank", ("a/dot.png", image), ("b/1.png", picture()))


def test_wide_pictures_of_which_most_is_cropped_are_found() -> None:
    (finding,) = found("crop", *several("a", picture(400, 100)), *several("b", picture(100, 100)))
    assert finding.message.startswith("12 of 24 pictures are much wider than high: framed by crop, the")
    assert "central 25 % of each" in finding.message
    assert len(finding.paths) == 12


def test_pictures_that_exif_data_turns_are_higher_than_wide() -> None:
    exif = Image.Exif()
    exif[274] = 6
    (finding,) = found("crop", *several("a", picture(400, 100)), exif=exif)
    assert "much higher than wide" in finding.message


@pytest.mark.parametrize("size", [(160, 90), (90, 160), (200, 100)], ids=str)
def test_photographs_of_the_usual_shapes_are_not_found(size: tuple[int, int]) -> None:
    assert not found("crop", *several("a", picture(*size)))


def test_a_few_long_pictures_among_many_are_not_found() -> None:
    assert not found("crop", *several("a", picture(400, 100), 2), *several("b", picture(100, 100), 22))


@pytest.mark.parametrize(
    "name", ["1_mask.png", "1-mask.png", "1_seg.png", "1.mask.png", "1_GT.png", "1_label.png", "1_mask_2.png",
             "1_annotation.png", "1 (mask).png"],
)  # fmt: skip
def test_masks_next_to_pictures_are_found(name: str) -> None:
    (finding,) = found("mask", ("a/1.jpg", picture()), (f"a/{name}", picture()), ("b/2.jpg", picture()))
    assert finding.paths == (f"a/{name}",)


@pytest.mark.parametrize("name", ["a/unmask.png", "a/2_mask.png", "b/1_mask.png", "a/1_maskray.png"])
def test_pictures_that_only_sound_like_masks_are_not_found(name: str) -> None:
    assert not found("mask", ("a/1.jpg", picture()), (name, picture()))


def test_a_class_of_masks_is_found() -> None:
    files = [(f"{label}/{number}.png", picture()) for label in ("images", "masks") for number in range(5)]
    (finding,) = found("mask", *files)
    assert finding.message.startswith("class masks seems to hold the masks")


def test_masks_that_are_classes_of_their_own_are_not_found() -> None:
    files = [
        (f"{label}/{label} {number}.png", picture()) for label in ("face", "mask") for number in range(5)
    ]
    assert not found("mask", *files)


def test_placeholders_are_found() -> None:
    (finding,) = found("tiny", ("a/1.png", Image.new("RGB", (1, 1))), ("b/2.png", picture(28, 28)))
    assert finding.paths == ("a/1.png",)


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (
            several("a", picture(), 12, "jpg"),
            several("b", picture()),
            "file format tells the class (a is",
        ),
        (
            several("a", picture()),
            several("b", picture().convert("L")),
            "presence of colour tells the class",
        ),
        (
            several("a", picture(60, 50)),
            several("b", picture(61, 50)),
            "size tells the class (a is of 60 x 50",
        ),
    ],
    ids=["format", "colour", "size"],
)
def test_what_gives_a_class_away_is_found(one: list[File], other: list[File], text: str) -> None:
    (finding,) = found("giveaway", *one, *other)
    assert text in finding.message


def test_few_pictures_or_mixed_classes_give_nothing_away() -> None:
    few = several("a", picture(), 9, "jpg") + several("b", picture(), 9)
    mixed = several("a", picture(), 10, "jpg") + several("a", picture(), 2) + several("b", picture(), 12)
    assert not found("giveaway", *few)
    assert not found("giveaway", *mixed)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("name", ["brain_mri", "cherry_hemlock", "trash6"])
def test_real_data_sets_raise_no_false_alarm(shared: object, name: str) -> None:
    from regraft.data.findings.picture_findings import WARNED_KINDS
    from regraft.data.findings.scan import scan
    from regraft.data.images import find_images

    images = scan(find_images(shared(f"data/{name}")))  # type: ignore[operator]
    assert not [finding.message for finding in images.findings if finding.kind in (*WARNED_KINDS, "tiny")]
