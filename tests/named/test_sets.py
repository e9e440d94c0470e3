"""Data sets by their names: found, checked, laid out, downloaded; never without being asked."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings.scan import scan
from regraft.data.images import find_images
from regraft.data.sources.candidates import Found
from regraft.errors import DataError, DownloadError, LicenceError, NoImagesError
from regraft.named import cards, sets
from regraft.named.cards import SetCard, SetFile, plain_set_name, set_card, set_cards
from regraft.named.sets import get, is_here, laid_out
from regraft.settings import DataSettings
from regraft.workflow.preparation import found_images
from tests.named.made import set_files

MADE = set_files()
SIDES = {
    "train, test": {"train", "test"}, "train, validation": {"train", "validation"},
    "train, validation, test": {"train", "validation", "test"}, "": {None},
}  # fmt: skip
# The labels of the small files, where they are not numbers.
LABELS = {
    "fashion-mnist": {"T-shirt, top", "trouser"}, "kmnist": {"o", "ki"}, "cifar10": {"airplane", "bird"},
    "cifar100": {"apple", "bee"}, "stl10": {"airplane", "bird"}, "flowers102": {"1", "2"},
    "pets": {"Great Pyrenees", "Bengal"}, "food101": {"apple pie", "ribs"}, "dtd": {"banded", "woven"},
    "eurosat": {"Forest", "River"}, "caltech101": {"ant", "bass"}, "caltech256": {"ak47", "flag"},
    "fgvc-aircraft": {"Boeing 707", "A320"}, "sun397": {"abbey", "bar/indoor"},
    "imagenette": {"tench", "parachute"}, "country211": {"AD", "CH"}, "pathmnist": {"adipose", "background"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setenv("REGRAFT_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("REGRAFT_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small files are not those whose checksums are published."""
    monkeypatch.setattr(sets, "_check", lambda _file, _path: "0")


def _put(name: str, root: Path) -> None:
    for file, data in zip(set_card(name).files, MADE[name], strict=True):
        (root / file.path).parent.mkdir(parents=True, exist_ok=True)
        (root / file.path).write_bytes(data)


def _found(name: str, root: Path | None = None) -> Found:
    return found_images(name, DataSettings(data_root=str(root) if root else None))


@pytest.mark.parametrize("name", sorted(MADE))
def test_files_as_torchvision_keeps_them_are_a_data_set(name: str, tmp_path: Path, unchecked: None) -> None:
    _put(name, tmp_path / "torch")
    get(name, data_root=tmp_path / "torch", offline=True, is_accepted=True)
    found = _found(name)
    split = "train, test" if name == "country211" else set_card(name).split
    assert {one.side for one in found.candidates} == SIDES[split]
    assert {one.label for one in found.candidates} == LABELS.get(name, {"0", "1"})
    assert len(scan(found).items) == len(found.candidates)
    assert set_card(name).licence in found.layout


def test_every_layout_is_tried_above() -> None:
    assert {set_card(name).layout for name in MADE} == {card.layout for card in set_cards().values()}


def test_pixels_of_arrays_are_upright(tmp_path: Path, unchecked: None) -> None:
    """Of CIFAR the first row of reds comes first; the numbers of the test file count up."""
    _put("cifar10", tmp_path / "own")
    first = min(_found("cifar10").candidates, key=lambda one: Path(one.file).name)
    pixels = np.asarray(Image.open(first.file))
    red = np.arange(1024, dtype=np.uint64).astype(np.uint8).reshape(32, 32)
    assert (pixels[..., 0] == red).all()


def test_the_record_says_where_all_came_from(tmp_path: Path, unchecked: None) -> None:
    _put("eurosat", tmp_path / "own")
    source = laid_out("eurosat").source
    record = json.loads((source.parent / "dataset.json").read_text())
    card = set_card("eurosat")
    assert record["source"] == [card.files[0].url]
    assert (record["licence"], record["licence_stated_by"]) == (card.licence, card.licence_by)
    assert set(record) >= {"md5", "split", "citation", "licence_looked_up", "regraft_version", "version"}


@pytest.mark.parametrize(("name", "number"), [("mnist", 0), ("usps", 1), ("gtsrb", 2), ("pathmnist", 0)])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_damaged_files_without_a_checksum_are_said_to_be_so(
    name: str, number: int, kept: float, tmp_path: Path, unchecked: None
) -> None:
    _put(name, tmp_path / "own")
    file = tmp_path / "own" / set_card(name).files[number].path
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DataError, match=rf"the files of {name} in .* are not as published"):
        laid_out(name)
    assert not (tmp_path / "own" / "sets" / name).exists()


def test_files_with_another_checksum_are_refused(tmp_path: Path) -> None:
    _put("usps", tmp_path / "own")
    with pytest.raises(
        DataError, match=r"published one is ec16c51db3855ca6c91edd34d0e9b197.*Delete it, and fetch"
    ):
        laid_out("usps")


def test_a_name_that_is_not_here_says_what_to_do_without_a_network() -> None:
    with pytest.raises(DataError) as caught:
        _found("cifar10")
    text = str(caught.value)
    assert "`regraft data cifar10` downloads it (170 MB)" in text
    assert "c58f30108f718f92721af3b95e74349a" in text
    assert "cifar-10-python.tar.gz" in text


def test_a_name_that_is_not_here_is_refused_before_anything_slow_is_imported() -> None:
    code = (
        "import sys; from regraft.cli.app import run; run(['fit', 'cifar10']); print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
    assert "the data set cifar10 is not on this machine" in ran.stderr


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_nothing_is_downloaded_offline(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"forbids the download of usps.*put them into .*MD5 ec16c51"):
        get("usps", offline=how == "flag")


def test_a_licence_that_forbids_commerce_is_accepted_once(tmp_path: Path, unchecked: None) -> None:
    _put("svhn", tmp_path / "own")
    with pytest.raises(LicenceError, match=r"non-commercial use only.*data svhn --accept-license"):
        _found("svhn")
    get("svhn", is_accepted=True)
    assert len(_found("svhn").candidates) == 4


def test_a_folder_of_that_name_goes_first(tmp_path: Path, unchecked: None) -> None:
    _put("eurosat", tmp_path / "own")
    for label in "ab":
        (tmp_path / "eurosat" / label).mkdir(parents=True)
        (tmp_path / "eurosat" / label / "1.jpg").write_bytes(b"x")
    assert {one.label for one in _found("eurosat").candidates} == {"a", "b"}


@pytest.mark.parametrize(("name", "meant"), [("CIFAR-10", "cifar10"), ("FashionMNIST", "fashion-mnist")])
def test_names_may_be_written_in_other_ways(name: str, meant: str) -> None:
    assert plain_set_name(name) == meant


def test_a_source_that_is_nearly_a_name_gets_close_ones() -> None:
    with pytest.raises(NoImagesError, match=r"flowers does not exist, and no data set .*mean flowers102\?"):
        _found("flowers")


def test_an_unknown_name_gets_close_ones() -> None:
    with pytest.raises(DataError, match=r"no data set is called cifar11 \(did you mean cifar10"):
        get("cifar11")


def test_every_card_states_a_licence_with_source_and_date() -> None:
    for card in set_cards().values():
        assert all((card.licence, card.licence_by, len(card.licence_date) == 10)), card.name
        assert all(file.md5 is None or len(file.md5) == 32 for file in card.files)
        assert not card.class_names or len(card.class_names) == card.classes, card.name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of the files below tmp_path/remote."""
    (tmp_path / "remote").mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "remote"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()


def _card(server: str, data: bytes) -> SetCard:
    file = SetFile(path="usps.bz2", url=f"{server}/usps.bz2", md5=hashlib.md5(data).hexdigest())
    gone = SetFile(path="usps.t.bz2", url=f"{server}/usps.t.bz2", md5=hashlib.md5(data).hexdigest())
    return set_card("usps").model_copy(update={"files": (file, gone)})


def test_a_data_set_is_downloaded_and_checked(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MADE["usps"][0]
    card = _card(server, data)
    monkeypatch.setattr(cards, "set_cards", lambda: {"usps": card})
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / "remote" / name).write_bytes(data)
    found = get("usps")
    assert len(find_images(found.source).candidates) == 8
    assert (tmp_path / "own" / "usps.bz2").read_bytes() == data


def test_a_server_that_refuses_leaves_the_user_with_a_way_out(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = _card(server, b"")
    monkeypatch.setattr(cards, "set_cards", lambda: {"usps": card})
    with pytest.raises(
        DownloadError, match=r"no such file.*put it at .*own/usps\.bz2; its MD5 is d41d8cd98f"
    ):
        get("usps")
    assert not is_here(card)
