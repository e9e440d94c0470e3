"""Writes docs/commands/: a page for every command, from what the program itself says of it.

Run: python scripts/build_command_pages.py   (a test compares the pages with what this writes)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cyclopts

from regraft.cli.app import app, whole_help
from regraft.settings import DataSettings, FitSettings, TrainSettings

Words = tuple[str, ...]
FOLDER = Path(__file__).parents[1] / "docs" / "commands"
INDEX = """\
# Commands

A page for each command, from the same text as `regraft COMMAND --help`. The settings that `fit`, `advise` and
`find-lr` share are on a [page of their own](settings.md).

{entries}

## Exit status

| status | meaning |
|---|---|
| 0 | done |
| 1 | an error, which the last line on standard error explains; or problems that were found |
| 2 | the command can't be carried out: an unknown option, a value out of range, a folder that is not a run |
| 130 | stopped by Ctrl-C; what was finished is kept, and the same command run again resumes from there |

Results go to standard output, progress and errors to standard error. `--debug` adds a traceback to any error.

## Environment

| variable | meaning |
|---|---|
| `REGRAFT_CACHE` | folder of everything that can be computed again; without it, the user's cache folder |
| `REGRAFT_CACHE_MAX` | how large that may grow, for example `20G`; the least recently used goes first |
| `REGRAFT_DATA` | folder of data sets and images that were fetched; without it, the user's folder of data |
| `REGRAFT_WEIGHTS` | a folder of `NETWORK.safetensors` files that is searched for every network |
| `REGRAFT_CONFIG` | folder of what you once agreed to (licences); without it, the user's settings folder |
| `REGRAFT_TOKEN` | the token that every request to `regraft serve` must contain |
| `HF_HOME`, `HF_HUB_CACHE`, `TORCH_HOME` | the hubs' own caches, which are searched for weights, too |
| `HF_HUB_OFFLINE` | set to 1, nothing is ever downloaded, as with `--offline` |

```{{toctree}}
:hidden:

{names}
```
"""
SETTINGS = """\
# Settings

The settings that `regraft fit`, `regraft advise` and `regraft find-lr` share, from the same text as their
`--help`. In Python, `--lr-decay 0.5` is `lr_decay=0.5`.

{sections}
"""
ACCEPTED = "All [settings](settings.md) of networks, strategies, images and training are accepted, too."
WITH_SETTINGS = (("advise",), ("find-lr",), ("fit",))
FINDS_PROBLEMS: dict[Words, str] = {
    ("cache", "merge"): "a shard of another cache is damaged",
    ("cache", "verify"): "an entry is damaged",
    ("doctor",): "something is wrong that has to be fixed",
    ("weights", "verify"): "a file can't be used",
}
RELATED: dict[Words, tuple[str, ...]] = {
    ("advise",): ("[choosing](../choosing.md)", "[training](../training.md)", "`regraft fit --plan`"),
    ("check",): ("[start here](../start.md)", "`regraft advise`"),
    ("convert",): ("[boxes around objects](../detecting.md)", "`regraft check`", "`regraft crops`"),
    ("crops",): ("[boxes around objects](../detecting.md)", "`regraft check`", "`regraft fit`"),
    ("compare",): ("[how we measure](../measuring.md)", "`regraft runs`"),
    ("demo",): ("[start here](../start.md)",),
    ("explain",): ("[seeing](../seeing.md)", "`regraft visualize`", "`regraft report`"),
    ("export",): ("[serving](../serving.md)", "`regraft serve`"),
    ("find-lr",): ("[training](../training.md)", "`regraft plot-schedule`"),
    ("cache", "merge"): ("[beyond one process](../scale.md)", "`regraft extract`"),
    ("extract",): ("[beyond one process](../scale.md)", "`regraft fit`", "`regraft cache merge`"),
    ("fit",): ("[start here](../start.md)", "[choosing](../choosing.md)", "[training](../training.md)"),
    ("plot-schedule",): ("[training](../training.md)", "`regraft find-lr`"),
    ("predict",): ("[start here](../start.md)", "`regraft serve`"),
    ("report",): ("[seeing](../seeing.md)", "`regraft explain`"),
    ("runs",): ("`regraft compare`", "`regraft report`"),
    ("serve",): ("[serving](../serving.md)", "[security](../security.md)", "`regraft export`"),
    ("visualize",): ("[seeing](../seeing.md)", "`regraft explain`"),
    ("weights",): ("[networks](../networks.md)", "`regraft zoo`"),
    ("zoo",): ("[networks](../networks.md)", "[the zoo](../zoo.md)", "`regraft weights`"),
}


def commands(place: cyclopts.App, words: Words = ()) -> Iterator[tuple[Words, Any]]:
    """All commands below one that the help lists, in its order: groups before their members."""
    listed = [place[name] for name in place if not name.startswith("-") and place[name].show]
    for command in sorted(listed, key=_order):
        here = (*words, command.name[0])
        yield here, command
        yield from commands(command, here)


def _order(command: Any) -> tuple[int, ...]:
    return (*(group.sort_key for group in command.group), command.sort_key)


def pages() -> dict[str, str]:
    """Every page's text by its file's name."""
    settings = settings_entries()
    made, entries, title = {}, [], ""
    for words, command in commands(app):
        name = "-".join(words)
        summary = str(command.help or "").strip().splitlines()[0]
        if len(words) == 1 and command.group[0].name != title:
            title = command.group[0].name
            entries.append(f"\n## {title}\n")
        indent = "  " * (len(words) - 1)
        entries.append(f"{indent}- [`regraft {' '.join(words)}`]({name}.md): {summary}")
        made[f"{name}.md"] = page(words, command, settings)
    names = "\n".join(["settings", *(name.removesuffix(".md") for name in made)])
    index = INDEX.format(entries="\n".join(entries).strip(), names=names)
    return {"index.md": index, "settings.md": settings_page(settings), **made}


def page(words: Words, command: cyclopts.App, settings: dict[str, list[str]]) -> str:
    """A command's page: synopsis, text, examples, options, exit status, related pages."""
    name = f"regraft {' '.join(words)}"
    text = _described(words, command)
    if words in WITH_SETTINGS:
        text = _without_settings(text, settings)
        text += "\n\n" + ACCEPTED
    found = FINDS_PROBLEMS.get(words, "an error, which the message explains")
    parts = [
        f"# {name}",
        text,
        "## Exit status",
        f"0 done; 1 {found}; 2 the command can't be carried out; 130 stopped by Ctrl-C"
        " ([more](index.md#exit-status)).",
    ]
    if related := RELATED.get(words) or RELATED.get(words[:1]):
        parts += ["## See also", ", ".join(related) + "."]
    return "\n\n".join(parts) + "\n"


def _described(words: Words, command: cyclopts.App) -> str:
    whole_help(words)
    said = command.generate_docs(recursive=False, usage_name=f"regraft {' '.join(words)}")
    text = "\n".join(line.rstrip() for line in said.splitlines()[1:]).strip()
    return _without_members(text)


def settings_entries() -> dict[str, list[str]]:
    """The settings' entries on the page of fit, by the title of their group."""
    names = {one.name for kind in (FitSettings, DataSettings, TrainSettings) for one in fields(kind)}
    flags = {f"--{name.replace('_', '-')}" for name in names}
    entries: dict[str, list[str]] = {}
    for title, listed in _OPTIONS.findall(_described(("fit",), app["fit"])):
        of_settings = [
            one for one in _ENTRY.findall(listed) if one.split("`")[1].split()[0].strip(",") in flags
        ]
        if of_settings:
            entries["Networks and strategies" if title == "Parameters" else title] = of_settings
    return entries


_ENTRY = re.compile(r"^\* `--.*\n?(?:^ {8}.*\n?)*", re.MULTILINE)
_OPTIONS = re.compile(r"^\*\*([^*\n]+)\*\*:\n\n((?:^(?:\* `--| {8}).*\n?)*)", re.MULTILINE)


def settings_page(settings: dict[str, list[str]]) -> str:
    """What fit, advise and find-lr have in common, a section for each group."""
    sections = (f"## {title}\n\n{''.join(entries).strip()}" for title, entries in settings.items())
    return SETTINGS.format(sections="\n\n".join(sections))


def _without_settings(text: str, settings: dict[str, list[str]]) -> str:
    """A command's own options, and those settings whose default is another than that of fit."""
    shared = {entry.strip() for entries in settings.values() for entry in entries}
    text = _ENTRY.sub(lambda entry: "" if entry[0].strip() in shared else entry[0], text + "\n")
    return re.sub(r"^\*\*[^*\n]+\*\*:\n\n(?=\s*(?:\*\*|\Z))", "", text, flags=re.MULTILINE).strip()


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
