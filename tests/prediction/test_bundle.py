from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.errors import BundleError
from regraft.records import HeadKind
from tests.conftest import DigitsRun


@pytest.fixture
def model(digits_run: DigitsRun) -> regraft.Model:
    return digits_run("many-stages").model


@pytest.fixture
def bundle(model: regraft.Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "bundle")


def some(digits: Path) -> list[Path]:
    return sorted(digits.rglob("*.png"))[::20]


def test_a_loaded_model_predicts_the_same(model: regraft.Model, bundle: Path, digits: Path) -> None:
    images = some(digits)
    before, after = model.predict(images), regraft.load_model(bundle).predict(images)
    assert [row.label for row in before] == [row.label for row in after]
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("head", ["ridge", "logistic", "linear-svm", "rbf-svm", "centroid", "head2toe"])
def test_runtimes_agree_to_five_digits(digits: Path, tmp_path: Path, head: HeadKind) -> None:
    folder = regraft.fit(digits, network="lenet5", head=head, strategy="svm").save(tmp_path / "bundle")
    images = some(digits)
    one = regraft.load_model(folder).predict(images, runtime="openvino")
    other = regraft.load_model(folder).predict(images, runtime="torch")
    worst = max(np.abs(a.probabilities - b.probabilities).max() for a, b in zip(one, other, strict=True))
    assert worst <= 1e-5


def test_bytes_predict_like_their_file(model: regraft.Model, digits: Path) -> None:
    path = some(digits)[0]
    by_path, by_bytes = model.predict(path)[0], model.predict(path.read_bytes())[0]
    assert np.array_equal(by_path.probabilities, by_bytes.probabilities)


def test_order_is_kept_and_bad_files_are_listed(model: regraft.Model, digits: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    images = some(digits)
    found = model.predict([images[2], bad, images[0], "gone.png"])
    assert [row.path for row in found] == [str(images[2]), str(images[0])]
    assert [file.path for file in found.skipped] == [str(bad), "gone.png"]


@pytest.mark.children
def test_loading_imports_neither_torch_nor_scikit_learn(bundle: Path) -> None:
    code = (
        "import sys, regraft; regraft.load_model(sys.argv[1]); "
        "sys.exit(bool({'torch', 'timm', 'sklearn', 'openvino'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(bundle)], check=False).returncode == 0


@pytest.mark.parametrize("name", ["head.safetensors", "network.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_bundle_is_refused(bundle: Path, name: str, damage: str) -> None:
    path = bundle / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    if damage == "flip":
        path.write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name} is missing or damaged"):
        regraft.load_model(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "schema_version"),
        ({"labels": ["only one"]}, "labels"),
        ({"labels": ["x" * 300, "y"]}, "labels"),
        ({"extra": 1}, "extra"),
        ({"loader_version": 99}, "loader version 99, this is"),
        ({"files": {"head.safetensors": "../../etc/passwd"}}, "files"),
    ],
    ids=["schema", "labels", "long label", "unknown field", "loader", "hash"],
)
def test_a_hostile_record_is_refused(bundle: Path, change: dict[str, object], message: str) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(BundleError, match=message):
        regraft.load_model(bundle)


def test_arrays_that_do_not_fit_the_record_are_refused(bundle: Path) -> None:
    import safetensors.numpy

    from regraft.storage.files import sha256_of_file

    arrays = safetensors.numpy.load_file(bundle / "head.safetensors")
    safetensors.numpy.save_file({**arrays, "mean": arrays["mean"][:-1]}, bundle / "head.safetensors")
    record = json.loads((bundle / "bundle.json").read_text())
    record["files"]["head.safetensors"] = sha256_of_file(bundle / "head.safetensors")
    (bundle / "bundle.json").write_text(json.dumps(record))
    with pytest.raises(BundleError, match=r"mean has shape"):
        regraft.load_model(bundle)


def test_no_model_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model at .*bundle.json"):
        regraft.load_model(tmp_path)


def test_a_bundle_moves(bundle: Path, tmp_path: Path, digits: Path) -> None:
    moved = shutil.move(bundle, tmp_path / "elsewhere")
    assert len(regraft.load_model(moved).predict(some(digits))) == len(some(digits))
