"""How a label is read: one spelling for what people see as the same name."""

from __future__ import annotations

import unicodedata

from regraft.storage import printable


def label_of(name: str) -> str:
    r"""The label that a name gives: composed characters (NFC), without white space at the ends.

    >>> label_of(" pa\u0302te\u0301") == "p\u00e2t\u00e9"
    True
    """
    return printable(unicodedata.normalize("NFC", name).strip())
