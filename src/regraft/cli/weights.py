"""The command `regraft weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import show_json, show_table
from regraft.errors import RegraftError, SettingsError

Flag = Annotated[bool, Parameter(negative="")]


def list_weights(*, weights: str | None = None, json: Flag = False) -> int:
    """Whose weights are on this machine: where, how large, under which licence.

    Args:
        weights: also look in this folder.
        json: print JSON lines instead of a table.
    """
    from regraft.networks.weights import weights_here

    found = weights_here(weights)
    if json:
        for one in found:
            show_json(
                {"network": one.network, "file": str(one.path), "where": one.where, "licence": one.licence}
            )
        return 0
    rows = [[one.network, f"{one.path.stat().st_size / 1e6:,.1f}", one.licence, one.where] for one in found]
    show_table("Weights on this machine", ["network", "MB", "licence", "where"], rows, right=[1])
    print("`regraft weights fetch NETWORK` downloads others once; `regraft weights import` takes files")
    return 0


def fetch(network: str, /, *, offline: bool = False) -> int:
    """Download the published weights of a network, once; later commands find them.

    Args:
        network: a name of the zoo, timm or torchvision.
        offline: only say whether they are here.
    """
    from regraft.networks.licences import forbids_commerce
    from regraft.networks.weights import find_weights

    found = find_weights(network, offline=offline)
    print(f"{network}: {found.path}\nfrom {found.source.where}; sha256 {found.sha256}")
    print(f"licence: {found.source.licence}")
    if forbids_commerce(found.source.licence):
        print("not for commercial use; fit asks for one yes (--accept-license)")
    return 0


def verify(*networks: str, weights: str | None = None) -> int:
    """Read weights back: are they whole, do they fit their network, is every value finite?

    Args:
        networks: which; without them, all that are on this machine.
        weights: also look in this folder.
    """
    from regraft.networks.weights import verify_weights, weights_here

    found = [one for one in weights_here(weights) if not networks or one.network in networks]
    missing = sorted(set(networks) - {one.network for one in found})
    if missing:
        raise SettingsError(f"no weights on this machine for {', '.join(missing)}")
    bad = 0
    for one in found:
        try:
            print(f"ok       {one.network}: {verify_weights(one)}")
        except RegraftError as error:
            bad += 1
            print(f"refused  {one.network}: {error}")
    print(f"{len(found)} verified, {bad} refused")
    return 1 if bad else 0


def import_file(
    source: Path,
    /,
    *,
    network: str,
    out: Path = Path("weights"),
    license: str = "unknown",
    origin: str = "",
    labels: Path | None = None,
) -> int:
    """Take weights from a PyTorch checkpoint, a safetensors or an ONNX file; write safetensors and a card.

    Tensors are matched by name and shape, or by a shape that is unique; anything less certain is refused.

    ```
    regraft weights import checkpoint.pth --network resnet50 --license mit --out weights
    regraft fit photos/ --network resnet50 --weights weights
    ```

    Args:
        source: the file (.pth, .pt, .bin, .safetensors, .onnx).
        network: which network of the zoo, timm or torchvision they are for.
        out: folder for NETWORK.safetensors and NETWORK.json.
        license: of the weights, as their source states it.
        origin: where they are from, to be kept in the card.
        labels: a text file of class names, one a line, in the order of the classifier.
    """
    from regraft.networks.importing import import_weights

    if not source.is_file():
        raise SettingsError(f"{source} is not a file; accepted are .pth, .pt, .bin, .safetensors and .onnx")
    names = tuple(labels.read_text(encoding="utf-8").split("\n")) if labels else ()
    done = import_weights(
        source,
        network,
        out=out,
        licence=license,
        origin=origin,
        labels=tuple(name.strip() for name in names if name.strip()),
    )
    matches = done.matches
    prefix = f", after taking {matches.prefix!r} off" if matches.prefix else ""
    print(f"{len(matches.by_name)} tensors matched by name and shape{prefix}")
    for name, theirs in matches.by_shape.items():
        print(f"by its shape alone: {name} from {theirs}")
    if matches.unused:
        more = f" and {len(matches.unused) - 5} more" if len(matches.unused) > 5 else ""
        print(f"not used: {', '.join(matches.unused[:5])}{more}")
    print(f"wrote {done.weights} and {done.card}")
    print(f"use them with --network {network} --weights {out}")
    return 0
