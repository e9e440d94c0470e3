"""The command `regraft data`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table

Flag = Annotated[bool, Parameter(negative="")]


def data(
    name: str | None = None,
    /,
    *,
    data_root: str | None = None,
    offline: Flag = False,
    accept_license: Flag = False,
    json: Flag = False,
) -> int:
    """List the data sets that have a name, with their licences; or download one, so that it can be fitted.

    The files are checked by their MD5, and kept in --data-root or $REGRAFT_DATA as torchvision keeps them;
    what torchvision has downloaded there before is found. Images in arrays are written once as PNG files, and
    images in archives stay there. dataset.json says where all came from.

    ```
    regraft data
    regraft data cifar10
    regraft fit cifar10
    regraft data hf://datasets/OWNER/NAME
    ```

    Args:
        name: A name from the list, or an address of the Hugging Face hub. Without one, all names are listed.
        data_root: Folder in which files are looked for first, and downloaded to; by default $REGRAFT_DATA, or
            the user's folder of data.
        offline: Download nothing; only say whether the data set is on this machine.
        accept_license: Accept a licence that forbids commercial use, once.
        json: Print JSON lines instead of a table.
    """
    from regraft.named.cards import set_cards
    from regraft.named.hub_sets import hub_address, hub_download
    from regraft.named.sets import get, is_here

    address = hub_address(name) if name else None
    if address is not None:
        folder = hub_download(address, offline=offline, reporter=make_reporter(json_lines=json))
        print(f"{address.text}: {folder}\nfit it with `regraft fit {address.text}`")
        return 0
    if name is not None:
        found = get(
            name,
            data_root=data_root,
            offline=offline,
            is_accepted=accept_license,
            reporter=make_reporter(json_lines=json),
        )
        facts = {"name": found.card.name, "source": str(found.source), "licence": found.card.licence}
        if json:
            show_json(facts)
        else:
            print(f"{found.card.name}: {found.source}\ncitation: {found.card.citation}")
            print(f"fit it with `regraft fit {found.card.name}`")
        return 0
    cards = list(set_cards().values())
    if json:
        for card in cards:
            shown = card.model_dump(exclude={"files", "class_names", "folder_names", "layout"})
            show_json({**shown, "is_here": is_here(card, data_root)})
        return 0
    rows = [
        [
            card.name,
            f"{card.images:,}",
            str(card.classes),
            f"{card.mb:,}",
            card.licence,
            f"{card.licence_by}, {card.licence_date}",
            "yes" if is_here(card, data_root) else "no",
        ]
        for card in cards
    ]
    names = ["name", "images", "classes", "MB", "licence", "stated by, looked up", "here"]
    show_table("Data sets with names", names, rows, right=[1, 2, 3])
    print("`regraft data NAME` downloads one; `regraft fit NAME` fits one that is on this machine")
    return 0
