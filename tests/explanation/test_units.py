from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import regraft
from regraft.data.pictures.loading import load_input
from regraft.explanation import units
from regraft.explanation.filters import first_filters
from regraft.explanation.gallery import open_gallery
from regraft.explanation.maximisation import maximised
from regraft.explanation.units import exciting_patches, stage_maps
from regraft.networks.zoo.cards import card
from regraft.prediction.graph import ModelGraph, NetworkPart
from regraft.progress import Silent
from regraft.reports.features_page import write_features
from regraft.runs.reading import RunFiles
from tests.browser import Visiting


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units") / "run"
    regraft.fit(digits, network="cifar_resnet20", weights="random", strategy="probe", out=folder)
    return folder


@pytest.fixture(scope="module")
def part(run: Path) -> NetworkPart:
    return ModelGraph(regraft.load_model(run)).eval().first


def noise(count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(count)]


def test_a_unit_feels_no_more_than_its_receptive_field(part: NetworkPart) -> None:
    known = card("cifar_resnet20")
    assert known is not None
    fields = {stage.name: stage.field_px for stage in known.stages}
    for unit in exciting_patches(part, noise(6), ["stem", "layer1"], units=4):
        for patch in unit.patches:
            left, top, right, bottom = patch.box
            assert right - left == bottom - top <= max(8, fields[unit.stage])
            assert patch.pixels.shape == patch.deconvolved.shape == (bottom - top, right - left, 3)


def test_the_first_patch_is_the_most_exciting_place_of_all_images(part: NetworkPart) -> None:
    images = noise(5)
    (unit,) = exciting_patches(part, images, ["stem"], units=1, patches=2)
    with torch.inference_mode():
        maps = part.stages[0](part.normalised(torch.from_numpy(np.stack(images))))[:, unit.channel]
    assert unit.patches[0].image == int(maps.flatten(1).amax(dim=1).argmax())


def test_deconvolution_passes_back_what_is_positive_and_no_more() -> None:
    value = torch.tensor([-1.0, 2.0, -3.0, 4.0], requires_grad=True)
    slopes = {}
    for is_rectified in (True, False):
        with units._Deconvolution(is_rectified=is_rectified):
            out = torch.nn.functional.relu(value)
        assert out.tolist() == [0, 2, 0, 4]  # forward as ever
        (slope,) = torch.autograd.grad((out * torch.tensor([1.0, -1.0, -2.0, 3.0])).sum(), value)
        slopes[is_rectified] = slope.tolist()
    assert slopes == {True: [1, 0, 0, 3], False: [1, -1, -2, 3]}


def test_an_image_made_for_a_unit_excites_it_more_than_any_noise(part: NetworkPart) -> None:
    channels = [3, 7]
    made = maximised(part, "layer2", channels, steps=24, side_px=32)
    with torch.inference_mode():

        def response(images: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> torch.Tensor:
            value = part.normalised(torch.from_numpy(np.stack(images)))
            for stage in part.stages[:3]:
                value = stage(value)
            return value.mean(dim=(2, 3))[:, channels]

        own, others = response(made), response(noise(20))
    assert own[0, 0] > others[:, 0].max()
    assert own[1, 1] > others[:, 1].max()


def test_maps_are_the_stages_own(part: NetworkPart) -> None:
    pixels = noise(1)[0]
    first = stage_maps(part, pixels, count=3)[0]
    with torch.inference_mode():
        value = part.stages[0](part.normalised(torch.from_numpy(pixels[None])))[0]
    expected = value[first.channels[0]]
    stretched = (expected - expected.min()) / (expected.max() - expected.min())
    assert first.shape == (16, 32, 32)
    assert np.allclose(first.maps[0], stretched.numpy(), atol=1e-6)


def test_filters_keep_their_signs(part: NetworkPart) -> None:
    weight = next(m for m in part.stages.modules() if isinstance(m, torch.nn.Conv2d)).weight
    shown = np.stack(first_filters(part)).transpose(0, 3, 1, 2)
    is_clear = weight.abs() > 0.02 * weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    assert ((shown > 127.5) == (weight > 0).numpy())[is_clear.numpy()].all()


def test_an_image_is_its_own_nearest_neighbour(run: Path) -> None:
    files, model = RunFiles(run), regraft.load_model(run)
    gallery = open_gallery(files, model, Silent())
    item = files.training_images[5]
    place = files.image(item.path)
    assert place is not None
    _, row = model.looked_at(load_input(place, model.weights.input_spec))
    nearest = gallery.nearest(row, 3)
    assert nearest[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert nearest[0].label == item.label
    assert [near.similarity for near in nearest] == sorted((n.similarity for n in nearest), reverse=True)


@pytest.mark.browser
def test_the_features_page_opens(run: Path, digits: Path, tmp_path: Path, visiting: Visiting) -> None:
    image = sorted(digits.rglob("*.png"))[0]
    page = write_features(run, image, tmp_path / "features.html", units=2, steps=2)
    with visiting() as visit:
        visit.open(page.as_uri())
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        assert visit.page.locator("h2", has_text="High level: layer3").count() == 1
        assert visit.faults() == []
