from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from regraft.cli.app import run
from regraft.networks.architectures.building import build
from regraft.networks.zoo.cards import cards


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Ran:
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return call


def names(ran: Ran) -> list[str]:
    return [json.loads(line)["name"] for line in ran.out.splitlines()]


def test_the_table_is_sorted_and_filtered(command: Callable[..., Ran]) -> None:
    ran = command("zoo", "--max-params", "5M", "--license", "commercial", "--sort", "parameters", "--json")
    found = names(ran)
    assert found[0] == "lenet5"
    assert "mobilenetv1_100" in found
    assert "cifar_resnet20" not in found  # nobody publishes its weights
    sizes = [cards()[name].parameters for name in found]
    assert sizes == sorted(sizes)
    assert max(sizes) <= 5e6
    assert set(names(command("zoo", "--family", "inception", "--json"))) == {
        "inception_v3",
        "inception_v4",
        "inception_resnet_v2",
    }


def test_weights_at_hand_are_found(command: Callable[..., Ran]) -> None:
    assert names(command("zoo", "--at-hand", "--json")) == ["lenet5", "tf_efficientnet_lite0"]


def test_a_network_is_shown_as_a_tree(command: Callable[..., Ran]) -> None:
    out = command("zoo", "show", "resnet50").out
    lines = [line for line in out.splitlines() if "layer3" in line]
    assert lines[0].split()[1:5] == ["layer3", "1024x14x14", "1,024", "7,098,368"]
    assert "25,557,032 parameters" in out
    assert command("zoo", "resnet50").out == out


@pytest.mark.slow
def test_any_network_is_shown_finely_and_for_other_images(command: Callable[..., Ran]) -> None:
    assert "blocks.3.1" in command("zoo", "show", "mobilenetv3_small_050", "--stages", "fine").out
    out = command("zoo", "show", "resnet10t", "--channels", "4", "--image-size", "64").out
    assert "input 64 px (at least 8), 4 channels" in out


def test_designs_are_compared(command: Callable[..., Ran]) -> None:
    assert "1/N + 1/Dk² gives 0.113" in command("zoo", "compare", "depthwise").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["zoo", "--max-params", "ten"],
            2,
            "--max-params ten is not a number; accepted are numbers like 500k",
        ),
        (["zoo", "compare", "dephtwise"], 2, "there is no comparison 'dephtwise'; accepted are depthwise"),
        (["zoo", "show", "resnet51"], 1, "no network is called 'resnet51' (did you mean resnet51q, resnet50"),
        (["zoo", "show", "vgg11", "--image-size", "20"], 1, "its smallest size is 32 px"),
        (["weights", "import", "no.pth", "--network", "lenet5"], 2, "no.pth is not a file"),
        (["weights", "verify", "resnet50"], 2, "no weights on this machine for resnet50"),
        (["weights", "fetch", "resnet50", "--offline"], 1, "--offline forbids a download"),
        (["weights", "fetch", "zfnet", "--offline"], 1, "and none are published. Train it with --strategy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_get_a_sentence(
    command: Callable[..., Ran],
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    ran = command(*arguments)
    assert ran.code == code
    assert message in ran.err


@pytest.mark.slow
def test_weights_are_imported_listed_verified_and_used(
    command: Callable[..., Ran], tmp_path: Path, photos: Path
) -> None:
    torch.manual_seed(0)
    torch.save(build(cards()["resnet18"].recipe).state_dict(), tmp_path / "mine.pth")
    folder = tmp_path / "weights"
    ran = command(
        "weights", "import", tmp_path / "mine.pth", "--network", "resnet18", "--out", folder,
        "--license", "cc-by-nc-4.0",
    )  # fmt: skip
    assert "102 tensors matched" in ran.out or "122 tensors matched" in ran.out
    assert "resnet18" in command("weights", "list", "--weights", folder).out
    assert "11,689,512 parameters fit" in command("weights", "verify", "resnet18", "--weights", folder).out
    images = ["--image-size", "64", "--channels", "1"]
    fit = ["fit", photos, "--network", "resnet18", "--weights", folder, "--strategy", "probe", *images]
    refused = command(*fit, "--out", tmp_path / "run")
    assert refused.code == 1
    assert "cc-by-nc-4.0: not for commercial use" in refused.err
    assert command(*fit, "--out", tmp_path / "run", "--accept-license").code == 0
    bundle = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())
    assert bundle["input_spec"]["channels"] == 1
    assert command("predict", tmp_path / "run", photos / "dark" / "0.png").code == 0
