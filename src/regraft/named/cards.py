"""What is known of each data set that has a name: its size, licence as stated, files and checksums."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from pydantic import Field

from regraft.errors import DataError, close_names
from regraft.records import Record

NONE_STATED = "none stated"
_FILE = Path(__file__).with_name("cards.json")


class SetFile(Record):
    """A file of a data set."""

    path: str
    """Where it lies below a root, as torchvision keeps it."""
    url: str
    md5: str | None
    """Its checksum as torchvision or the publisher states it; None if nobody does."""


class SetCard(Record):
    """A data set with a name."""

    name: str
    title: str
    layout: str
    """How its files are read; see `layouts`."""
    images: int
    classes: int
    mb: int
    """Size of the download, MB."""
    split: str
    """The sides of the official split; empty if there is none."""
    version: str = NONE_STATED
    """The version of the files as their publisher calls it."""
    licence: str
    """The licence as stated; `none stated` where neither the publisher nor torchvision states one."""
    licence_by: str
    """Who states it, or where it was looked for."""
    licence_date: str
    """When it was looked up."""
    citation: str
    files: tuple[SetFile, ...]
    class_names: tuple[str, ...] = ()
    """Names of the classes by their numbers, where the files do not hold them."""
    folder_names: dict[str, str] = Field(default_factory=dict)
    """Names of the classes by the names of their folders, where these are codes."""


@cache
def set_cards() -> dict[str, SetCard]:
    """All cards by their names.

    >>> set_cards()["cifar10"].images
    60000
    """
    cards = [SetCard.model_validate(one) for one in json.loads(_FILE.read_text(encoding="utf-8"))]
    return {card.name: card for card in cards}


def plain_set_name(name: str) -> str:
    """A data set's name as people may write it.

    >>> plain_set_name("CIFAR-10"), plain_set_name("Fashion_MNIST"), plain_set_name("flowers-102")
    ('cifar10', 'fashion-mnist', 'flowers102')
    """
    key = "".join(letter for letter in name.casefold() if letter.isalnum())
    known = {"".join(letter for letter in one if letter.isalnum()): one for one in set_cards()}
    return known.get(key, name)


def set_card(name: str) -> SetCard:
    """The card of a data set.

    Raises:
        DataError: no data set has that name; close ones are suggested.
    """
    card = set_cards().get(plain_set_name(name))
    if card is None:
        raise DataError(
            f"no data set is called {name}{close_names(name, set_cards())}; `regraft data` lists all names"
        )
    return card
