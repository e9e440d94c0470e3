"""The server's pages: the one to drop images on, with the parts of a kind of model, and the interface's."""

from __future__ import annotations

import html
import re
from functools import cache
from importlib import resources
from typing import Any

ASSETS = {
    "/app.js": "text/javascript",
    "/classes.js": "text/javascript",
    "/boxes.js": "text/javascript",
    "/style.css": "text/css",
}
"""Addresses of the files that the pages need, with their types."""
_SLOT = re.compile(r"<!-- (\w+) -->\n")


@cache
def asset(name: str) -> str:
    """The text of one of the pages' files."""
    return resources.files("regraft.serving").joinpath("page", name).read_text(encoding="utf-8")


def page(kind: str) -> str:
    """The page to drop images on.

    Args:
        kind: the kind of model, `classes` or `boxes`; each comment of the page is replaced by what follows
            the same comment in the file of this name.
    """
    parts = _parts(kind)
    return _SLOT.sub(lambda slot: parts.get(slot[1], ""), asset("index.html"))


def interface(kind: str, schema: dict[str, Any]) -> str:
    """The description of the interface as a page without scripts or external files.

    Args:
        kind: the kind of model, as for `page`.
        schema: the OpenAPI description.
    """
    parts = {**_parts(kind), "operations": "\n".join(_operations(schema))}
    return _SLOT.sub(lambda slot: parts.get(slot[1], ""), asset("docs.html"))


def _parts(kind: str) -> dict[str, str]:
    pieces = _SLOT.split(asset(f"{kind}.html"))
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def _operations(schema: dict[str, Any]) -> list[str]:
    parts = []
    for path, methods in schema["paths"].items():
        for method, what in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(what.get('summary', ''))}</p><dl>")
            for one in what.get("parameters", []):
                words = html.escape(one.get("description", one["schema"].get("description", "")))
                default = html.escape(str(one["schema"].get("default", "")))
                parts.append(f"<dt><code>?{html.escape(one['name'])}={default}</code></dt><dd>{words}</dd>")
            parts += [
                f"<dt>{html.escape(code)}</dt><dd>{html.escape(answer.get('description', ''))}</dd>"
                for code, answer in what["responses"].items()
            ]
            parts.append("</dl>")
    return parts
