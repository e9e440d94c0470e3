"""Pictures of which a network would see less than their owner does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import regraft
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, picture
from tests.data.formats.test_bands import tiff


def icon(kind: int, number: int) -> Image.Image:
    """A white disc on transparent ground, on the left or on the right."""
    draws = np.random.default_rng([kind, number])
    image = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    radius, x, y = draws.uniform(12, 18), draws.uniform(25, 30) + 40 * kind, draws.uniform(35, 60)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255, 255))
    return image


def strip(kind: int, number: int) -> Image.Image:
    return picture(kind, number, (400, 100))


def lamp(kind: int, number: int) -> Image.Image:
    """Twelve bits kept in sixteen: a field that is bright above or below."""
    draws = np.random.default_rng([kind, number])
    ramp = np.linspace(0, 3000, 64)[:: -1 if kind else 1, None]
    return Image.fromarray((ramp + draws.integers(0, 1000, (64, 64))).astype(np.uint16))


def multispectral(root: Path) -> Path:
    """Five bands of 16 bits; the fifth tells the classes apart."""
    for kind, label in enumerate(("field", "wood")):
        (root / label).mkdir(parents=True)
        for number in range(10):
            bands = np.random.default_rng([kind, number]).integers(0, 60_000, (48, 48, 5)).astype(np.uint16)
            bands[..., 4] //= 1 + 3 * kind
            (root / label / f"{number}.tif").write_bytes(tiff(bands))
    return root


def checked(command: Command, root: Path) -> dict[str, dict[str, Any]]:
    """The findings of `regraft check` by their kind."""
    ran = command("check", root, "--json")
    assert ran.code == 0, ran.text
    return {finding["kind"]: finding for finding in json.loads(ran.out)["findings"]}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_white_icons_can_be_seen_and_are_told_apart(
    tmp_path: Path, regraft_command: Command, mode: str
) -> None:
    draw = {"P": lambda *which: icon(*which).quantize(8)}.get(mode, lambda *which: icon(*which).convert(mode))
    root = folder(tmp_path / "icons", ("left", "right"), count=20, extension=".png", draw=draw)
    assert "blank" not in checked(regraft_command, root)
    ran = regraft_command("predict", _fitted(regraft_command, root), root / "left", root / "right")
    rows = [line.split(",")[:2] for line in ran.out.splitlines()[1:]]
    assert np.mean([label in path for path, label in rows]) > 0.9


def _fitted(command: Command, root: Path, *flags: str) -> Path:
    out = root.parent / "run"
    ran = command("fit", root, *QUICK, *flags, "--out", out)
    assert ran.code == 0, ran.text
    return out


def test_the_owner_of_wide_pictures_learns_how_much_is_seen(tmp_path: Path, regraft_command: Command) -> None:
    root = folder(tmp_path / "strips", draw=strip)
    finding = checked(regraft_command, root)["crop"]
    assert "24 of 24 pictures are much wider than high" in finding["message"]
    assert "central 25 % of each" in finding["message"]
    assert len(finding["paths"]) == 24


def test_twelve_bits_in_sixteen_have_one_range_that_predictions_use_too(
    tmp_path: Path, regraft_command: Command
) -> None:
    root = folder(tmp_path / "lamps", extension=".png", draw=lamp)
    text = "range 0-4,095, because the largest value of 24 images is"
    assert text in checked(regraft_command, root)["intensity"]["message"]
    ran = regraft_command("fit", root, *QUICK, "--out", tmp_path / "run")
    assert "decided range 0-4,095 for images of more than 8 bits" in ran.text.replace("\n", " ")
    facts = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())
    assert facts["input_spec"]["intensity"] == {"whole": [0, 4095], "real": None, "is_each": False}
    dark = Image.fromarray((np.asarray(lamp(0, 99)) // 4).astype(np.uint16))  # alone it would be of ten bits
    model = regraft.load_model(tmp_path / "run")
    expected = model.predict([Image.fromarray((np.asarray(dark) / 4095 * 255).round().astype(np.uint8))])
    assert model.predict([dark]).rows[0].outputs == pytest.approx(expected.rows[0].outputs, abs=1e-6)


def test_blank_frames_are_found(tmp_path: Path, regraft_command: Command) -> None:
    root = folder(tmp_path / "frames")
    for name, colour in (("black", 0), ("white", 255)):
        Image.new("L", (96, 96), colour).save(root / "cat" / f"{name}.jpg")
    assert checked(regraft_command, root)["blank"]["paths"] == ["cat/black.jpg", "cat/white.jpg"]


def test_masks_in_class_folders_are_found(tmp_path: Path, regraft_command: Command) -> None:
    root = folder(tmp_path / "cells")
    for number in range(12):
        mask = picture(3, number).convert("L").point(lambda level: 255 * (level > 128))
        mask.save(root / "cat" / f"{number:03d}_mask.png")
    finding = checked(regraft_command, root)["mask"]
    assert finding["paths"] == [f"cat/{number:03d}_mask.png" for number in range(12)]


@pytest.mark.slow
def test_five_bands_of_sixteen_bits_are_fitted(tmp_path: Path, regraft_command: Command) -> None:
    root = multispectral(tmp_path / "plots")
    assert "5 bands of 16 bits" in checked(regraft_command, root)["note"]["message"]
    ran = regraft_command(
        "predict", _fitted(regraft_command, root, "--channels", "5"), root / "wood" / "0.tif"
    )
    assert ran.out.splitlines()[1].split(",")[1] == "wood"


def test_bands_that_cannot_be_read_are_named(tmp_path: Path, regraft_command: Command) -> None:
    root = multispectral(tmp_path / "plots")
    for path in root.glob("*/*.tif"):
        path.write_bytes(path.read_bytes().replace(b"\x10\0" * 5, b"\x18\0" * 5))
    ran = regraft_command("check", root)
    assert ran.code != 0
    assert "a TIFF of 5 bands of 24 bits, which is not read; save each band as a page" in ran.text
