from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import regraft
from regraft.data.pictures.loading import load_input
from regraft.errors import SettingsError
from regraft.explanation.maps import Method, attention_rollout, heat_map, randomised
from regraft.heads.head import Head
from regraft.prediction.graph import HeadGraph, ModelGraph, NetworkPart
from regraft.prediction.model import Model
from regraft.records import Column, HeadRecord

pytestmark = pytest.mark.slow

CLASS_METHODS: tuple[Method, ...] = ("grad-cam", "grad-cam++", "occlusion", "integrated-gradients")
_PATCH = 8


def with_shortcut(root: Path) -> Path:
    """Noise, and on one class a bright striped patch somewhere: nothing else tells the classes apart."""
    generator = np.random.default_rng(0)
    for label in ("patch", "plain"):
        (root / label).mkdir(parents=True)
        for number in range(60):
            pixels = generator.integers(0, 60, (28, 28), dtype=np.uint8)
            if label == "patch":
                top, left = generator.integers(0, 28 - _PATCH, 2)
                pixels[top : top + _PATCH, left : left + _PATCH] = 255
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    root = with_shortcut(tmp_path_factory.mktemp("shortcut"))
    return regraft.fit(root, network="cifar_resnet20", weights="random", strategy="probe"), root


def patched(place: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = np.random.default_rng(1).integers(0, 60, (32, 32, 3), dtype=np.uint8)
    pixels[place[0] : place[0] + 9, place[1] : place[1] + 9] = 255
    return pixels


@pytest.mark.parametrize(
    "place",
    [
        (2, 20),
        (19, 19),
        *(pytest.param(place, marks=pytest.mark.soak) for place in [(2, 2), (20, 3), (11, 11)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["grad-cam", "occlusion", "integrated-gradients"])
def test_a_planted_shortcut_is_what_is_found(
    trained: tuple[Model, Path], method: Method, place: tuple[int, int]
) -> None:
    model, _ = trained
    if method == "integrated-gradients":
        pytest.importorskip("captum", reason="the extra regraft[explain] is not installed")
    found = heat_map(ModelGraph(model).eval(), patched(place), model.labels.index("patch"), method)
    inside = np.zeros((32, 32), bool)
    inside[max(0, place[0] - 3) : place[0] + 12, max(0, place[1] - 3) : place[1] + 12] = True
    assert inside.ravel()[found.values.argmax()]
    assert found.values[inside].mean() > 1.5 * found.values[~inside].mean()


@pytest.mark.parametrize("method", CLASS_METHODS)
def test_maps_have_the_inputs_size_and_range(trained: tuple[Model, Path], method: Method) -> None:
    if method == "integrated-gradients":
        pytest.importorskip("captum", reason="the extra regraft[explain] is not installed")
    found = heat_map(ModelGraph(trained[0]).eval(), patched((5, 5)), 0, method)
    assert found.values.shape == (32, 32)
    assert found.values.dtype == np.float32
    assert 0 <= found.values.min() <= found.values.max() <= 1


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++"])
def test_other_weights_give_another_map(trained: tuple[Model, Path], method: Method) -> None:
    """The sanity check of Adebayo et al. 2018: a map that ignores the weights explains nothing."""
    model, _ = trained
    graph, label = ModelGraph(model).eval(), model.labels.index("patch")
    correlations = []
    for number in range(6):
        pixels = patched((3 * number, 18 - 3 * number))
        before = heat_map(graph, pixels, label, method).values
        with randomised(graph.first, seed=number):
            after = heat_map(graph, pixels, label, method).values
        again = heat_map(graph, pixels, label, method).values
        assert np.array_equal(before, again)
        if after.any():
            correlations.append(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert np.median(correlations or [0.0]) < 0.6


class OneStage(NetworkPart):
    """A known activation, and a logistic head on the means of its channels."""

    def __init__(self, activation: torch.Tensor, weights: torch.Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.names, self.read = ("s",), {"s"}
        self.stages = torch.nn.ModuleList([Constant(activation)])
        width = activation.shape[1]
        columns = (Column(stage="s", statistic="mean", start=0, stop=width),)
        arrays = {"mean": np.zeros(width), "scale": np.ones(width), "weights": weights.numpy()}
        record = HeadRecord(kind="logistic", columns=columns, hyperparameters={})
        head = Head(record, {**arrays, "intercepts": np.zeros(weights.shape[1])})
        self.heads, self.columns = torch.nn.ModuleList([HeadGraph(head)]), [columns]

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        return images.float()


class Constant(torch.nn.Module):
    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.value


def test_grad_cam_is_the_class_activation_map_where_the_head_reads_means() -> None:
    """With pooled means and a linear head, Grad-CAM is CAM (Zhou et al. 2016): the weighted sum of maps."""
    generator = torch.Generator().manual_seed(0)
    activation = torch.rand(1, 5, 8, 8, generator=generator)
    weights = torch.randn(5, 3, generator=generator)
    graph = ModelGraph.__new__(ModelGraph)
    torch.nn.Module.__init__(graph)
    graph.parts = torch.nn.ModuleList([OneStage(activation, weights)])
    found = heat_map(graph, np.zeros((8, 8, 3), np.uint8), 1, "grad-cam", stage="s").values
    cam = torch.einsum("chw,c->hw", activation[0], weights[:, 1]).clamp_min(0).numpy()
    assert np.allclose(found, cam / cam.max(), atol=1e-5)


def test_a_vit_is_explained(photos: Path) -> None:
    model = regraft.fit(
        photos, network="vit_tiny_patch16_224", weights="random", strategy="probe", image_size=64,
        runtime="torch",
    )  # fmt: skip
    pixels = load_input(sorted(photos.rglob("*.png"))[0], model.weights.input_spec)
    # the class token, which the head reads, no longer sees the patches after the last block
    for method, stage in (("rollout", ""), ("grad-cam", "blocks.10"), ("occlusion", "")):
        found = heat_map(ModelGraph(model).eval(), pixels, 0, method)  # type: ignore[arg-type]
        assert found.values.shape == (64, 64), method
        assert found.stage == stage, method


@pytest.mark.parametrize(
    ("strategy", "kind"),
    [
        *(("svm", kind) for kind in ("ridge", "logistic", "rbf-svm", "linear-svm", "centroid")),
        ("many-stages", "logistic"),
        ("many-stages", "rbf-svm"),
        *(
            pytest.param("many-stages", kind, marks=pytest.mark.soak)
            for kind in ("ridge", "linear-svm", "centroid")
        ),
    ],
)
def test_the_graph_says_what_the_model_says(digits: Path, kind: str, strategy: str) -> None:
    model = regraft.fit(digits, network="lenet5", strategy=strategy, head=kind)
    files = sorted(digits.rglob("*.png"))[::40]
    pixels = np.stack([load_input(file, model.weights.input_spec) for file in files])
    with torch.inference_mode():
        found = ModelGraph(model).eval()(torch.from_numpy(pixels)).numpy()
    expected = np.stack([row.probabilities for row in model.predict(files)])
    assert np.abs(found - expected).max() < 1e-4
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize(
    ("method", "stage", "said"),
    [
        ("rollout", None, "this network has no attention"),
        ("grad-cam", "layer9", "stage 'layer9' is not read by this model; accepted are "),
        ("guided", None, "unknown method 'guided'; accepted are grad-cam"),
    ],
)
def test_what_does_not_fit_is_refused(
    trained: tuple[Model, Path], method: Method, stage: str | None, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        heat_map(ModelGraph(trained[0]).eval(), patched((5, 5)), 0, method, stage=stage)


def test_rollout_follows_attention_by_hand() -> None:
    """Two blocks of known attention: the product of (A + I) / 2, first row, without the class token."""
    calls = iter([torch.tensor([[0.2, 0.8, 0, 0, 0]] + [[1.0, 0, 0, 0, 0]] * 4)] * 2)

    class Block(torch.nn.Module):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            logits = torch.log(next(calls).clamp_min(1e-30))
            query, key = logits[None, None], torch.eye(5)[None, None]
            torch.nn.functional.scaled_dot_product_attention(query, key, key, scale=1.0)
            return value

    class Part(NetworkPart):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.blocks = torch.nn.ModuleList([Block(), Block()])

        def normalised(self, images: torch.Tensor) -> torch.Tensor:
            return images.float()

        def features(self, value: torch.Tensor) -> dict[tuple[str, str], torch.Tensor]:
            for block in self.blocks:
                value = block(value)
            return {}

    found = attention_rollout(Part(), np.zeros((8, 8, 3), np.uint8))
    assert found[0, 0] == 1.0  # all that flows in comes through the first patch
    assert found[-1, -1] == 0.0
