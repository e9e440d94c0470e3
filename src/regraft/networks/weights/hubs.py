"""Where pretrained weights are published, what of it is on this machine, and how it gets here.

Published means: a repository of the Hugging Face hub with a `model.safetensors`, or an address of
torchvision's. Downloads end in the hubs' own caches, so other programs find them there, too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regraft.errors import DownloadError
from regraft.machine.network import is_forbidden
from regraft.networks.weights.fetching import (
    WAIT_S,
    RemoteFile,
    asked,
    fetch,
    refused,
    transport_error,
    unreachable,
)
from regraft.networks.zoo.cards import card
from regraft.progress import Meter, Reporter

_FILE = "model.safetensors"
_HASH_IN_NAME = re.compile(r"-([a-f0-9]{8,64})\.")  # torch.hub's convention
_SHA256 = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True)
class Found:
    """A weights file."""

    path: Path
    where: str
    """In words, for people and records."""
    licence: str | None = None


def _hub_name(network: str) -> str | None:
    known = card(network)
    if known:
        return known.hub
    from regraft.networks.zoo.catalogues import find_recipe, hub_of

    find_recipe(network)  # a name that nobody knows is an error of its own
    return hub_of(network)


def _stated_licence(network: str) -> str:
    from_card = card(network)
    if from_card:
        return from_card.licence
    from regraft.networks.zoo.catalogues import licence_of

    return licence_of(network)


def from_hub_cache(network: str) -> Found | None:
    """A network's published weights, if they were downloaded before."""
    hub = _hub_name(network)
    if hub is None:
        return None
    licence = _stated_licence(network)
    if _is_address(hub):
        path = _place_of(hub)
        return Found(path, hub, licence) if path.is_file() else None
    folder = _repository_folder(hub) / "snapshots"
    for path in sorted(folder.glob(f"*/{_FILE}")):
        if path.is_file():  # a link whose blob was deleted is none
            return Found(path, f"{hub} at {path.parent.name}", licence)
    return None


def expected_sha256(path: Path) -> str | None:
    """The SHA-256 that the hub's cache states for a file: large files are named after it there."""
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name) else None


def hub_home() -> Path:
    """Where huggingface_hub keeps files."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def torch_home() -> Path:
    """Where torch.hub keeps files."""
    return Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")


def offline_because(offline: bool) -> str | None:
    """What forbids a download: the flag or the hub's own variable; None where nothing does."""
    if offline:
        return "--offline"
    return "HF_HUB_OFFLINE=1" if is_forbidden() else None


def is_published(network: str) -> bool:
    """Whether pretrained weights of a network are published anywhere that is known here."""
    return _hub_name(network) is not None


def published_mb(network: str) -> int | None:
    """About how large the published weights are, MB (single precision); None for networks without a card."""
    known = card(network)
    return None if known is None else math.ceil(known.parameters * 4 / 1e6)


def download(network: str, reporter: Reporter) -> Found:
    """A network's published weights, downloaded into the cache of their hub.

    Name, size, licence and origin are reported before the first byte; what arrived before an interruption
    is continued; the hash is compared.

    Raises:
        DownloadError: nowhere published, not reachable, not allowed, damaged; says what to do.
        DiskFullError: it doesn't fit on the disk.
    """
    hub = _hub_name(network)
    if hub is None:
        raise DownloadError(f"pretrained weights of {network} are published nowhere that is known here")
    licence = _stated_licence(network)
    if _is_address(hub):
        _from_address(network, hub, licence, reporter)
    else:
        _from_repository(network, hub, licence, reporter)
    found = from_hub_cache(network)
    if found is None:
        raise DownloadError(f"{hub} was downloaded, but is not in its cache; check $HF_HOME and $TORCH_HOME")
    return found


def cached_address(address: str, licence: str) -> Found | None:
    """A file of torch.hub's cache that was published at an address, if it was downloaded before."""
    path = _place_of(address)
    return Found(path, address, licence) if path.is_file() else None


def download_address(name: str, address: str, licence: str, reporter: Reporter) -> Found:
    """A file that is published at an address, downloaded into torch.hub's cache, as `download` does it.

    Raises:
        DownloadError: not reachable, not allowed, damaged; says what to do.
        DiskFullError: it doesn't fit on the disk.
    """
    try:
        _from_address(name, address, licence, reporter)
    except DownloadError as error:
        raise DownloadError(f"can't download {name}: {error}") from error
    return Found(_place_of(address), address, licence)


def stated_hash(address: str) -> str | None:
    """The first digits of the SHA-256 that an address states of its file."""
    stated = _HASH_IN_NAME.search(address.rpartition("/")[2])
    return stated.group(1) if stated else None


def _is_address(hub: str) -> bool:
    return "://" in hub


def _place_of(address: str) -> Path:
    return torch_home() / "hub" / "checkpoints" / address.rpartition("/")[2]


def _repository_folder(hub: str) -> Path:
    return hub_home() / f"models--{hub.replace('/', '--')}"


def _from_address(network: str, address: str, licence: str, reporter: Reporter) -> None:
    """Fetch a file that torch.hub's convention names after the first digits of its SHA-256."""
    remote = RemoteFile(address, _size_of(address), stated_hash(address))
    _fetch(network, remote, _place_of(address), said=f"{licence}, from {address}", reporter=reporter)


def _size_of(address: str) -> int | None:
    host = _host(address)
    try:
        with asked("HEAD", address, {"Accept-Encoding": "identity"}) as answer:
            if answer.status_code != 200:
                raise refused(host, answer.status_code, answer.headers)
            length = answer.headers.get("content-length", "")
    except transport_error() as error:
        raise unreachable(host, error) from error
    return int(length) if length.isdigit() else None


def _from_repository(network: str, hub: str, licence: str, reporter: Reporter) -> None:
    """Fetch a repository's file into the hub's cache.

    huggingface_hub (2.4) starts an interrupted download from the beginning, so the file itself is fetched by
    `fetch` and huggingface_hub, which finds it there, adds the names that it looks for.
    """
    import huggingface_hub

    endpoint = _endpoint()
    url = huggingface_hub.hf_hub_url(hub, _FILE, endpoint=endpoint)
    with _explained(hub, endpoint):
        facts = huggingface_hub.get_hf_file_metadata(url, timeout=WAIT_S, endpoint=endpoint)
    if not _SHA256.fullmatch(facts.etag or ""):
        raise DownloadError(
            f"{hub} on {_host(endpoint)} states no sha256 for {_FILE}, so it can't be verified. Download it "
            f"yourself and take it with `regraft weights import {_FILE} --network {network}`"
        )
    token = huggingface_hub.get_token()
    is_same_host = _host(facts.location) == _host(endpoint)
    remote = RemoteFile(
        facts.location,
        facts.size,
        facts.etag,
        {"Authorization": f"Bearer {token}"} if token and is_same_host else {},  # it is for the hub alone
    )
    blob = _repository_folder(hub) / "blobs" / str(facts.etag)
    _fetch(network, remote, blob, said=f"{licence}, from {hub} on {_host(endpoint)}", reporter=reporter)
    with _explained(hub, endpoint):
        huggingface_hub.hf_hub_download(
            hub, _FILE, cache_dir=hub_home(), endpoint=endpoint, etag_timeout=WAIT_S
        )


def _endpoint() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _host(url: str) -> str:
    return url.split("/")[2]


@contextmanager
def _explained(hub: str, endpoint: str) -> Iterator[None]:
    """Turn huggingface_hub's errors into ours, each with what to do."""
    from huggingface_hub import errors

    host = _host(endpoint)
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(f"HF_HUB_OFFLINE=1 forbids to ask {host}; unset it to download") from error
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{hub} is gated: its owner grants access. Ask for it at {endpoint}/{hub}, log in with "
            "`hf auth login`, and run the same command again"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"{host} has no repository {hub}, or it is private and you are not logged in (`hf auth login`)"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise unreachable(host, error.__cause__ or error) from error
    except errors.EntryNotFoundError as error:
        raise DownloadError(
            f"{hub} on {host} has no file {_FILE}. Look at {endpoint}/{hub}, download another format by "
            "hand, and import it with `regraft weights import`"
        ) from error
    except errors.HfHubHTTPError as error:
        raise refused(host, error.response.status_code, error.response.headers) from error
    except transport_error() as error:
        raise unreachable(host, error) from error
    except errors.FileMetadataError as error:
        raise DownloadError(f"{endpoint} ($HF_ENDPOINT) does not answer as a model hub: {error}") from error


def _fetch(network: str, remote: RemoteFile, target: Path, *, said: str, reporter: Reporter) -> None:
    size = "" if remote.size is None else f"{remote.size / 1e6:,.1f} MB, "
    reporter.note(f"downloading {network}: {size}licence {said}; kept in {target.parent}")
    total = max(1, math.ceil((remote.size or 0) / 1e6))
    with reporter.phase(f"downloading {network}", total, "MB") as meter:
        fetch(remote, target, _Megabytes(meter))


class _Megabytes:
    """A meter of bytes that advances another by whole megabytes."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._bytes, self._told = meter, 0, 0

    def advance(self, count: int = 1) -> None:
        """Count `count` bytes more, or fewer where the server starts again."""
        self._bytes += count
        whole = math.ceil(self._bytes / 1e6)
        if whole != self._told:
            self._meter.advance(whole - self._told)
            self._told = whole
