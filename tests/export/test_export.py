from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

import regraft
from regraft.cli.app import run as command
from regraft.data.pictures.loading import Picture, fit_input
from regraft.errors import BundleError, ExportError, NoImagesError, SettingsError
from regraft.export import export
from regraft.export.export import Exported, export_model
from regraft.export.graphs import crop_graph
from regraft.export.kinds import made_kinds
from regraft.export.parity import try_example
from regraft.prediction.onnx_graph import saved
from regraft.prediction.onnx_model import OnnxModel
from regraft.progress import Silent
from regraft.records import InputSpec, Interpolation
from regraft.runs.model_files import open_files
from regraft.serving import package, packing
from regraft.serving.classification import packing as classifier_packing
from regraft.serving.package import open_package
from tests.conftest import DigitsRun

pytestmark = pytest.mark.slow

WAYS = {"probe": "probe", "svm": "many-stages", "vote": "climbed"}

# 376 and 377 rows of 300 are on the two sides of where Pillow changes the order of its passes for 224 pixels.
SIZES = [(300, 400), (37, 53), (224, 224), (1000, 333), (376, 300), (377, 300), (9, 700), (3000, 64)]


@pytest.fixture(scope="module")
def runs(digits: Path, digits_run: DigitsRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    colour = tmp_path_factory.mktemp("exported") / "colour"
    regraft.fit(digits, out=colour, network="lenet5", channels=3, strategy="svm")
    return {"colour": colour} | {way: digits_run(name).folder for way, name in WAYS.items()}


@pytest.fixture(scope="module")
def exported(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """What an export to ONNX leaves, made once for each run: tracing takes ten processor seconds."""
    return cache(lambda way: export_model(runs[way], tmp_path_factory.mktemp(way)))


@pytest.fixture
def traced(exported: Callable[[str], Exported], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Exports start from the graph that `exported` has traced: tracing is most of their time."""

    def use(way: str) -> None:
        graph = exported(way).file
        monkeypatch.setattr(export, "_write_onnx", lambda _model, path, _facts: shutil.copy(graph, path))

    return use


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("rule", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_graph_crops_as_the_loader_does_to_the_bit(rule: Interpolation, channels: int) -> None:
    one = (0.5,) * channels
    spec = InputSpec(interpolation=rule, channels=channels, crop_share=0.9, mean=one, std=one)
    session = onnxruntime.InferenceSession(saved(crop_graph(spec)))
    for size in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
        (found,) = session.run(None, {"images": pixels})
        for number in range(2):
            picture = Picture(Image.fromarray(pixels[number]), (), "PNG", *size, ())
            assert np.array_equal(found[number], fit_input(picture, spec)), size


@pytest.mark.parametrize("way", [*WAYS, "colour"])
def test_the_file_says_what_the_model_says(
    runs: dict[str, Path], exported: Callable[[str], Exported], way: str, digits: Path
) -> None:
    done = exported(way)
    assert done.parity.images >= 32
    assert done.parity.largest_difference <= 1e-4
    assert done.parity.agreement == 1
    files = sorted(digits.rglob("*.png"))[::25]
    theirs, ours = (
        regraft.load_model(done.folder).predict(files),
        regraft.load_model(runs[way]).predict(files),
    )
    assert isinstance(regraft.load_model(done.folder), OnnxModel)
    gaps = [np.abs(a.probabilities - b.probabilities).max() for a, b in zip(theirs, ours, strict=True)]
    assert max(gaps) <= 1e-4
    assert [row.label for row in theirs] == [row.label for row in ours]


def test_a_batch_says_what_single_images_say(exported: Callable[[str], Exported]) -> None:
    model = OnnxModel(exported("colour").file)
    images = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)
    together = model.outputs(images)
    alone = np.concatenate([model.outputs(image[None]) for image in images])
    assert np.abs(together - alone).max() < 1e-6


def test_it_is_the_same_file_again_and_names_no_place_on_this_machine(
    runs: dict[str, Path], exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    first = exported("probe").file.read_bytes()
    files = open_files(runs["probe"])
    export._write_onnx(files.model, tmp_path / "again.onnx", export._facts(files))
    assert first == (tmp_path / "again.onnx").read_bytes()
    assert b"site-packages" not in first
    assert b"/src/" not in first


def test_an_export_whose_answers_differ_is_refused_and_nothing_is_left(
    runs: dict[str, Path], traced: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced("probe")
    right = OnnxModel.outputs
    monkeypatch.setattr(OnnxModel, "outputs", lambda self, images: right(self, images)[:, ::-1])
    with pytest.raises(ExportError, match=r"differs from the model on 64 of the run"):
        export_model(runs["probe"], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_int8_says_what_it_costs(
    runs: dict[str, Path], traced: Callable[[str], None], tmp_path: Path
) -> None:
    traced("colour")
    done = export_model(runs["colour"], tmp_path, int8=True)
    assert done.quantised is not None
    assert done.quantised.int8 is not None
    assert 0.3 < (done.quantised.int8.value or 0) <= 1
    assert "accuracy at int8" in (tmp_path / "README.md").read_text()
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(str(done.file)).graph.node)
    assert OnnxModel(done.file).labels == ("5", "6", "7")


def test_openvinos_file_says_the_same(
    runs: dict[str, Path], traced: Callable[[str], None], tmp_path: Path
) -> None:
    traced("svm")
    pytest.importorskip("openvino", reason="the extra regraft[openvino] is not installed")
    done = export_model(runs["svm"], tmp_path, to="openvino")
    assert done.parity.largest_difference <= 1e-4
    assert (tmp_path / "model.bin").exists()


def test_safetensors_hold_the_network_and_the_head_by_name(runs: dict[str, Path], tmp_path: Path) -> None:
    import safetensors

    done = export_model(runs["probe"], tmp_path, to="safetensors")
    model = regraft.load_model(runs["probe"])
    assert not isinstance(model, OnnxModel)
    with safetensors.safe_open(done.file, "np") as file:
        facts = json.loads(file.metadata()["regraft"])
        assert np.array_equal(file.get_tensor("head.weights"), model.head.arrays["weights"])
        with safetensors.safe_open(model.weights.path, "np") as network:
            assert set(network.keys()) <= set(file.keys())
    assert facts["labels"] == ["5", "6", "7"]


@pytest.mark.children
def test_the_example_runs_with_numpy_pillow_and_onnxruntime_alone(
    exported: Callable[[str], Exported], digits: Path, tmp_path: Path
) -> None:
    image = sorted((digits / "6").glob("*.png"))[0]
    code = (
        "import sys, runpy; program = sys.argv.pop(); runpy.run_path(program, run_name='__main__'); "
        "heavy = {'torch', 'timm', 'regraft'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(image), str(exported("probe").folder / "example.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(f"{image}: 6 ")


@pytest.mark.children
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "return scaled(image, intensity).convert",
            "return image.convert",
            "an image of the kind grey of 16 bits",
        ),
        ("turn = TURNS", "turn = {}", "an image of the kind JPEG of a camera held upright"),
        ("import json", "import jsonn", "example.py fails: ModuleNotFoundError"),
    ],
    ids=["cut off", "not turned", "broken"],
)
def test_an_example_that_decodes_otherwise_is_refused(
    exported: Callable[[str], Exported], tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    shutil.copy(exported("probe").file, tmp_path)
    text = (exported("probe").folder / "example.py").read_text()
    assert right in text
    (tmp_path / "example.py").write_text(text.replace(right, wrong))
    with pytest.raises(ExportError, match=said):
        try_example(tmp_path / "example.py", made_kinds(1), {})


@pytest.mark.children
def test_what_only_regraft_decodes_is_listed(exported: Callable[[str], Exported], tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "PNG")
    black = file.getvalue()
    program = exported("probe").folder / "example.py"
    trial = try_example(program, {"black": black}, {"bands": b"?", "also black": black})
    assert (trial.images, trial.unread) == (2, ("bands",))


@pytest.mark.children
def test_an_exported_model_is_used_without_torch(exported: Callable[[str], Exported], digits: Path) -> None:
    code = (
        "import sys, regraft; m = regraft.load_model(sys.argv[1]); print(m.predict(sys.argv[2])[0].label); "
        "heavy = {'torch', 'timm', 'torchvision', 'openvino'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    image = sorted((digits / "7").glob("*.png"))[0]
    words = [sys.executable, "-c", code, str(exported("probe").folder), str(image)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "7"


def test_the_command_predicts_with_an_exported_file(
    runs: dict[str, Path],
    exported: Callable[[str], Exported],
    digits: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    file = exported("svm").file
    capfdbinary.readouterr()
    images = [str(path) for path in sorted(digits.rglob("*.png"))[::90]]
    answers = []
    for model in (str(file), str(runs["svm"])):
        assert command(["predict", model, *images]) == 0
        answers.append(capfdbinary.readouterr().out.decode().splitlines())
    labels = [[line.split(",")[1] for line in lines] for lines in answers]
    assert labels[0] == labels[1]
    assert command(["predict", str(file), images[0], "--precision", "bf16"]) == 2


def test_the_card_escapes_what_names_could_do(exported: Callable[[str], Exported]) -> None:
    from regraft.export.model_card import _plain

    assert _plain("<img onerror=x>|[a](b)") == "\\<img onerror=x\\>\\|\\[a\\](b)"
    card = (exported("probe").folder / "README.md").read_text()
    for part in ("## Accuracy", "95 %", "licence", "(the data set had none)", "on 64 of the run's images"):
        assert part in card


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        (
            {"to": "openvino", "int8": True},
            SettingsError,
            "int8 works only for the format onnx, not for openvino",
        ),
        ({"run": "gone"}, SettingsError, "holds no finished run and no saved model"),
        ({"to": "safetensors", "images": ["x.png"]}, SettingsError, "images has no effect"),
        ({"images": ["gone.png"]}, NoImagesError, r"none of 1 files can be read.*gone\.png: can't be opened"),
        ({"data": "gone"}, SettingsError, "data gone does not exist"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    runs: dict[str, Path], how: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        export_model(**{"run": runs["probe"], **how})  # type: ignore[arg-type]


def test_a_graph_from_elsewhere_is_no_model(exported: Callable[[str], Exported], tmp_path: Path) -> None:
    file = exported("probe").file
    graph = onnx.load(str(file))
    del graph.metadata_props[:]
    onnx.save(graph, str(tmp_path / "other.onnx"))
    (tmp_path / "no.onnx").write_bytes(b"pickle")
    for name, said in (
        ("other.onnx", "contains no labels"),
        ("no.onnx", "not a graph"),
        ("gone.onnx", "is not a file"),
    ):
        with pytest.raises(BundleError, match=said):
            regraft.load_model(tmp_path / name)


@pytest.fixture
def packed_here(
    exported: Callable[[str], Exported],
    warm_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packages are made in this process, from a graph that is traced already, for one test alone."""
    assert not (warm_cache / "serving").exists()
    graph = onnx.load(str(exported("probe").file))
    monkeypatch.setattr(classifier_packing, "core_graph", lambda _model: graph)
    monkeypatch.setattr(package, "_make_apart", packing.pack)


@pytest.mark.usefixtures("packed_here")
def test_a_run_with_other_scores_is_packed_anew(runs: dict[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(runs["probe"], tmp_path / "run")
    first = open_package(run, Silent())
    scores = json.loads((run / "scores.json").read_text())
    scores["test"]["accuracy"]["value"] = 0.5
    (run / "scores.json").write_text(json.dumps(scores))
    assert first.facts["accuracy"]["value"] != 0.5
    assert open_package(run, Silent()).facts["accuracy"]["value"] == 0.5


@pytest.mark.usefixtures("packed_here")
def test_images_that_are_found_again_are_packed_anew(
    runs: dict[str, Path], digits: Path, tmp_path: Path
) -> None:
    (tmp_path / "5").mkdir()
    gone, back = (open_package(runs["probe"], Silent(), data) for data in (tmp_path, digits))
    shutil.copytree(digits, tmp_path, dirs_exist_ok=True)
    here = open_package(runs["probe"], Silent(), tmp_path)
    assert not any(gone.thumbnails)
    assert all(back.thumbnails)
    assert here.thumbnails == back.thumbnails


@pytest.mark.usefixtures("packed_here")
def test_a_saved_model_is_packed_without_scores_and_neighbours(runs: dict[str, Path], tmp_path: Path) -> None:
    found = open_package(shutil.copytree(runs["probe"] / "bundle", tmp_path / "model"), Silent())
    assert found.task.outputs == ("5", "6", "7")
    assert (found.facts["accuracy"], found.facts["strategy"], found.facts["neighbours"]) == (None, None, 0)
    assert len(found.places) == len(found.neighbours) == len(found.thumbnails) == 0
