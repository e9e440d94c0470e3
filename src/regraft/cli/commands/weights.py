"""The command `regraft weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.errors import RegraftError, SettingsError

Flag = Annotated[bool, Parameter(negative="")]


def list_weights(*, weights: str | None = None, json: Flag = False) -> int:
    """List the pretrained weights on this machine: where they are, how large, under which licence.

    Args:
        weights: A further folder to look in.
        json: Print JSON lines instead of a table.
    """
    from regraft.networks.weights.finding import weights_here

    found = weights_here(weights)
    if json:
        for one in found:
            show_json(
                {"network": one.network, "file": str(one.path), "where": one.where, "licence": one.licence}
            )
        return 0
    rows = [[one.network, f"{one.path.stat().st_size / 1e6:,.1f}", one.licence, one.where] for one in found]
    show_table("Weights on this machine", ["network", "MB", "licence", "where"], rows, right=[1])
    print(
        "`regraft weights fetch NETWORK` downloads others; `regraft weights import` takes weights from a file"
    )
    return 0


def fetch(network: str, /, *, offline: bool = False) -> int:
    """Download the published weights of a network, once; later commands find them.

    Size, licence and origin are shown before the first byte. After an interruption the same
    command resumes. Files end in the caches of the Hugging Face hub and of torch.hub, so other programs find
    them, too.

    ```
    regraft weights fetch resnet50
    ```

    Args:
        network: A name of the zoo, timm or torchvision.
        offline: Download nothing; only say whether the weights are on this machine.
    """
    from regraft.networks.weights.finding import find_weights
    from regraft.networks.zoo.licences import forbids_commerce

    reporter = make_reporter(json_lines=False)
    found = find_weights(network, offline=offline, reporter=reporter)
    print(f"{network}: {found.path}\nfrom {found.source.where}; sha256 {found.sha256}")
    print(f"licence: {found.source.licence}")
    if forbids_commerce(found.source.licence):
        print("This licence forbids commercial use; `regraft fit` asks you once to agree (--accept-license)")
    return 0


def verify(*networks: str, weights: str | None = None) -> int:
    """Read weights back and check them: undamaged, right for their network, every value finite.

    Args:
        networks: Names of networks; without any, all weights on this machine.
        weights: A further folder to look in.
    """
    from regraft.networks.weights.finding import verify_weights, weights_here

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
            print(f"refused  {one.network}: {error.with_flags}")
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
    overwrite: Flag = False,
) -> int:
    """Import weights from a PyTorch checkpoint, a safetensors or an ONNX file, as safetensors with a card.

    Tensors are matched by name and shape, or by a shape that is unique; anything less certain is an error.

    ```
    regraft weights import checkpoint.pth --network resnet50 --license mit --out weights
    regraft fit photos/ --network resnet50 --weights weights
    ```

    Args:
        source: The weights file (.pth, .pt, .bin, .safetensors or .onnx).
        network: Network that the weights are for: a name of the zoo, timm or torchvision.
        out: Folder for NETWORK.safetensors and NETWORK.json.
        license: Licence of the weights, as their source states it.
        origin: Where the weights are from; kept in the card.
        labels: Text file of class names, one per line, in the order of the classifier.
        overwrite: Replace weights that were not imported; never the file that is read.
    """
    from regraft.networks.weights.importing import import_weights

    if not source.is_file():
        raise SettingsError(f"{source} is not a file; accepted are .pth, .pt, .bin, .safetensors and .onnx")
    _check_target(out / f"{network}.safetensors", source, overwrite=overwrite)
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


def _check_target(target: Path, source: Path, *, overwrite: bool) -> None:
    """Refuse to replace the imported file itself, or weights that were not imported."""
    if not target.exists():
        return
    if target.samefile(source):
        raise SettingsError(f"{target} is the file that is read; choose another folder with --out")
    from regraft.storage.files import read_json

    try:
        is_ours = "matched" in read_json(target.with_suffix(".json"))
    except (RegraftError, TypeError):
        is_ours = False
    if not (is_ours or overwrite):
        raise SettingsError(
            f"{target} exists and was not imported by regraft; choose another folder with --out, or replace "
            "the file with --overwrite"
        )
