"""Writes docs/commands/: a page for every command, from what the program itself says of it.

Run: python scripts/build_command_pages.py   (a test compares the pages with what this writes)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cyclopts

from regraft.cli.app import app, whole_help

Words = tuple[str, ...]
FOLDER = Path(__file__).parents[1] / "docs" / "commands"
INDEX = """\
# Commands

A page for each, from the same text as `regraft COMMAND --help`.

{entries}

## Exit status

| status | meaning |
|---|---|
| 0 | done |
| 1 | an error, which the last line on standard error explains; or problems found by a command that looks |
| 2 | the command can't be obeyed: an unknown option, a value out of range, a folder that is no run |
| 130 | stopped by Ctrl-C; what was finished is kept, and the same command goes on from there |

Results go to standard output, progress and errors to standard error. `--debug` adds a traceback to any error.

## Environment

| variable | meaning |
|---|---|
| `REGRAFT_CACHE` | folder of everything that can be computed again; without it, the user's cache folder |
| `REGRAFT_CACHE_MAX` | how large that may grow, for example `20G`; the least recently used goes first |
| `REGRAFT_WEIGHTS` | a folder of `NETWORK.safetensors` files, looked into for every network |
| `REGRAFT_CONFIG` | folder of what you once agreed to (licences); without it, the user's settings folder |
| `REGRAFT_TOKEN` | what every request to `regraft serve` must bear |
| `HF_HOME`, `HF_HUB_CACHE`, `TORCH_HOME` | the hubs' own caches, looked into for weights, too |
| `HF_HUB_OFFLINE` | set to 1, nothing is ever downloaded, as with `--offline` |

```{{toctree}}
:hidden:

{names}
```
"""
FINDS_PROBLEMS: dict[Words, str] = {
    ("cache", "verify"): "an entry is damaged",
    ("doctor",): "something is wrong that has to be mended",
    ("weights", "verify"): "a file can't be used",
}
RELATED: dict[Words, tuple[str, ...]] = {
    ("advise",): ("[choosing](../choosing.md)", "`regraft fit`", "`regraft plan`"),
    ("check",): ("[start here](../start.md)", "`regraft fit --dry-run`"),
    ("compare",): ("[how we measure](../measuring.md)", "`regraft runs`"),
    ("demo",): ("[start here](../start.md)",),
    ("explain",): ("[seeing](../seeing.md)", "`regraft features`", "`regraft report`"),
    ("export",): ("[serving](../serving.md)", "`regraft serve`"),
    ("features",): ("[seeing](../seeing.md)", "`regraft explain`"),
    ("find-lr",): ("[training](../training.md)", "`regraft plot-schedule`"),
    ("fit",): ("[start here](../start.md)", "[choosing](../choosing.md)", "[training](../training.md)"),
    ("plan",): ("[training](../training.md)", "`regraft advise`", "`regraft fit --plan`"),
    ("plot-schedule",): ("[training](../training.md)", "`regraft find-lr`"),
    ("predict",): ("[start here](../start.md)", "`regraft serve`"),
    ("report",): ("[seeing](../seeing.md)", "`regraft explain`"),
    ("runs",): ("`regraft compare`", "`regraft report`"),
    ("serve",): ("[serving](../serving.md)", "[security](../security.md)", "`regraft export`"),
    ("weights",): ("[networks](../networks.md)", "`regraft zoo`"),
    ("zoo",): ("[networks](../networks.md)", "[the zoo](../zoo.md)", "`regraft weights`"),
}


def commands(place: cyclopts.App, words: Words = ()) -> Iterator[tuple[Words, cyclopts.App]]:
    """All commands below one, groups before their members."""
    for name in sorted(place):
        if name.startswith("-"):
            continue
        inner: Any = place[name]
        yield (*words, name), inner
        yield from commands(inner, (*words, name))


def pages() -> dict[str, str]:
    """Every page's text by its file's name."""
    made, entries = {}, []
    for words, command in commands(app):
        name = "-".join(words)
        made[f"{name}.md"] = page(words, command)
        summary = str(command.help or "").strip().splitlines()[0]
        entries.append(f"- [`regraft {' '.join(words)}`]({name}.md): {summary}")
    names = "\n".join(name.removesuffix(".md") for name in made)
    return {"index.md": INDEX.format(entries="\n".join(entries), names=names), **made}


def page(words: Words, command: cyclopts.App) -> str:
    """A command's page: synopsis, text, examples, options, exit status, related pages."""
    whole_help(words)
    name = f"regraft {' '.join(words)}"
    said = command.generate_docs(recursive=False, usage_name=name)
    text = "\n".join(line.rstrip() for line in said.splitlines()[1:]).strip()
    text = _without_members(text)
    found = FINDS_PROBLEMS.get(words, "an error, which the message explains")
    parts = [
        f"# {name}",
        text,
        "## Exit status",
        f"0 done; 1 {found}; 2 the command can't be obeyed; 130 stopped by Ctrl-C"
        " ([more](index.md#exit-status)).",
    ]
    if related := RELATED.get(words) or RELATED.get(words[:1]):
        parts += ["## See also", ", ".join(related) + "."]
    return "\n\n".join(parts) + "\n"


def _without_members(text: str) -> str:
    """A group's page links to those of its members, instead of repeating them."""
    text = re.sub(r"## Table of Contents\n.*?(?=\*\*Commands\*\*)", "", text, flags=re.DOTALL)
    text = re.sub(r"\n## .*", "", text, flags=re.DOTALL)
    return re.sub(r"\(#([a-z-]+)\)", r"(\1.md)", text).strip()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {FOLDER}")
