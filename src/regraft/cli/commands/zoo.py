"""The command `regraft zoo`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json, show_table
from regraft.cli.terminal.parameters import Overwrite
from regraft.errors import SettingsError

if TYPE_CHECKING:
    from regraft.networks.zoo.cards import Card

Flag = Annotated[bool, Parameter(negative="")]
Order = Literal["year", "name", "parameters", "multiply-adds", "depth", "top1", "stages"]
_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


def list_networks(
    network: str | None = None,
    /,
    *,
    sort: Order = "year",
    family: str | None = None,
    license: Literal["any", "commercial"] = "any",
    max_params: str | None = None,
    max_multiply_adds: str | None = None,
    at_hand: Flag = False,
    weights: str | None = None,
    json: Flag = False,
) -> int:
    """List the networks of the zoo, and whether their weights are on this machine.

    Any other classification network of timm or torchvision can be used by its name there.

    ```
    regraft zoo
    regraft zoo --license commercial --max-params 10M --sort top1
    regraft zoo show resnet50
    regraft zoo compare
    ```

    Args:
        network: Show this network, as `regraft zoo show` does.
        sort: Column by which the table is sorted; the largest value comes last.
        family: Show only networks whose family name contains this text.
        license: Commercial shows only networks whose weights have a licence known to allow commercial use.
        max_params: Show only networks with at most this many parameters (for example 10M).
        max_multiply_adds: Show only networks with at most this many multiply-adds per image (for example 1G).
        at_hand: Show only networks whose weights are on this machine.
        weights: Further folder in which to look for weights.
        json: Print JSON lines instead of a table.
    """
    if network is not None:
        return show(network, json=json)
    from regraft.networks.weights.finding import at_hand as find
    from regraft.networks.zoo.cards import cards

    chosen = [
        one
        for one in cards().values()
        if (family or "").lower() in one.family.lower()
        and (license == "any" or one.is_commercial)
        and one.parameters <= _number(max_params, "--max-params")
        and one.multiply_adds <= _number(max_multiply_adds, "--max-multiply-adds")
    ]
    places = {one.name: find(one.name, weights) or find(one.name) for one in chosen}
    chosen = [one for one in _sorted(chosen, sort) if places[one.name] or not at_hand]
    if json:
        for one in chosen:
            fields = one.model_dump(mode="json", exclude={"stages", "classifier", "name"})
            show_json({"name": one.name, "weights": places[one.name], **fields})
        return 0
    header = [
        "network", "year", "parameters", "mult-adds", "depth", "stages", "px", "top-1", "licence", "weights",
    ]  # fmt: skip
    rows = [_row(one, places[one.name]) for one in chosen]
    show_table(f"{len(rows)} networks", header, rows, right=[1, 2, 3, 4, 5, 6, 7])
    print(
        "top-1: accuracy on ImageNet in %, as the network's source measured it (see `regraft zoo show NAME`)"
    )
    print("any other classification network of timm or torchvision can be used by its name there")
    return 0


def show(
    network: str,
    /,
    *,
    stages: Literal["default", "coarse", "fine"] = "default",
    channels: int | None = None,
    image_size: int | None = None,
    html: Path | None = None,
    cut: str | None = None,
    image: Path | None = None,
    weights: str | None = None,
    overwrite: Overwrite = False,
    json: Flag = False,
) -> int:
    """Show a network as a tree of its stages, with the shape, parameters and cost of each.

    The network can be any one of the zoo, timm or torchvision.

    ```
    regraft zoo show resnet50
    regraft zoo show resnet50 --stages fine
    regraft zoo show vit_small_patch16_224 --image-size 160
    regraft zoo show mobilenetv1_100 --html network.html --cut 60% --image cat.jpg
    ```

    Args:
        network: Name of the network in the zoo, timm or torchvision.
        stages: How finely the network is divided into stages: coarse (groups of blocks), fine (every block),
            or default (as its card says).
        channels: Number of channels of the images, if it differs from the network's own.
        image_size: Side of the network's input in pixels, if it differs from the network's own.
        html: Write an interactive page that shows the network as blocks, instead of the tree.
        cut: Colour the blocks of the page: frozen up to this stage, trained after it, and new.
        image: Show on the page what every stage makes of this image; needs the network's weights.
        weights: Further folder in which to look for weights.
        overwrite: Replace a page that regraft did not write; never a file that this command reads.
        json: Print one JSON line instead of a tree.
    """
    from regraft.networks.zoo.cards import card

    if html is None and (cut is not None or image is not None):
        raise SettingsError(
            "--cut and --image are for the page: add its file, for example --html network.html"
        )
    if html is not None:
        from regraft.outputs.files import ARCHITECTURE, output_file

        output_file(html, ARCHITECTURE, inputs=[image, weights], overwrite=overwrite, flag="--html")
    found = card(network)
    if found is None or stages != "default" or channels is not None or image_size is not None:
        found = _described(network, stages, channels, image_size)
    if html is not None:
        from regraft.reports.architecture_page import write_architecture

        print(f"wrote {write_architecture(found, html, cut=cut, image=image, weights=weights)}")
        return 0
    if json:
        show_json(found.model_dump(mode="json"))
        return 0
    for line in card_lines(found):
        print(line)
    return 0


def compare(name: str | None = None, /, *, json: Flag = False) -> int:
    """Compare designs of networks by their numbers of parameters and multiply-adds.

    ```
    regraft zoo compare
    regraft zoo compare depthwise
    ```

    Args:
        name: One comparison: depthwise, bottleneck, small-filters, inception or scaling; by default all.
        json: Print JSON lines instead of tables.
    """
    from regraft.lab.designs import COMPARISONS, compare_designs

    if name is not None and name not in COMPARISONS:
        raise SettingsError(f"there is no comparison {name!r}; accepted are {', '.join(COMPARISONS)}")
    for one in compare_designs(name):
        if json:
            show_json(one.model_dump(mode="json"))
            continue
        rows = [
            [
                row.design,
                f"{row.parameters:,}",
                f"{row.multiply_adds / 1e6:,.1f} M",
                row.formula or "",
                f"{row.predicted / 1e6:,.1f} M" if row.predicted else "",
            ]
            for row in one.rows
        ]
        header = ["design", "parameters", "mult-adds", "formula of the paper", "by the formula"]
        show_table(one.title, header, rows, right=[1, 2, 4])
        print(f"{one.finding} ({one.source})\n")
    return 0


def card_lines(card: Card) -> list[str]:
    """The lines of a card as text: what is known about the network, then its stages as a tree."""
    spec = card.input_spec
    known = ", ".join(filter(None, [card.family, str(card.year or ""), card.paper]))
    lines = [f"{card.name} ({known})"]
    width = max(len(stage.name) for stage in (*card.stages, card.classifier)) + 2
    lines.append(
        f"{'':3}{'stage':<{width}}{'output':>14}{'features':>10}{'parameters':>13}{'mult-adds':>12}"
        f"{'share':>8}{'depth':>7}{'sees px':>9}{'kB a cut':>10}"
    )
    for number, stage in enumerate((*card.stages, card.classifier)):
        branch = "└─ " if number == len(card.stages) else "├─ "
        share = 100 * stage.multiply_adds / max(1, card.multiply_adds)
        sees = "all" if stage.field_px is None else f"{stage.field_px:,}"
        lines.append(
            f"{branch}{stage.name:<{width}}{'x'.join(map(str, stage.shape)):>14}{stage.channels:>10,}"
            f"{stage.parameters:>13,}{stage.multiply_adds / 1e6:>10,.1f} M{share:>6.1f} %{stage.depth:>7}"
            f"{sees:>9}{stage.activation_bytes / 1e3:>10,.1f}"
        )
    lines += [
        f"in total {card.parameters:,} parameters, {card.multiply_adds / 1e9:,.2f} G multiply-adds, "
        f"{card.depth} weighted layers deep",
        f"input {spec.size_px} px (at least {card.smallest_px}), {spec.channels} channels; "
        f"weights: {card.licence}, {card.hub or 'none published'}",
    ]
    for what, figure in (("ImageNet top-1", card.imagenet_top1), ("ILSVRC top-5 error", card.ilsvrc_top5)):
        if figure:
            lines.append(f"{what} {figure.value:g} % ({figure.source})")
    return lines


def _row(card: Card, place: str | None) -> list[str]:
    return [
        card.name,
        str(card.year or ""),
        f"{card.parameters / 1e6:.1f} M",
        f"{card.multiply_adds / 1e9:.2f} G",
        str(card.depth),
        str(len(card.stages)),
        str(card.input_spec.size_px),
        f"{card.imagenet_top1.value:.1f}" if card.imagenet_top1 else "",
        card.licence,
        "here" if place else "to download" if card.hub else "none",
    ]


def _sorted(cards: Sequence[Card], order: Order) -> list[Card]:
    keys: dict[Order, Callable[[Card], float | str]] = {
        "year": lambda one: one.year or 0,
        "name": lambda one: one.name,
        "parameters": lambda one: one.parameters,
        "multiply-adds": lambda one: one.multiply_adds,
        "depth": lambda one: one.depth,
        "top1": lambda one: one.imagenet_top1.value if one.imagenet_top1 else 0.0,
        "stages": lambda one: len(one.stages),
    }
    return sorted(cards, key=keys[order])


def _number(text: str | None, flag: str) -> float:
    """The number in a text such as `10M`; None gives infinity, which is no limit."""
    if text is None:
        return float("inf")
    factor = _SUFFIXES.get(text[-1:])
    try:
        return float(text[:-1] if factor else text) * (factor or 1)
    except ValueError:
        raise SettingsError(
            f"{flag} {text} is not a number; accepted are numbers like 500k, 10M or 1G"
        ) from None


def _described(network: str, stages: str, channels: int | None, image_size: int | None) -> Card:
    from regraft.networks.counting import describe_network
    from regraft.networks.reshaping import adapted_recipe
    from regraft.networks.zoo.catalogues import find_recipe

    recipe, spec = adapted_recipe(*find_recipe(network), channels=channels, size_px=image_size)
    if stages != "default":
        recipe = recipe.model_validate({**recipe.model_dump(), "stages": stages})
    return describe_network(network, recipe=recipe, input_spec=spec)
