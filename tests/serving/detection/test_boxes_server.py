"""What a server answers for a detector: boxes and counts, and reasons for what it can't use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.serving.detection.graphs import LABELS, picture
from tests.serving.test_server import Server, form

pytestmark = pytest.mark.children


def test_boxes_are_in_pixels_of_the_picture_and_counted(detector_server: Server) -> None:
    status, body, _ = detector_server.ask("/predict", picture(640, 480))
    assert status == 200
    (row,) = body["predictions"]
    cell = {"label": "cell", "score": 0.75, "x_min": 0, "y_min": 0, "x_max": 320, "y_max": 240}
    crystal = {"label": LABELS[1], "score": 0.375, "x_min": 160, "y_min": 240, "x_max": 640, "y_max": 480}
    assert row == {
        "name": "", "width": 640, "height": 480, "boxes": [cell, crystal],
        "counts": {"cell": 1, LABELS[1]: 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "scores"),
    [
        ("0", [0.75, 0.375, 0.25, 0.03125]),
        ("0.03125", [0.75, 0.375, 0.25, 0.03125]),
        ("0.26", [0.75, 0.375]),
        ("1", []),
    ],
)
def test_one_threshold_replaces_those_of_the_classes(
    detector_server: Server, threshold: str, scores: list[float]
) -> None:
    _, body, _ = detector_server.ask(f"/predict?threshold={threshold}", picture(64, 48, 255))
    (row,) = body["predictions"]
    assert [box["score"] for box in row["boxes"]] == scores
    assert sum(row["counts"].values()) == len(scores)


def test_a_picture_that_lies_on_its_side_is_upright_first(detector_server: Server) -> None:
    _, body, _ = detector_server.ask("/predict", picture(64, 48, orientation=6))
    (row,) = body["predictions"]
    assert (row["width"], row["height"]) == (48, 64)
    assert (row["boxes"][0]["x_max"], row["boxes"][0]["y_max"]) == (24, 32)


def test_many_files_are_answered_in_order(detector_server: Server) -> None:
    files = [picture(64, 48), b"no image", picture(32, 32)]
    status, body, _ = detector_server.ask("/predict", *form(*files))
    rows = body["predictions"]
    assert status == 200
    assert [row["name"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert [row.get("width") for row in rows] == [64, None, 32]
    assert rows[1].keys() == {"name", "error"}


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "image/png", 422, "empty file"),
        (b"no image", "image/png", 422, "not an image of an accepted format"),
        (b"no image", "text/plain", 415, "content-type is text/plain; accepted are"),
        (
            partial(picture, 9_000, 9_000),  # made only where it is sent, as it takes seconds
            "image/png",
            422,
            "9000 x 9000 pixels (81 megapixels), above the limit",
        ),
        (b"x" * 21_000_000, "image/png", 413, ""),
    ],
    ids=["empty", "text", "text type", "huge picture", "huge file"],
)
def test_what_cannot_be_used_gets_a_reason(
    detector_server: Server, body: bytes | Callable[[], bytes], kind: str, status: int, said: str
) -> None:
    found, answer, _ = detector_server.ask("/predict", body() if callable(body) else body, kind)
    assert found == status
    assert said in answer["error"]
    assert detector_server.ask("/healthz")[0] == 200


@pytest.mark.parametrize("value", ["2", "-0.1", "abc", "nan", "inf", "", "0.5&threshold=abc"])
def test_a_wrong_threshold_is_named(detector_server: Server, value: str) -> None:
    status, answer, _ = detector_server.ask(f"/predict?threshold={value}", picture(64, 48))
    assert status == 422
    assert answer["error"].startswith(f"threshold is '{value.split('=')[-1]}': input should be ")


def test_the_card_says_what_the_detector_is(detector_server: Server) -> None:
    _, card, _ = detector_server.ask("/model")
    assert card["task"] == "detection"
    assert card["labels"] == list(LABELS)
    assert card["thresholds"] == [0.5, 0.25]
    assert card["canvas"] == {"width": 96, "height": 64, "channels": 3}


def test_the_interface_is_described_as_it_is(detector_server: Server) -> None:
    _, schema, _ = detector_server.ask("/openapi.json")
    what = schema["paths"]["/predict"]["post"]
    assert [one["name"] for one in what["parameters"]] == ["threshold"]
    assert "AnsweredBox" in schema["components"]["schemas"]
    _, text, _ = detector_server.ask("/docs")
    assert "/predict?threshold=0.5" in text
    assert "neighbours" not in text
    assert "edges in pixels of the upright picture" in text


def test_a_server_of_a_detector_imports_no_torch(detector_server: Server) -> None:
    detector_server.ask("/predict", picture(64, 48))
    maps = Path(f"/proc/{detector_server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not say what a process has loaded")
    loaded = maps.read_text()
    assert "onnxruntime" in loaded
    assert not any(name in loaded for name in ("libtorch", "torchvision", "openvino", "sklearn"))


@pytest.mark.parametrize("examples", [10, pytest.param(20, marks=pytest.mark.soak)])
def test_made_up_requests_find_no_broken_promise(
    examples: int, detector_server: Server, tmp_path: Path
) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{detector_server.url}openapi.json",
            "--max-examples", str(examples), "--seed", "1", "--phases", "coverage,fuzzing", "--no-color",
            "--request-timeout", "30", "--exclude-checks", "positive_data_acceptance",
        ],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert detector_server.ask("/healthz")[0] == 200
    assert done.returncode == 0, done.stdout[done.stdout.find("SUMMARY") :][:3000]
