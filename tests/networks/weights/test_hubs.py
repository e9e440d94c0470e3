"""Downloads, against a server on this machine that speaks the hub's routes."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import save

from regraft.errors import DiskFullError, DownloadError, WeightsError, WeightsNotFoundError
from regraft.networks.architectures.building import build
from regraft.networks.weights import fetching, hubs
from regraft.networks.weights.finding import find_weights
from regraft.networks.zoo import cards
from regraft.networks.zoo.cards import Card
from regraft.progress import Silent
from regraft.records import Recipe
from tests.networks.hub_server import PATIENCE_S, LocalHub, local_hub

RECIPE = Recipe(library="regraft", name="cifar_resnet20")


class Lines(Silent):
    """A reporter that keeps what it was told, and how far the last phase came."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, count: int = 1) -> None:
        self.done += count


@pytest.fixture(scope="module")
def weights_file() -> bytes:
    return save(build(RECIPE).state_dict())


@pytest.fixture
def hub(weights_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub with one repository, which publishes the weights of the network `tiny`; empty caches."""
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "REGRAFT_WEIGHTS", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # huggingface_hub reads this variable once, when it is imported
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with local_hub(weights_file) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        publish(running.repository, monkeypatch)
        yield running


def publish(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a network called `tiny` to the table, whose weights are published there."""
    card = cards.cards()["cifar_resnet20"].model_copy(
        update={"name": "tiny", "hub": where, "licence": "mit", "recipe": RECIPE}
    )
    table: dict[str, Card] = {**cards.cards(), "tiny": card}
    monkeypatch.setattr(cards, "cards", lambda: table)


def blob(hub: LocalHub) -> Path:
    return hubs.hub_home() / f"models--{hub.repository.replace('/', '--')}" / "blobs" / hub.sha256


def test_a_network_that_is_named_is_downloaded_said_before_and_used(
    hub: LocalHub, weights_file: bytes
) -> None:
    lines = Lines()
    found = find_weights("tiny", reporter=lines)
    assert found.path.read_bytes() == weights_file
    assert found.sha256 == hub.sha256
    place = f"timm/tiny.test on {hub.address[7:]}; kept in {blob(hub).parent}"
    assert lines.notes == [f"downloading tiny: 1.1 MB, licence mit, from {place}"]
    assert lines.done == 2  # megabytes, begun ones counted


def test_what_was_downloaded_is_found_without_asking_again(hub: LocalHub) -> None:
    find_weights("tiny")
    asked = len(hub.requests)
    assert find_weights("tiny", offline=True).source.where.startswith("timm/tiny.test at ")
    assert len(hub.requests) == asked


def test_huggingface_hub_finds_the_file_in_its_own_cache(hub: LocalHub, weights_file: bytes) -> None:
    import huggingface_hub

    find_weights("tiny")
    path = huggingface_hub.hf_hub_download(
        "timm/tiny.test", "model.safetensors", cache_dir=hubs.hub_home(), local_files_only=True
    )
    assert Path(path).read_bytes() == weights_file


def test_a_connection_that_breaks_is_opened_again_where_it_stopped(
    hub: LocalHub, weights_file: bytes
) -> None:
    hub.break_after = [300_000, 1]
    assert find_weights("tiny").path.read_bytes() == weights_file
    assert hub.bodies == ["", "bytes=300000-", "bytes=300001-"]


def test_an_interrupted_download_is_continued_by_the_next_command(hub: LocalHub, weights_file: bytes) -> None:
    partial = blob(hub).with_name(f"{hub.sha256}.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(weights_file[:500_000])
    assert find_weights("tiny").path.read_bytes() == weights_file
    assert hub.bodies == ["bytes=500000-"]
    assert not partial.exists()


def test_a_server_that_cant_resume_sends_the_file_again(hub: LocalHub, weights_file: bytes) -> None:
    hub.can_resume = False
    hub.break_after = [300_000]
    lines = Lines()
    assert find_weights("tiny", reporter=lines).path.read_bytes() == weights_file
    assert lines.done == 2


def test_a_connection_that_never_delivers_is_given_up(hub: LocalHub) -> None:
    hub.break_after = [200_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"closed the connection after 0\.2 of 1\.1 MB.*to resume"):
        find_weights("tiny")
    assert blob(hub).with_name(f"{hub.sha256}.partial").stat().st_size == 200_000


def test_a_partial_file_that_is_too_long_is_thrown_away(hub: LocalHub, weights_file: bytes) -> None:
    partial = blob(hub).with_name(f"{hub.sha256}.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(weights_file + b"x")
    assert find_weights("tiny").path.read_bytes() == weights_file


def test_a_wrong_hash_is_an_error_and_nothing_is_kept(hub: LocalHub) -> None:
    hub.stated_sha256 = "ab" * 32
    with pytest.raises(DownloadError, match=r"expected abababababababab…: it was damaged or changed"):
        find_weights("tiny")
    assert not [path for path in hubs.hub_home().rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_file_that_is_damaged_later_is_not_used(hub: LocalHub) -> None:
    path = find_weights("tiny").path.resolve()
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(WeightsError, match=rf"expected {hub.sha256}: the download was damaged later"):
        find_weights("tiny", offline=True)


@pytest.mark.parametrize(
    ("status", "code", "headers", "message"),
    [
        (401, "GatedRepo", {}, r"timm/tiny\.test is gated: its owner grants access.*hf auth login"),
        (403, "", {}, r"refuses the file \(status 403\): no permission"),
        (401, "RepoNotFound", {}, r"has no repository timm/tiny\.test, or it is private"),
        (404, "EntryNotFound", {}, r"has no file model\.safetensors"),
        (429, "", {"Retry-After": "7"}, r"too many requests \(status 429\)\. Try again in 7 s"),
        (503, "", {}, r"answered with status 503\. Try again later"),
    ],
    ids=str,
)
def test_each_refusal_has_a_message_of_its_own(
    hub: LocalHub, status: int, code: str, headers: dict[str, str], message: str
) -> None:
    hub.status, hub.error_code, hub.extra_headers = status, code, headers
    with pytest.raises(DownloadError, match=rf"can't download tiny: .*{message}.*weights FOLDER"):
        find_weights("tiny")


def test_no_connection_says_so(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1:1 \(.*refused.*HTTPS_PROXY"):
        find_weights("tiny")


def test_a_server_that_falls_silent_times_out(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WAIT_S", PATIENCE_S)
    monkeypatch.setattr(fetching, "_ATTEMPTS", 1)
    hub.is_silent = True
    hub.break_after = [300_000, 0, 0]
    with pytest.raises(DownloadError, match=r"sent nothing more after 0\.3 of 1\.1 MB"):
        find_weights("tiny")


def test_a_full_disk_is_said_before_anything_is_downloaded(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 40_000))
    with pytest.raises(DiskFullError, match=r"1\.1 MB are needed in .*, and 0\.0 MB are free"):
        find_weights("tiny")
    assert hub.bodies == []


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_offline_asks_nobody(hub: LocalHub, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reason = "offline" if how == "flag" else "HF_HUB_OFFLINE=1"
    with pytest.raises(
        WeightsNotFoundError, match=rf"{reason} forbids a download.*regraft weights fetch tiny"
    ):
        find_weights("tiny", offline=how == "flag")
    assert hub.requests == []


def test_a_token_goes_to_the_hub_and_to_nobody_that_it_sends_us_to(
    hub: LocalHub, weights_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with local_hub(weights_file) as elsewhere:
        hub.moved_to = f"{elsewhere.address}/files/model"
        assert find_weights("tiny").path.read_bytes() == weights_file
    assert set(hub.tokens) == {"Bearer hf_secret"}
    assert elsewhere.bodies == [""]
    assert set(elsewhere.tokens) == {""}


@pytest.fixture
def torch_hub(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """The same file where torchvision keeps its own: at an address that ends with the hash's first digits."""
    publish(f"{hub.address}/files/tiny-{hub.sha256[:8]}.pth", monkeypatch)
    return hub


def test_torchs_addresses_are_downloaded_resumed_and_verified(
    torch_hub: LocalHub, tmp_path: Path, weights_file: bytes
) -> None:
    torch_hub.break_after = [300_000]
    lines = Lines()
    found = hubs.download("tiny", lines)
    assert found.path == tmp_path / "torch" / "hub" / "checkpoints" / f"tiny-{torch_hub.sha256[:8]}.pth"
    assert found.path.read_bytes() == weights_file
    assert torch_hub.bodies == ["", "bytes=300000-"]
    assert "1.1 MB, licence mit, from http://" in lines.notes[0]


def test_a_hash_that_is_not_the_names_is_an_error(
    torch_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(f"{torch_hub.address}/files/tiny-00000000.pth", monkeypatch)
    with pytest.raises(DownloadError, match="expected 00000000…"):
        hubs.download("tiny", Silent())


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_torchs_host_is_explained_too(torch_hub: LocalHub, status: int) -> None:
    torch_hub.status = status
    with pytest.raises(DownloadError, match=rf"status {status}"):
        hubs.download("tiny", Silent())


def test_calls_fit_the_signatures_of_huggingface_hub() -> None:
    """Whatever a later version renames is found here, not by a user."""
    import huggingface_hub

    inspect.signature(huggingface_hub.hf_hub_url).bind("a/b", "c", endpoint="http://x")
    inspect.signature(huggingface_hub.get_hf_file_metadata).bind("url", timeout=1.0, endpoint="http://x")
    inspect.signature(huggingface_hub.hf_hub_download).bind(
        "a/b", "c", cache_dir=Path(), endpoint="http://x", etag_timeout=1.0
    )
    session = huggingface_hub.get_session()
    inspect.signature(session.stream).bind("GET", "url", headers={}, timeout=1.0, follow_redirects=True)
    assert issubclass(huggingface_hub.errors.HfHubHTTPError, fetching.transport_error())
