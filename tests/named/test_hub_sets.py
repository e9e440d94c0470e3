"""Addresses of the hub are read as such, and never downloaded unless that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regraft.errors import DataError, DownloadError
from regraft.named.hub_sets import HubAddress, hub_address, hub_download
from regraft.progress import Silent
from regraft.settings import DataSettings
from regraft.workflow.preparation import found_images
from tests.corpus import encoded, picture


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("hf://datasets/owner/set", "owner/set", None),
        ("hf://datasets/owner/my.set-2@refs/convert/parquet", "owner/my.set-2", "refs/convert/parquet"),
        ("hf:/datasets/owner/set", "owner/set", None),
    ],
)
def test_an_address_names_a_repository(text: str, name: str, revision: str | None) -> None:
    assert hub_address(text) == HubAddress(name, revision)


@pytest.mark.parametrize(
    "text", ["hf://owner/set", "hf://datasets/owner", "hf://datasets/../x", "hf://datasets/a/b/../c"]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="hf://datasets/OWNER/NAME"):
        hub_address(text)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "hub"


def test_what_is_not_here_is_named_with_its_command(hub: Path) -> None:
    with pytest.raises(DataError, match="is not on this machine; `regraft data hf://datasets/owner/set`"):
        found_images("hf://datasets/owner/set", DataSettings())
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE=1 forbids the download"):
        hub_download(HubAddress("owner/set", None), offline=False, reporter=Silent())


def test_what_was_downloaded_is_a_data_set(hub: Path) -> None:
    folder = hub / "datasets--owner--set"
    commit = "0123456789" * 4
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    place = folder / "snapshots" / commit / "data" / "train-00000-of-00001.parquet"
    place.parent.mkdir(parents=True)
    images = [{"bytes": encoded(picture(20 + number, 12), "PNG"), "path": None} for number in range(6)]
    table = pa.table({"image": images, "label": [0, 1] * 3})
    names = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), place)
    found = found_images("hf://datasets/owner/set", DataSettings())
    assert [one.label for one in found.candidates] == ["cat", "dog"] * 3
