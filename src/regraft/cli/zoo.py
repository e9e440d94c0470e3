"""The command `regraft zoo`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import show_json, show_table
from regraft.errors import UnknownNetworkError, close_names


def zoo(
    network: str | None = None,
    /,
    *,
    weights: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Which networks there are, and whose weights are on this machine.

    Any other classification network of timm or torchvision works by its name there.

    ```
    regraft zoo
    regraft zoo mobilenetv1_100
    ```

    Args:
        network: show this one's stages.
        weights: also look for weights in this folder.
        json: print JSON lines instead of tables.
    """
    from regraft.networks.weights import at_hand
    from regraft.networks.zoo import card, cards

    if network is not None:
        found = card(network)
        if found is None:
            raise UnknownNetworkError(f"{network!r} is not in the table{close_names(network, cards())}")
        if json:
            show_json(found.model_dump(mode="json"))
            return 0
        rows = [
            [str(n), s.name, " x ".join(map(str, s.shape)), f"{s.parameters:,}"]
            for n, s in enumerate(found.stages, 1)
        ]
        title = f"{found.name} ({found.family}, {found.year}; {found.paper})"
        show_table(title, ["cut", "stage", "output", "parameters"], rows, right=[0, 2, 3])
        spec = found.input_spec
        print(
            f"input {spec.size_px} px, {spec.channels} channels; "
            f"weights: {found.licence}, {found.hub or 'in the package'}"
        )
        return 0
    places = {name: at_hand(name, weights) or at_hand(name) for name in cards()}
    if json:
        for name, one in cards().items():
            show_json(
                {
                    "name": name,
                    "weights": places[name],
                    **one.model_dump(mode="json", exclude={"stages", "name"}),
                }
            )
        return 0
    rows = [
        [
            one.name,
            str(one.year),
            f"{one.parameters / 1e6:.1f} M",
            f"{one.multiply_adds / 1e9:.2f} G",
            str(len(one.stages)),
            f"{one.input_spec.size_px}",
            one.licence,
            places[name] or "to download",
        ]
        for name, one in cards().items()
    ]
    header = ["network", "year", "parameters", "multiply-adds", "stages", "input px", "licence", "weights"]
    show_table(
        "Networks (any other of timm or torchvision works by its name)", header, rows, right=[1, 2, 3, 4, 5]
    )
    return 0
