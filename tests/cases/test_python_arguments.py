"""Wrong kinds of argument in Python are explained, and every usual kind of image is understood."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import regraft
from regraft.errors import DataError, SettingsError
from tests.cases.pictures import folder, picture

pytestmark = pytest.mark.slow

HOW = {"network": "lenet5", "strategy": "probe"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("python") / "photos", extension=".png")


@pytest.fixture(scope="module")
def model(photos: Path) -> regraft.Model:
    return regraft.fit(photos, **HOW)


@pytest.fixture(scope="module")
def classifier(photos: Path) -> regraft.ImageClassifier:
    files = sorted(map(str, photos.rglob("*.png")))
    return regraft.ImageClassifier(**HOW).fit(files, [Path(file).parent.name for file in files])


def opened(image: Image.Image, kind: str = "PNG") -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind)
    file.read()
    return file


PIXELS = np.asarray(picture(0, 3))
SAME: dict[str, Any] = {
    "array": PIXELS,
    "read-only array": np.ascontiguousarray(PIXELS[::-1])[::-1],
    "int64": PIXELS.astype(np.int64),
    "float from 0 to 1": PIXELS / 255,
    "float32": (PIXELS / 255).astype(np.float32),
    "16 bits": PIXELS.astype(np.uint16) * 257,
    "opaque": np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)]),
    "tensor": torch.from_numpy(PIXELS.copy()).permute(2, 0, 1),
    "tensor that learns": (torch.from_numpy(PIXELS / 255).permute(2, 0, 1)).requires_grad_(),
    "picture": picture(0, 3),
    "picture with transparency": picture(0, 3).convert("RGBA"),
    "open file at its end": opened(picture(0, 3)),
    "bytes": opened(picture(0, 3)).getvalue(),
    "bytearray": bytearray(opened(picture(0, 3)).getvalue()),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_image_is_predicted_the_same_in_every_form(
    kind: str, model: regraft.Model, photos: Path
) -> None:
    (expected,) = model.predict(photos / "cat" / "003.png")
    for images in (SAME[kind], [SAME[kind]], (one for one in [SAME[kind]])):
        (found,) = model.predict(images)
        assert np.array_equal(found.probabilities, expected.probabilities)


GREY = np.asarray(picture(0, 3).convert("L"))


@pytest.mark.parametrize(
    "image",
    [
        GREY[..., None], Image.fromarray(GREY), Image.fromarray(GREY.astype(np.int32)), torch.tensor(GREY),
        Image.fromarray(GREY.astype(np.float32)), GREY / 255, GREY.astype(np.uint16) * 257,
        Image.fromarray(GREY.astype(np.uint16) * 257), picture(0, 3).convert("L").convert("LA"),
    ],
    ids=lambda image: f"{type(image).__name__} {getattr(image, 'dtype', getattr(image, 'mode', ''))}",
)  # fmt: skip
def test_grey_images_of_every_type_are_the_same(image: Any, model: regraft.Model) -> None:
    (expected,), (found,) = model.predict(GREY), model.predict([image])
    assert np.allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_a_picture_is_turned_upright_as_its_file_is(model: regraft.Model, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, 5, (96, 64)).save(tmp_path / "turned.png", exif=exif)
    (expected,) = model.predict(tmp_path / "turned.png")
    (found,) = model.predict(Image.open(tmp_path / "turned.png"))
    assert np.array_equal(found.probabilities, expected.probabilities)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "HSV", "LAB", "PA", "RGBX", "La", "I;16B"])
def test_pictures_of_every_mode_are_predicted(mode: str, model: regraft.Model) -> None:
    image = Image.new("I;16B", (40, 40), 900) if mode == "I;16B" else None
    image = image or (picture(0, 3).convert("LA" if mode in ("La", "PA") else "RGB")).convert(mode)
    assert len(model.predict([image, image])) == 2


def test_folders_lists_and_data_sets_stand_for_their_images(model: regraft.Model, photos: Path) -> None:
    several = sorted(map(str, (photos / "cat").iterdir()))
    assert [row.path for row in model.predict(photos / "cat")] == several
    assert len(model.predict([photos / "dog", several[0]])) == 13
    assert len(model.predict(np.array(several))) == len(model.predict(iter(several))) == 12
    assert len(model.predict(regraft.load_images(photos))) == 24
    assert len(model.predict(np.stack([PIXELS] * 4))) == len(model.predict(torch.zeros(4, 3, 40, 40))) == 4
    assert len(model.predict(np.stack([GREY] * 5))) == 5


def test_nothing_is_left_out_without_a_reason(model: regraft.Model, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("no image")
    given = [tmp_path / "empty", tmp_path / "text.jpg", "gone.png", "a\0b.png", b"GIF89a", b""]
    found = model.predict(given)
    assert len(found) == 0
    assert len(found.skipped) == 6
    assert found.skipped[0].reason == "a folder that holds no images" or all(f.reason for f in found.skipped)
    assert len(model.predict([])) == len(model.predict([]).skipped) == 0


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "images is None; accepted are paths"),
        (7, r"images is 7 \(int\)"),
        ({"a.png": 1}, "images is a dict"),
        (["a.png", {"path": "b.png"}], r"images\[1\] is a dict"),
        ([["a.png"]], r"images\[0\] is a list"),
        ([PIXELS, None], r"images\[1\] is None"),
        (np.zeros((3, 40, 50), np.uint8)[None], r"shape \(3, 40, 50\) .*array.transpose\(1, 2, 0\)"),
        ([PIXELS - 300.0], r"images\[0\] .*shape \(96, 96, 3\) and type float64 with values from"),
        ([np.full((4, 4), np.nan)], "values from nan to nan"),
        (torch.randn(2, 3, 8, 8), "Undo a normalisation"),
        ([io.StringIO("text")], "open as text"),
        ([b"a.png".decode, "x"], r"images\[0\] is a builtin_function_or_method"),
        ("", "images is empty"),
        ([np.zeros((0, 4), np.uint8)], r"shape \(0, 4\)"),
    ],
    ids=[*map(str, range(14))],
)
def test_what_is_no_image_is_named_with_its_place(images: Any, said: str, model: regraft.Model) -> None:
    with pytest.raises(DataError, match=said):
        model.predict(images)


CODES = [0] * 12 + [1] * 12


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.eye(2)[CODES], r"labels of shape \(24, 2\).*one label for each image.*y.argmax\(axis=1\)"),
        (np.array(CODES)[:, None], r"labels of shape \(24, 1\).*y.ravel\(\)"),
        ([[0, 1], [0]] * 12, "y is a list; accepted is one label for each image"),
        ([0.0, np.nan] * 12, r"12 of 24 labels are missing \(None or NaN\), the first at position 1"),
        (["a", None] * 12, "12 of 24 labels are missing"),
        ([float(n) / 7 for n in range(24)], "20 of 24 labels are numbers with decimals"),
        (np.array([1, "a"] * 12, dtype=object), "of several kinds"),
        ([{}, set()] * 12, "none that is accepted"),
        ("ab" * 12, "y is 'abab"),
        (None, "y is None"),
        ([b"a", b"b"] * 12, "none that is accepted"),
    ],
    ids=str,
)
def test_labels_of_another_shape_or_kind_are_refused(labels: Any, said: str, photos: Path) -> None:
    with pytest.raises(DataError, match=said):
        regraft.ImageClassifier(**HOW).fit(sorted(map(str, photos.rglob("*.png"))), labels)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(CODES, dtype=bool), np.array(CODES, dtype=np.int8), [float(code) for code in CODES],
        ["é" if code else "e\u0301" for code in CODES], ["a " if code else "a" for code in CODES],
        np.array(["x", "y"], dtype=object)[CODES],
    ],
    ids=["bool", "int8", "whole floats", "two spellings", "blanks", "objects"],
)  # fmt: skip
def test_labels_come_back_as_they_were_given(labels: Any, photos: Path) -> None:
    files = sorted(map(str, photos.rglob("*.png")))
    fitted = regraft.ImageClassifier(**HOW).fit(files, labels)
    assert fitted.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    assert set(fitted.predict(files).tolist()) <= set(fitted.classes_.tolist())


def test_repeated_images_count_as_often_as_they_occur(photos: Path, tmp_path: Path) -> None:
    files = sorted(map(str, photos.rglob("*.png")))
    copies = []
    for place, file in enumerate(files[:6]):
        copies.append(str(tmp_path / f"{place}.png"))
        Path(copies[-1]).write_bytes(Path(file).read_bytes())
    labels = [Path(file).parent.name for file in files]
    twice = regraft.ImageClassifier(**HOW).fit(files + files[:6], labels + labels[:6])
    copied = regraft.ImageClassifier(**HOW).fit(files + copies, labels + labels[:6])
    assert np.array_equal(twice.predict_proba(files), copied.predict_proba(files))


@pytest.mark.parametrize("bad", ["gone.png", "text.png", "."])
def test_an_image_that_cant_be_read_stops_the_classifier(bad: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    files = sorted(map(str, photos.rglob("*.png")))
    labels = [Path(file).parent.name for file in files]
    with pytest.raises(DataError, match=rf"1 of 25 images can't be used; the first is .*{bad}: "):
        regraft.ImageClassifier(**HOW).fit([*files, str(tmp_path / bad)], [*labels, "cat"])


def test_flat_rows_are_no_images(classifier: regraft.ImageClassifier) -> None:
    assert classifier.predict_proba([]).shape == (0, 2)
    with pytest.raises(DataError, match=r"X is an array of shape \(5, 64\); rows of numbers are not images"):
        classifier.predict(np.zeros((5, 64)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strategy": "prob"}, r"^strategy is 'prob' \(did you mean probe\?\); accepted are auto, probe"),
        ({"strategy": 3}, r"^strategy is 3 \(int\); accepted are auto"),
        ({"seed": "1"}, r"^seed is '1'; accepted is a whole number"),
        ({"seed": True}, r"^seed is True \(bool\)"),
        ({"test_share": 2}, r"^test_share 2 is out of range; accepted are 0 to 0.9"),
        ({"network": 50}, r"^network is 50 \(int\); accepted is text or None"),
        ({"votes": "no"}, r"^votes is 'no'; accepted is True or False"),
        ({"strategy": "full", "epochs": 2.5}, r"^epochs is 2.5 \(float\)"),
        ({"strategy": "full", "optimizer": "adam"}, r"^optimizer is 'adam' \(did you mean adamw"),
        ({"lr": 0.1}, r"^lr has no effect: strategy probe does not train"),
        ({"settings": {"strategy": "svm"}}, r"^settings is a dict; accepted are FitSettings and None"),
        ({"data": "photos"}, r"^data is 'photos'; accepted are DataSettings"),
        ({"plan": 3}, r"^plan is 3 \(int\)"),
        ({"from_run": 3}, r"^from_run is 3 \(int\)"),
        ({"out": 3}, r"^out is 3 \(int\)"),
        ({"reporter": print}, r"^reporter is a builtin_function_or_method"),
        ({"budget": "1m"}, r"^budget 1m limits the ladder \(strategy auto\)"),
    ],
    ids=str,
)
def test_messages_name_settings_as_python_does(wrong: dict[str, Any], said: str, photos: Path) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        regraft.fit(photos, **{**HOW, **wrong})
    assert "--" not in str(raised.value)


def test_the_command_line_names_flags(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from regraft.cli.app import run

    assert run(["fit", str(photos), "--strategy", "probe", "--lr", "0.1"]) == 2
    assert "error: --lr has no effect: --strategy probe does not train" in capsys.readouterr().err


def test_numbers_of_numpy_and_paths_are_settings(photos: Path, tmp_path: Path) -> None:
    fit = regraft.FitSettings(seed=np.int64(3), test_share=np.float32(0.25), weights=tmp_path, cut=2)  # type: ignore[arg-type]
    assert (fit.seed, fit.test_share, fit.weights, fit.cut) == (3, 0.25, str(tmp_path), "2")
    assert regraft.TrainSettings(time_limit=60, effective_batch=np.int32(8)).time_limit == "60"  # type: ignore[arg-type]


@pytest.mark.parametrize("images", [["a.png"], PIXELS, None, 3, b"photos", "", "a\0b"], ids=str)
def test_what_is_no_data_set_is_named(images: Any) -> None:
    for function in (regraft.load_images, regraft.fit, regraft.advise):
        with pytest.raises(DataError, match=r"^(source|images) is "):
            function(images)
