from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LoadLimits, Pixels, load_input
from regraft.errors import ImageError
from regraft.features import extraction
from regraft.features.extraction import Features, decode_while_waiting, extract, input_decoding
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.runtimes import Row, Runtime
from regraft.networks.weights.finding import Weights, find_weights
from regraft.records import InputSpec, SkippedFile
from regraft.storage.places import cache_folder
from regraft.storage.upkeep import prune
from regraft.workflow.check import load_images


class Counting(OpenVinoRuntime):
    """Counts the images that the network saw."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.seen = 0

    def run(self, images: Iterable[tuple[str, Pixels]]) -> Iterator[tuple[str, Row]]:  # type: ignore[override]
        for pair in super().run(images):
            self.seen += 1
            yield pair


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, session_cache: Path, tmp_path: Path) -> Weights:
    """LeNet, converted once for the session; features go to a cache of the test's own."""
    found = find_weights("lenet5")
    OpenVinoRuntime(found)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "networks").symlink_to(session_cache / "networks")
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "cache"))
    return found


def extracted(images: Images, weights: Weights) -> tuple[Features, int]:
    runtime = Counting(weights)
    return extract(images, runtime, weights.input_spec), runtime.seen


def test_a_second_extraction_runs_no_network(weights: Weights, photos: Path) -> None:
    images = load_images(photos)
    assert extracted(images, weights)[1] == 24
    assert extracted(images, weights)[1] == 0


def test_only_changed_images_are_computed_again(weights: Weights, photos: Path) -> None:
    extracted(load_images(photos), weights)
    (photos / "dark" / "0.png").write_bytes((photos / "light" / "0.png").read_bytes() + b"\0")
    renamed = photos / "dark" / "renamed.png"
    (photos / "dark" / "1.png").rename(renamed)
    assert extracted(load_images(photos), weights)[1] == 1


def test_a_file_that_changes_during_the_run_is_listed(weights: Weights, photos: Path) -> None:
    images = load_images(photos)
    (photos / "dark" / "0.png").write_bytes((photos / "light" / "0.png").read_bytes())
    (photos / "dark" / "1.png").unlink()
    features, _ = extracted(images, weights)
    reasons = {file.path: file.reason for file in features.skipped}
    assert reasons["dark/0.png"] == "changed while it was read"
    assert "No such file" in reasons["dark/1.png"]


def test_an_image_that_could_not_be_used_keeps_its_reason(
    weights: Weights, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = load_images(photos)
    bad = (photos / "dark" / "0.png").read_bytes()
    tried: list[str] = []

    def refusing(data: bytes, spec: InputSpec, limits: LoadLimits) -> Pixels:
        if data == bad:
            tried.append("once more")
            raise ImageError("a crack in the glass")
        return load_input(data, spec, limits)

    monkeypatch.setattr(extraction, "load_input", refusing)
    first, second = extracted(images, weights), extracted(images, weights)
    assert [features.skipped for features, _ in (first, second)] == [
        (SkippedFile("dark/0.png", "a crack in the glass"),)
    ] * 2
    assert (first[1], second[1], len(tried)) == (23, 0, 1)


def test_inputs_decoded_while_waiting_are_used_and_equal(weights: Weights, photos: Path) -> None:
    images = load_images(photos)
    opening: Future[Runtime] = Future()
    decoding = input_decoding(images, weights.input_spec, LoadLimits())
    ready = decode_while_waiting(decoding, weights.input_spec, opening)
    assert len(ready) == 24
    runtime = OpenVinoRuntime(weights)
    keys = list(ready)
    early = extract(images, runtime, weights.input_spec, decoded=ready)
    assert ready == {}
    before = early.matrix(keys, early.layout)
    assert prune(cache_folder(), 0) > 0
    late = extract(images, runtime, weights.input_spec)
    assert np.array_equal(late.matrix(keys, late.layout), before)


def test_nothing_is_decoded_for_a_runtime_that_is_ready(weights: Weights, photos: Path) -> None:
    opening: Future[Runtime] = Future()
    opening.set_result(OpenVinoRuntime(weights))
    decoding = input_decoding(load_images(photos), weights.input_spec, LoadLimits())
    assert decode_while_waiting(decoding, weights.input_spec, opening) == {}


def test_matrix_gives_the_columns_asked_for(weights: Weights, photos: Path) -> None:
    images = load_images(photos)
    features, _ = extracted(images, weights)
    keys = [item.sha256 for item in images.items]
    whole = features.matrix(keys, features.layout)
    chosen = [features.layout[1], features.layout[-1]]
    parts = [whole[:, column.start : column.stop] for column in chosen]
    assert np.array_equal(features.matrix(keys, chosen), np.concatenate(parts, axis=1))
    assert whole.dtype == np.float32
