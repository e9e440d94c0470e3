"""Where pretrained weights are published, what of it is on this machine, and how it gets here."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from regraft.networks.zoo import card

_PROBE_S = 1.0


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
    from regraft.networks.catalogues import find_recipe, hub_of

    find_recipe(network)  # a name that nobody knows is an error of its own
    return hub_of(network)


def _stated_licence(network: str) -> str:
    from_card = card(network)
    if from_card:
        return from_card.licence
    from regraft.networks.catalogues import licence_of

    return licence_of(network)


def from_hub_cache(network: str, looked: list[str]) -> Found | None:
    """A network's published weights, if they were downloaded before; adds where it looked to `looked`."""
    hub = _hub_name(network)
    if hub is None:
        return None
    licence = _stated_licence(network)
    if hub.startswith("https://"):
        path = torch_home() / "hub" / "checkpoints" / hub.rpartition("/")[2]
        looked.append(str(path))
        return Found(path, hub, licence) if path.is_file() else None
    folder = hub_home() / f"models--{hub.replace('/', '--')}" / "snapshots"
    looked.append(str(folder))
    for path in sorted(folder.glob("*/model.safetensors")):
        return Found(path, f"{hub} at {path.parent.name}", licence)
    return None


def hub_home() -> Path:
    """Where huggingface_hub keeps files."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def torch_home() -> Path:
    """Where torch.hub keeps files."""
    return Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")


def download(network: str, looked: list[str], *, offline: bool) -> Found | None:
    """A network's published weights, downloaded; None, and the reason in `looked`, where that can't be."""
    hub = _hub_name(network)
    if hub is None:
        return None
    host = hub.split("/")[2] if hub.startswith("https://") else "huggingface.co"
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        looked.append(f"{hub} on {host} (not asked: offline)")
        return None
    if not _reachable(host):
        looked.append(f"{hub} on {host} (can't be reached from this machine)")
        return None
    try:
        if hub.startswith("https://"):
            import torch

            torch.hub.load_state_dict_from_url(hub, map_location="cpu", check_hash=True, weights_only=True)
        else:
            import huggingface_hub

            huggingface_hub.hf_hubdownload(hub, "model.safetensors", etag_timeout=_PROBE_S)
    except Exception as error:  # the hub's libraries raise their own trees and those of their HTTP stacks
        looked.append(f"{hub} on {host} (failed: {str(error).splitlines()[0][:200]})")
        return None
    return from_hub_cache(network, looked)


def _reachable(host: str) -> bool:
    """Whether a connection opens within a second; name resolution has no time-out of its own."""
    answer = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, 443), timeout=_PROBE_S).close()
            answer.set()
        except OSError:
            return

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PROBE_S)
    return answer.is_set()
