"""Write a template with its values as one HTML file that needs no network and no other file.

The template engine escapes every value. A content security policy contains the hashes of the page's own
style and script, so no other script could run even if a value were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from regraft.progress import duration
from regraft.runs.records import RungRow
from regraft.storage.files import write_atomically
from regraft.storage.tables import printable
from regraft.tasks.task import Measure
from regraft.version import VERSION

_FOLDER = "templates"


def write_page(path: Path, template: str, *, script: str = "", **values: Any) -> Path:
    """Fill in a template and write the page; returns the path.

    Args:
        path: path of the HTML file.
        template: name of the template below `templates/`.
        script: name of the script that the page uses, if any.
        values: the values that the template shows.
    """
    write_atomically(path, page(template, script=script, **values).encode("utf-8", "replace"))
    return path


def page(template: str, *, script: str = "", **values: Any) -> str:
    """The page as text."""
    style = _asset("style.css")
    code = _asset(script) if script else ""
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 (a file of this package)
            script=Markup(code),  # noqa: S704 (likewise)
            policy=_policy(style, code),
            version=VERSION,
            template=template,
            **values,
        )
    )


def _policy(style: str, script: str) -> str:
    """A policy that allows only this style and script, images within the page, and no requests."""
    scripts = _hash(script) if script else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _asset(name: str) -> str:
    text = resources.files("regraft.reports").joinpath(_FOLDER, name).read_text(encoding="utf-8")
    return "\n" + text


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("regraft.reports", _FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"name": shown, "percent": percent, "seconds": duration, "interval": interval}
    found.filters |= {"scored": scored, "score_of_rung": score_of_rung}
    return found


def shown(text: str) -> Markup:
    """A name from the user's files, with control characters spelled out and its text direction isolated."""
    plain = printable(text)
    marks = "".join(
        c if unicodedata.category(c) not in ("Cf", "Co", "Cn") else f"\\u{ord(c):04x}" for c in plain
    )
    return Markup("<bdi>{}</bdi>").format(escape(marks))


def percent(value: float | None, digits: int = 1) -> str:
    """A share in per cent, such as `94.8`; a dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def scored(measure: Measure) -> Markup:
    """A score with its interval: a share in per cent, anything else in its own unit."""
    if measure.value is None:
        return Markup("not defined")
    value, bounds = _figures(measure)
    unit = " %" if measure.is_share else ""
    return Markup('{}{} <span class="soft">{}</span>').format(value, unit, bounds)


def score_of_rung(row: RungRow) -> Markup:
    """The score of a rung with its interval, without its unit."""
    measure = Measure.of(row.measure, row.accuracy, row.images, is_share=row.is_share)
    return Markup('{} <span class="soft">{}</span>').format(*_figures(measure))


def _figures(measure: Measure) -> tuple[str, str]:
    """A score and its interval as they are written."""
    if measure.is_share:
        return percent(measure.value), interval(measure.estimate)
    if measure.low is None or measure.high is None:
        return f"{measure.value:.3g}", ""
    return f"{measure.value:.3g}", f"[{measure.low:.3g}, {measure.high:.3g}]"


def interval(estimate: Any) -> str:
    """An interval in per cent, such as `[92.5, 96.4]`; empty if there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
